"""Train a network for a given time or a given number of steps.

The learning rate warms up, then falls in a cosine until the end, which is on the clock (`--budget-minutes`) or counted
in steps (`--steps`). The averaged weights (EMA) of the last checkpoint are usable at any moment; `--anneal-minutes`
ends a run early and well.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from . import checkpoint
from .config import FGNetConfig, TrunkConfig, preset
from .containers import CheckpointFileError
from .data import Batch, Source, affinity_target, prefetched
from .importer import read_image_encoder
from .losses import total_loss
from .model import FGNet
from .modes import MODES, initialise_trunk, load_encoder, own_config, parameter_groups, prepare_trunk, trunk_option

BAD_DATA = 65  # exit status, as sysexits.h has it
MOST_SKIPPED = 20  # steps in a row without a usable gradient


class TrainingError(Exception):
    """Why a run cannot start or go on, in one line."""


def schedule(elapsed: float, budget: float, warm_up: float, floor: float = 0.0) -> float:
    """The learning rate's factor after `elapsed` seconds or steps; it ends at `floor`."""
    if elapsed < warm_up:
        return max(elapsed / warm_up, 0.01)
    done = min((elapsed - warm_up) / max(budget - warm_up, 1), 1)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def chosen_device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: PyTorch finds no CUDA device here")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        torch.backends.cudnn.benchmark = True  # crops have two shapes at most
    return torch.device(name)


def multiplies_bfloat16(device: torch.device, flags: str | None = None) -> bool:
    """Whether a device has instructions for it. A CPU without them takes about a hundred times as long as in float32.

    `flags`: what the kernel says that the CPU has; read from /proc/cpuinfo where not given; True where nothing
    is said.
    """
    if device.type != "cpu":
        return True
    if flags is None:
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
        except OSError:
            return True
        flags = next((line for line in lines if line.lower().startswith(("flags", "feature"))), "bf16")
    return any(name in flags.split() for name in ("avx512_bf16", "amx_bf16", "bf16"))


