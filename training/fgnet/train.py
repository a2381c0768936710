"""Train a network for a given time.

The schedule runs on the clock, not on steps: warm-up, then a cosine to zero at the end of the budget. The averaged
weights (EMA) of the last checkpoint are usable at any moment; `--anneal-minutes` ends a run early and well.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import checkpoint
from .config import TRUNKS, FGNetConfig, preset
from .data import Source, prefetched
from .losses import total_loss
from .model import FGNet


def schedule(elapsed: float, budget: float, warm_up: float) -> float:
    """The learning rate's factor after `elapsed` seconds."""
    if elapsed < warm_up:
        return max(elapsed / warm_up, 0.01)
    done = min((elapsed - warm_up) / max(budget - warm_up, 1), 1)
    return 0.5 * (1 + math.cos(math.pi * done))


def parameter_groups(model: FGNet, mode: str, rate: float, decay: float) -> list[dict[str, Any]]:
    """Groups for AdamW. No weight decay for vectors; in `finetune` mode the trunk learns at a tenth, less per depth."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    layers = len(model.trunk.blocks) + 1
    for name, parameter in model.named_parameters():
        factor = 1.0
        if name.startswith("trunk."):
            if mode == "frozen":
                parameter.requires_grad_(False)
                continue
            if mode == "finetune":
                layer = int(name.split(".")[2]) + 1 if ".blocks." in name else 0
                exponent = 0 if "pos_embed" in name else layers - layer
                factor = 0.1 * 0.9**exponent
        plain = parameter.ndim < 2 or "pos_embed" in name
        groups.setdefault((factor, 0.0 if plain else decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate * factor, "factor": factor, "weight_decay": weight_decay}
        for (factor, weight_decay), parameters in groups.items()
    ]


def load_trunk(model: FGNet, path: Path) -> None:
    """Weights of a SAM2 checkpoint's image encoder."""
    state = torch.load(path, map_location="cpu", weights_only=True)["model"]
    prefix = "image_encoder.trunk."
    model.trunk.load_state_dict({key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)})


def initialise_trunk(model: FGNet) -> None:
    """Small random weights, as vision transformers start from."""
    for name, parameter in model.trunk.named_parameters():
        if "pos_embed" in name or (parameter.ndim == 2):
            nn.init.trunc_normal_(parameter, std=0.02)


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: FGNet, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


