"""The same network by PyTorch, ONNX Runtime and OpenVINO: seconds per section, one line of JSON each.

Usage: peers.py MODEL.h5|tiny SIZE SECTIONS FOLDER. A peer evaluates SECTIONS sections at once and is credited with all of
them, though those within the network's context of the ends are not as good as fgnetd's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from precision import precisions
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))

from fgnet.config import preset  # noqa: E402
from fgnet.neck import ImageEncoder  # noqa: E402
from fgnet.weights import read_weights  # noqa: E402


class Refined(nn.Module):
    """Refined affinities (sections, 3, H, W) of a normalised stack (sections, H, W)."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.network = read_weights(Path(path))

    def forward(self, stack: Tensor) -> Tensor:
        return torch.sigmoid(self.network(stack[None]).refined[0])


class Encoder(nn.Module):
    """SAM2's image encoder with random weights, of images (sections, 3, H, W): maps at strides 4, 8 and 16."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.encoder = ImageEncoder(preset(name).trunk)
        for parameter in self.encoder.parameters():
            nn.init.normal_(parameter, std=0.02)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.encoder(images))


def median(run: Callable[[], object], sections: int) -> float:
    run()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) / sections)
    return sorted(times)[1]


def show(what: str, run: Callable[[], object], sections: int) -> None:
    try:
        print(json.dumps({"what": what, "seconds": median(run, sections)}), flush=True)
    except Exception as error:  # a peer that cannot is part of the answer
        print(json.dumps({"what": what, "error": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}), flush=True)


def pytorch(network: nn.Module, stack: Tensor, sections: int) -> None:
    def eager(precision: str, call: nn.Module, data: Tensor) -> Callable[[], object]:
        def run() -> object:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                return call(data)

        return run

    # The network itself keeps its maps channels last (fgnet.model).
    for name in precisions():
        show(f"PyTorch {name}", eager(name, network, stack), sections)
    for name in precisions():
        show(f"PyTorch {name} compiled", eager(name, torch.compile(network), stack), sections)


def onnx_file(network: nn.Module, stack: Tensor, folder: Path) -> str:
    path = str(folder / "network.onnx")
    with torch.inference_mode():
        torch.onnx.export(network, (stack,), path, opset_version=17, dynamo=False, input_names=["stack"])
    return path


def onnx_runtime(path: str, stack: Tensor, sections: int) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    data = {"stack": stack.numpy()}
    show("ONNX Runtime fp32", lambda: session.run(None, data), sections)


def openvino(path: str, stack: Tensor, sections: int) -> None:
    import openvino

    core = openvino.Core()
    for name in precisions():
        kind = openvino.Type.bf16 if name == "bf16" else openvino.Type.f32
        hints = {"INFERENCE_PRECISION_HINT": kind, "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(path, "CPU", hints)
        request = compiled.create_infer_request()
        tensor = openvino.Tensor(stack.numpy(), shared_memory=True)
        show(f"OpenVINO {name}", lambda: request.infer({0: tensor}), sections)


def main() -> None:
    model, size, sections, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    torch.manual_seed(0)
    if model.endswith(".h5"):
        network: nn.Module = Refined(model).eval()
        stack = torch.randn(sections, size, size)
    else:
        network = Encoder(model).eval()
        stack = torch.randn(sections, 3, size, size)
    pytorch(network, stack, sections)
    try:
        path = onnx_file(network, stack, folder)
    except Exception as error:
        print(json.dumps({"what": "ONNX export", "error": str(error).splitlines()[0]}), flush=True)
        return
    for peer in (onnx_runtime, openvino):
        try:
            peer(path, stack, sections)
        except Exception as error:
            print(json.dumps({"what": peer.__name__, "error": str(error).splitlines()[0]}), flush=True)


main()