def attention(device: torch.device) -> AbstractContextManager[Any]:
    """On a CPU the fused attention's backward pass is slow for small windows; plain matrix products are faster."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def load_sources(texts: list[str], crop: tuple[int, int, int]) -> list[Source]:
    """The sources, large enough for the crops that will be cut from them."""
    depth, height, width = crop
    # With two sections, bfloat16 convolutions over three have gradients that are no numbers (PyTorch 2.13 on a CPU).
    if depth < 3 or height % 32 or width % 32 or min(height, width) < 32:
        raise TrainingError(f"--crop {depth} {height} {width}: at least 3 sections, and multiples of 32 pixels")
    sources = []
    for text in texts:
        try:
            source = Source.parse(text)
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise TrainingError(f"--source {text}: cannot be read: {error}") from error
        shape, side = source.labels.shape, max(height, width)
        if source.image.shape != shape:
            raise TrainingError(f"--source {text}: the image is {source.image.shape}, its labels are {shape} (z, y, x)")
        if shape[0] < depth or min(shape[1:]) < side:
            wanted = f"{depth} x {side} x {side}"
            raise TrainingError(f"--source {text}: is {shape} (z, y, x), too small for crops of {wanted}")
        sources.append(source)
    return sources


def batches_on(device: torch.device, options: argparse.Namespace, seed: int, sources: list[Source]) -> Iterator[Batch]:
    """Endless batches on the device, from `--workers` processes in turn."""
    pinned = device.type == "cuda"  # so that the copy runs beside the step before
    for batch in prefetched(seed, sources, tuple(options.crop), options.batch, options.workers, pinned):
        yield Batch(*(part.to(device, non_blocking=pinned) for part in batch))


@torch.no_grad()
def update_average(average: list[Tensor], values: list[Tensor], decay: float) -> None:
    """Moves the average towards the values; integers are copied."""
    numbers = [index for index, value in enumerate(values) if value.is_floating_point()]
    torch._foreach_lerp_([average[index] for index in numbers], [values[index] for index in numbers], 1 - decay)
    for index in set(range(len(values))).difference(numbers):
        average[index].copy_(values[index])


class Trainer:
    """One run: model, optimiser, averaged weights, and the steps and the time spent so far.

    `first_step` and `first_elapsed` are what the run began with: a run that starts from another one's weights has a
    schedule of its own, but counts that one's steps as training too.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.device = chosen_device(arguments.device)
        self.is_bfloat16 = not arguments.float32 and multiplies_bfloat16(self.device)
        torch.manual_seed(arguments.seed)
        values = checkpoint.load(arguments.resume or arguments.start) if arguments.resume or arguments.start else None
        config = FGNetConfig.from_json(values["architecture"]) if values else self.new_config()
        self.model = self.network(replace(config, voxel_size_nm=tuple(arguments.voxel_size or config.voxel_size_nm)))
        if values:
            self.model.load_state_dict(values["model" if arguments.resume else "ema"])
        elif arguments.trunk_weights:
            load_encoder(self.model, arguments.trunk_weights)
        else:
            initialise_trunk(self.model)
        self.model.to(self.device)
        self.norms = [module for module in self.model.modules() if isinstance(module, nn.BatchNorm2d)]
        groups = parameter_groups(
            self.model, arguments.mode, arguments.rate, arguments.weight_decay, arguments.trunk_factor,
            arguments.layer_decay,
        )  # fmt: skip
        prepare_trunk(self.model, arguments.mode, arguments.activation_checkpoints, arguments.drop_path)
        self.optimiser = torch.optim.AdamW(groups, betas=tuple(arguments.betas))
        self.step, self.elapsed, self.seeds, self.rate_factor = 0, 0.0, [arguments.seed], 1.0
        self.first_step, self.first_elapsed, self.skipped = 0, 0.0, 0
        if values:
            self.take_up(values)
        torch.manual_seed(arguments.seed + self.step)
        frozen = {name for name, parameter in self.model.named_parameters() if not parameter.requires_grad}
        source = values["ema"] if values else self.model.state_dict()
        self.average = {
            name: value if name in frozen else source[name].to(self.device, copy=True)
            for name, value in self.model.state_dict().items()
        }
        learning = [
            (self.average[name], value) for name, value in self.model.state_dict().items() if name not in frozen
        ]
        self.averaged, self.current = (list(tensors) for tensors in zip(*learning))
        self.forward = torch.compile(self.model) if arguments.compile else self.model

    def network(self, config: FGNetConfig) -> FGNet:
        return FGNet(config)

    def new_config(self) -> FGNetConfig:
        """The network that `--trunk` asks for; without it, one that fits `--trunk-weights`."""
        trunk = self.arguments.trunk
        if trunk is None and self.arguments.trunk_weights:
            trunk = read_image_encoder(self.arguments.trunk_weights).size
        return own_config(trunk) if isinstance(trunk, TrunkConfig) else preset(trunk or "nano")

    def take_up(self, values: dict[str, Any]) -> None:
        """Position and optimiser of the run that this one goes on from, or the position of the one it starts from."""
        self.step, self.elapsed = values["step"], values["elapsed"]
        self.seeds = values["seeds"] + [self.arguments.seed] * (values["seeds"][-1:] != [self.arguments.seed])
        if not self.arguments.resume:
            self.first_step, self.first_elapsed = self.step, self.elapsed
            return
        self.first_step, self.first_elapsed = values.get("first_step", 0), values.get("first_elapsed", 0.0)
        self.rate_factor = values["rate_factor"]
        groups = self.optimiser.param_groups
        wanted = [{key: value for key, value in group.items() if key != "params"} for group in groups]
        stored = [len(group["params"]) for group in values["optimiser"]["param_groups"]]
        if stored == [len(group["params"]) for group in groups]:  # else another mode: moments start anew
            self.optimiser.load_state_dict(values["optimiser"])
            for group, settings in zip(self.optimiser.param_groups, wanted):  # this command's, not the stored ones
                group.update(settings)

    def save(self, name: str = checkpoint.FILE) -> None:
        values = {
            "architecture": self.model.config.to_json(), "model": self.model.state_dict(), "ema": self.average,
            "optimiser": self.optimiser.state_dict(), "step": self.step, "elapsed": self.elapsed,
            "first_step": self.first_step, "first_elapsed": self.first_elapsed, "mode": self.arguments.mode,
            "rate_factor": self.rate_factor, "seeds": self.seeds,
        }  # fmt: skip
        checkpoint.save(self.arguments.output, values, name)

    def train_step(self, *batches: Batch) -> tuple[Tensor, Tensor]:
        """One update from the mean gradient of some batches; the refined loss and the norm of the gradient."""
        self.model.train()
        if self.arguments.mode == "frozen":
            self.model.trunk.eval()
        if self.arguments.fixed_norms:
            for norm in self.norms:
                norm.eval()
        self.optimiser.zero_grad(set_to_none=True)
        losses = []
        for batch in batches:
            with attention(self.device):  # around the backward pass too, which may compute activations again
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bfloat16):
                    logits = self.forward(batch.image)
                target, mask = affinity_target(batch.labels, self.model.config.offsets, batch.ignore_zero)
                loss, refined = total_loss(logits, target, mask)
                (loss / len(batches)).backward()
            losses.append(refined.detach())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.arguments.clip)
        self.step += 1
        if not math.isfinite(norm.item()):  # an update would make every weight no number
            self.skipped += 1
            return torch.stack(losses).mean(), norm.detach()
        self.skipped = 0
        for group in self.optimiser.param_groups:
            group["lr"] = self.arguments.rate * group["factor"] * self.rate_factor
        self.optimiser.step()
        update_average(self.averaged, self.current, min(self.arguments.ema, (1 + self.step) / (10 + self.step)))
        return torch.stack(losses).mean(), norm.detach()

    def position(self) -> tuple[float, float, float]:
        """Where on its schedule the run is, the schedule's length, and its warm-up: steps, or seconds."""
        options = self.arguments
        if options.steps is not None:
            warm_up = options.warm_up_steps if options.warm_up_steps is not None else min(1000, options.steps // 33)
            return self.step - self.first_step, options.steps, min(warm_up, options.steps)
        minutes = options.budget_minutes
        return self.elapsed - self.first_elapsed, 60 * minutes, 60 * min(2.0, 0.03 * minutes)

    def run(self, sources: list[Source], stop: StopSignal) -> bool:
        """Trains until the schedule's end (True) or until told to stop, and leaves a checkpoint."""
        options = self.arguments
        batches = batches_on(self.device, options, options.seed + self.step, sources)
        started, before = time.monotonic(), self.elapsed
        anneal, first_factor = 60 * options.anneal_minutes, self.rate_factor
        keep = 60 * options.keep_minutes or math.inf
        saved, kept = started, before // keep
        losses: list[Tensor] = []
        finished = False
        while not stop.received:
            now = time.monotonic()
            self.elapsed = before + now - started
            done, length, warm_up = self.position()
            finished = now - started >= anneal if anneal else done >= length
            self.rate_factor = (
                first_factor * max(0.0, 1 - (now - started) / anneal)
                if anneal
                else schedule(done, length, warm_up, options.floor)
            )
            if finished:
                break
            loss, norm = self.train_step(*itertools.islice(batches, options.accumulate))
            if self.skipped >= MOST_SKIPPED:
                raise TrainingError(f"no gradient is a number any more at step {self.step}; lower --rate and resume")
            losses.append(loss)
            if len(losses) == options.log_every:
                self.log(losses, norm)
                losses.clear()
            if now - saved > 60 * options.checkpoint_minutes:
                self.save_finite(loss)
                saved = now
            if self.elapsed // keep > kept:
                kept = self.elapsed // keep
                self.save_finite(loss, f"checkpoint-{round(kept * options.keep_minutes):04d}min.pt")
        self.save()
        print(json.dumps({"step": self.step, "minutes": round(self.elapsed / 60, 2), "finished": finished}), flush=True)
        return finished

    def log(self, losses: list[Tensor], norm: Tensor) -> None:
        mean = torch.stack(losses).mean()
        record = {
            "step": self.step,
            "minutes": round(self.elapsed / 60, 2),
            "norm": round(norm.item(), 3),
            "loss": round(mean.item(), 4),
            "factor": round(self.rate_factor, 4),
        }
        print(json.dumps(record), flush=True)
        self.check_finite(mean)

    def save_finite(self, loss: Tensor, name: str = checkpoint.FILE) -> None:
        self.check_finite(loss)
        self.save(name)

    def check_finite(self, loss: Tensor) -> None:
        """A run that has diverged must not overwrite the checkpoint from before."""
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss is no number at step {self.step}; lower --rate and resume")


class StopSignal:
    """Notes SIGTERM and SIGINT, so that a run ends with a checkpoint."""

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.receive)

    def receive(self, *_: Any) -> None:
        self.received = True


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(prog="fgnet-train", description=__doc__)
    add = parse.add_argument
    add("--output", type=Path, required=True, help="folder for checkpoints")
    add("--source", action="append", required=True, metavar="IMAGE,LABELS[,SETTING...]",
        help="may be repeated; weight=W, zero=ignore, axes=yzx, step=N, scale=F, borders=thin, noise=S (README.md)",
    )  # fmt: skip
    add("--resume", type=Path, help="a run's folder or checkpoint to go on from")
    add("--start", type=Path, help="a run's folder or checkpoint whose averaged weights a new run starts from")
    add("--budget-minutes", type=float, default=100, help="length of the whole run, earlier parts counted in")
    add("--steps", type=int, help="length of the whole run in steps, in place of --budget-minutes")
    add("--warm-up-steps", type=int, help="with --steps; default: 3 %% of them, at most 1000")
    add("--anneal-minutes", type=float, default=0, help="with --resume: bring the learning rate to 0 in this time")
    add("--trunk", type=trunk_option, metavar="NAME|JSON",
        help="nano (the default), tiny, small, base_plus, large, or the architecture of a trunk as JSON")  # fmt: skip
    add("--trunk-weights", type=Path, help="SAM2 checkpoint (.pt, .safetensors) or fgnet-import's output")
    add("--mode", choices=MODES, default="scratch", help="how the trunk learns")
    add("--trunk-factor", type=float, default=0.1, help="with --mode finetune: the trunk's share of the learning rate")
    add("--layer-decay", type=float, default=0.9, help="with --mode finetune: factor of the rate per block of depth")
    add("--drop-path", type=float, default=0.0, help="chance that a section skips the last block of a learning trunk")
    add("--activation-checkpoints", action="store_true", help="less memory, more time for a learning trunk")
    add("--fixed-norms", action="store_true",
        help="with --start or --resume: BatchNorm keeps its statistics, as the exported network does")  # fmt: skip
    add("--crop", type=int, nargs=3, default=(10, 128, 256), metavar=("D", "H", "W"))
    add("--batch", type=int, default=1)
    add("--accumulate", type=int, default=1, help="batches per step")
    add("--rate", type=float, default=1e-3, help="highest learning rate")
    add("--floor", type=float, default=0.0, help="what the learning rate ends at, as a part of the highest")
    add("--betas", type=float, nargs=2, default=(0.9, 0.99), help="AdamW's")
    add("--weight-decay", type=float, default=0.02)
    add("--clip", type=float, default=1.0, help="largest norm of the gradient")
    add("--ema", type=float, default=0.998, help="decay of the averaged weights")
    add("--voxel-size", type=float, nargs=3, metavar=("Z", "Y", "X"), help="nanometres")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--workers", type=int, default=1, help="processes that draw crops")
    add("--compile", action="store_true", help="torch.compile: a slow start, then faster steps (GPU)")
    add("--float32", action="store_true", help="no bfloat16, which a CPU without instructions for it never uses")
    add("--checkpoint-minutes", type=float, default=3)
    add("--keep-minutes", type=float, default=15, help="a checkpoint is kept under its own name this often; 0: never")
    add("--log-every", type=int, default=20)
    add("--seed", type=int, default=0)
    return parse


def main(arguments: list[str] | None = None) -> None:
    parse = parser()
    options = parse.parse_args(arguments)
    if options.resume and options.start:
        parse.error("give --resume or --start, not both")
    if options.fixed_norms and not (options.resume or options.start):
        parse.error("--fixed-norms goes with --start or --resume: a new network has no statistics yet")
    if min(options.batch, options.accumulate, options.workers, options.log_every) < 1:
        parse.error("--batch, --accumulate, --workers and --log-every are at least 1")
    stop = StopSignal()
    try:
        sources = load_sources(options.source, options.crop)
        Trainer(options).run(sources, stop)
    except (TrainingError, CheckpointFileError, OSError) as error:
        print(f"fgnet-train: {error}", file=sys.stderr)
        sys.exit(BAD_DATA)


# Large buffers are freed and taken again in every step. glibc would return each to the kernel and fault it in anew.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_TOP_PAD_": str(2**28)}


def with_allocator(module: str) -> None:
    """Starts the program anew with these settings, unless it has them."""
    if any(name not in os.environ for name in ALLOCATOR):
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], {**ALLOCATOR, **os.environ})


if __name__ == "__main__":
    with_allocator("fgnet.train")
    main()