class Trainer:
    """One run: model, optimiser, averaged weights, and the time spent so far."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        torch.manual_seed(arguments.seed)
        values = checkpoint.load(arguments.resume) if arguments.resume else None
        config = FGNetConfig.from_json(values["architecture"]) if values else preset(arguments.trunk)
        self.model = FGNet(replace(config, voxel_size_nm=tuple(arguments.voxel_size or config.voxel_size_nm)))
        if values is None:
            initialise_trunk(self.model)
            if arguments.trunk_weights:
                load_trunk(self.model, arguments.trunk_weights)
        groups = parameter_groups(self.model, arguments.mode, arguments.rate, arguments.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99))
        self.step, self.elapsed, self.seeds, self.rate_factor = 0, 0.0, [arguments.seed], 1.0
        if values:
            self.model.load_state_dict(values["model"])
            stored = [len(group["params"]) for group in values["optimiser"]["param_groups"]]
            if stored == [len(group["params"]) for group in groups]:  # else another mode: moments start anew
                self.optimiser.load_state_dict(values["optimiser"])
            self.step, self.elapsed, self.rate_factor = values["step"], values["elapsed"], values["rate_factor"]
            self.seeds = values["seeds"] + [arguments.seed]
        self.average = values["ema"] if values else {k: v.clone() for k, v in self.model.state_dict().items()}

    def save(self, name: str = checkpoint.FILE) -> None:
        values = {
            "architecture": self.model.config.to_json(), "model": self.model.state_dict(), "ema": self.average,
            "optimiser": self.optimiser.state_dict(), "step": self.step, "elapsed": self.elapsed,
            "rate_factor": self.rate_factor, "seeds": self.seeds,
        }  # fmt: skip
        checkpoint.save(self.arguments.output, values, name)

    def train_step(self, batch: Any) -> tuple[float, float]:
        """One update; returns the refined loss and the norm of the gradient."""
        self.model.train()
        if self.arguments.mode == "frozen":
            self.model.trunk.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=not self.arguments.float32):
            logits = self.model(batch.image)
        loss, refined = total_loss(logits, batch.target, batch.mask)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.arguments.rate * group["factor"] * self.rate_factor
        self.optimiser.step()
        self.step += 1
        update_average(self.average, self.model, min(self.arguments.ema, (1 + self.step) / (10 + self.step)))
        return refined.item(), norm.item()

    def run(self) -> None:
        options = self.arguments
        sources = [Source.parse(text) for text in options.source]
        batches = prefetched(options.seed + self.step, sources, options.crop, options.batch, self.model.config.offsets)
        started, before = time.monotonic(), self.elapsed
        budget, warm_up = 60 * options.budget_minutes, 60 * min(2.0, 0.03 * options.budget_minutes)
        anneal = 60 * options.anneal_minutes
        first_factor = self.rate_factor
        stop = StopSignal()
        saved, kept = started, int(before // (60 * options.keep_minutes))
        losses: list[float] = []
        while not stop.received:
            now = time.monotonic()
            self.elapsed = before + now - started
            if anneal:
                self.rate_factor = first_factor * max(0.0, 1 - (now - started) / anneal)
            else:
                self.rate_factor = schedule(self.elapsed, budget, warm_up)
            if (now - started >= anneal) if anneal else (self.elapsed >= budget):
                break
            loss, norm = self.train_step(next(batches))
            losses.append(loss)
            if len(losses) == options.log_every:
                record = {
                    "step": self.step,
                    "minutes": round(self.elapsed / 60, 2),
                    "norm": round(norm, 3),
                    "loss": round(sum(losses) / len(losses), 4),
                    "factor": round(self.rate_factor, 4),
                }
                print(json.dumps(record), flush=True)
                losses.clear()
            if now - saved > 60 * options.checkpoint_minutes:
                self.save()
                saved = now
            if self.elapsed // (60 * options.keep_minutes) > kept:
                kept = int(self.elapsed // (60 * options.keep_minutes))
                self.save(f"checkpoint-{round(kept * options.keep_minutes):04d}min.pt")
        self.save()
        print(json.dumps({"step": self.step, "minutes": round(self.elapsed / 60, 2), "finished": not stop.received}))


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
    add("--source", action="append", required=True, help="IMAGE,LABELS[,weight=W][,zero=ignore]; may be repeated")
    add("--resume", type=Path, help="a run's folder or checkpoint to go on from")
    add("--budget-minutes", type=float, default=100, help="length of the whole run, earlier parts counted in")
    add("--anneal-minutes", type=float, default=0, help="with --resume: bring the learning rate to 0 in this time")
    add("--trunk", choices=sorted(TRUNKS), default="nano")
    add("--trunk-weights", type=Path, help="a SAM2 checkpoint to start the trunk from")
    add("--mode", choices=["scratch", "frozen", "finetune"], default="scratch", help="how the trunk learns")
    add("--crop", type=int, nargs=3, default=(10, 128, 256), metavar=("D", "H", "W"))
    add("--batch", type=int, default=1)
    add("--rate", type=float, default=1e-3, help="highest learning rate")
    add("--weight-decay", type=float, default=0.02)
    add("--ema", type=float, default=0.998, help="decay of the averaged weights")
    add("--voxel-size", type=float, nargs=3, metavar=("Z", "Y", "X"), help="nanometres")
    add("--float32", action="store_true", help="no bfloat16")
    add("--checkpoint-minutes", type=float, default=3)
    add("--keep-minutes", type=float, default=15, help="a checkpoint is kept under its own name this often")
    add("--log-every", type=int, default=20)
    add("--seed", type=int, default=0)
    return parse


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    options.crop = tuple(options.crop)
    Trainer(options).run()


# Large buffers are freed and taken again in every step. glibc would return each to the kernel and fault it in anew.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_TOP_PAD_": str(2**28)}

if __name__ == "__main__":
    if any(name not in os.environ for name in ALLOCATOR):
        os.execve(sys.executable, [sys.executable, "-m", "fgnet.train", *sys.argv[1:]], {**ALLOCATOR, **os.environ})
    main()
