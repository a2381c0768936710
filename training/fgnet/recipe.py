"""The paper's recipe in one command: train around a frozen SAM2 trunk, fine-tune all of it, export the weights file.

Both stages count their schedule in steps. Everything is kept in the output folder, and the same command after a stop or
a crash goes on from the last checkpoint. What the paper does not say about its training is our reconstruction; every
number can be set.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import checkpoint, export, train
from .containers import CheckpointFileError
from .importer import read_image_encoder, sha256
from .train import BAD_DATA, StopSignal, Trainer, TrainingError, load_sources

INTERRUPTED = 75  # exit status: not finished, run it again
SETTINGS = "recipe.json"
# Options that may differ when a recipe goes on: they change where and how fast it runs, or how its result is called.
FREE = {"sam2", "output", "device", "workers", "checkpoint_minutes", "log_every", "name", "training_data", "licence",
        "postprocessing"}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One training run of the recipe, in its own folder."""

    name: str
    folder: Path
    steps: int
    weight_decay: float


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="fgnet-recipe", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parse.add_argument
    add("--sam2", type=Path, required=True, help="SAM2 checkpoint (.pt, .safetensors) or fgnet-import's output")
    add("--source", action="append", required=True, help="as fgnet-train takes it; may be repeated")
    add("--output", type=Path, required=True, help="folder for checkpoints and the weights file fgnet.h5")
    add("--frozen-steps", type=int, default=200_000, help="steps with a frozen trunk; 0 leaves the stage out")
    add("--finetune-steps", type=int, default=75_000, help="steps with a learning trunk; 0 leaves the stage out")
    add("--warm-up-steps", type=int, default=1000, help="of each stage")
    add("--rate", type=float, default=1e-4, help="highest learning rate")
    add("--final-rate", type=float, default=1e-6, help="learning rate at the end of each stage")
    add("--trunk-factor", type=float, default=0.1, help="the trunk's share of the rate in the fine-tuned stage")
    add("--layer-decay", type=float, default=0.9, help="factor of the trunk's rate per block of depth")
    add("--drop-path", type=float, default=0.1, help="in the fine-tuned stage, of the trunk's last block")
    add("--frozen-weight-decay", type=float, default=1e-6)
    add("--finetune-weight-decay", type=float, default=0.05)
    add("--betas", type=float, nargs=2, default=(0.9, 0.999), help="AdamW's")
    add("--clip", type=float, default=1.0, help="largest norm of the gradient")
    add("--ema", type=float, default=0.999, help="decay of the averaged weights")
    add("--crop", type=int, nargs=3, metavar=("D", "H", "W"),
        help="voxels; by default what pads no attention window: 18 224 224, for large 18 256 256")  # fmt: skip
    add("--batch", type=int, default=2)
    add("--accumulate", type=int, default=1, help="batches per step")
    add("--keep-activations", action="store_true", help="do not compute the trunk's activations twice; needs memory")
    add("--float32", action="store_true", help="no bfloat16")
    add("--voxel-size", type=float, nargs=3, default=(30, 6, 6), metavar=("Z", "Y", "X"), help="nanometres")
    add("--seed", type=int, default=0)
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--workers", type=int, default=min(4, os.cpu_count() or 1), help="processes that draw crops")
    add("--checkpoint-minutes", type=float, default=10)
    add("--log-every", type=int, default=100)
    add("--name", default="fgnet-sam2", help="for the weights file's card, like the next two")
    add("--training-data", default="", help="by default the sources")
    add("--licence", default="")
    add("--postprocessing", default=None, metavar="JSON", help="as fgnet-export takes it")
    return parse


def say(**record: Any) -> None:
    print(json.dumps(record), flush=True)


def locked(folder: Path) -> IO[str]:
    """Holds the folder for this process; the lock ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TrainingError(f"{folder}: another fgnet-recipe is at work there") from error
    return lock


def settled(options: argparse.Namespace) -> dict[str, Any]:
    """The recipe's settings: written down when it starts, and the same whenever it goes on."""
    given = {key: value for key, value in vars(options).items() if key not in FREE}
    given = json.loads(json.dumps(given))
    path = options.output / SETTINGS
    if not any((stage.folder / checkpoint.FILE).exists() for stage in every_stage(options)):  # nothing to go on with
        encoder = read_image_encoder(options.sam2)
        trunk = {"source": options.sam2.name, "sha256": sha256(options.sam2), "size": encoder.size}
        crop = given["crop"] or ([18, 256, 256] if encoder.size == "large" else [18, 224, 224])
        settings = {"options": given, "trunk": trunk, "crop": crop}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(settings, indent=2) + "\n")
        os.replace(partial, path)
        return settings
    try:
        settings = json.loads(path.read_text())
        before = settings["options"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: is absent or damaged; take another --output") from error
    changed = [key for key in given if given[key] != before.get(key)]
    if changed:
        words = ", ".join(f"--{key.replace('_', '-')} was {before.get(key)}, is {given[key]}" for key in changed)
        raise TrainingError(f"{path}: the recipe was begun otherwise ({words}); take another --output")
    if options.sam2.exists() and sha256(options.sam2) != settings["trunk"]["sha256"]:
        raise TrainingError(f"{options.sam2}: is not the file that {options.output} was begun with")
    return settings


def every_stage(options: argparse.Namespace) -> list[Stage]:
    return [
        Stage("frozen", options.output / "frozen", options.frozen_steps, options.frozen_weight_decay),
        Stage("finetune", options.output / "finetune", options.finetune_steps, options.finetune_weight_decay),
    ]


def stages(options: argparse.Namespace) -> list[Stage]:
    """The stages that are not left out."""
    return [stage for stage in every_stage(options) if stage.steps > 0]


def training_options(
    options: argparse.Namespace, settings: dict[str, Any], stage: Stage, before: Stage | None
) -> argparse.Namespace:
    """`fgnet-train`'s options for a stage: where it begins or goes on, and how it learns."""
    begun = checkpoint.steps_done(stage.folder) is not None
    if begun:
        place = ["--resume", str(stage.folder)]
    elif before is not None:
        place = ["--start", str(before.folder)]
    else:
        place = ["--trunk", settings["trunk"]["size"], "--trunk-weights", str(options.sam2)]
    words = ["--output", str(stage.folder), "--mode", stage.name, "--steps", str(stage.steps), *place]
    for source in options.source:
        words += ["--source", source]
    values = train.parser().parse_args(words)
    for key in ("warm_up_steps", "rate", "betas", "clip", "ema", "batch", "accumulate", "float32", "voxel_size", "seed",
                "device", "workers", "checkpoint_minutes", "log_every", "trunk_factor", "layer_decay"):  # fmt: skip
        setattr(values, key, getattr(options, key))
    values.crop = tuple(settings["crop"])
    values.floor = options.final_rate / options.rate
    values.weight_decay = stage.weight_decay
    values.keep_minutes = 0
    if stage.name == "finetune":
        values.drop_path = options.drop_path
        values.activation_checkpoints = not options.keep_activations
    return values


def trained(options: argparse.Namespace, settings: dict[str, Any], stop: StopSignal) -> bool:
    """Runs what is left of the stages; False when it was told to stop."""
    sources = None
    before: Stage | None = None
    for stage in stages(options):
        done = checkpoint.steps_done(stage.folder)
        if done is not None and done >= stage.steps:
            say(stage=stage.name, state="finished before", steps=stage.steps)
        else:
            sources = sources or load_sources(options.source, tuple(settings["crop"]))
            state = "starts" if done is None else "goes on"
            trainer = Trainer(training_options(options, settings, stage, before))
            say(stage=stage.name, state=state, step=done or 0, steps=stage.steps, device=str(trainer.device))
            if not trainer.run(sources, stop):
                say(stage=stage.name, state="interrupted; the same command goes on")
                return False
        before = stage
    return True


def exported(options: argparse.Namespace, settings: dict[str, Any]) -> Path:
    """The weights file of the last stage, under its name only when it is whole."""
    source, target = stages(options)[-1].folder, options.output / "fgnet.h5"
    partial = target.with_suffix(".partial.h5")
    trunk = settings["trunk"]
    data = options.training_data or ", ".join(options.source)
    words = [str(source), str(partial), "--name", options.name, "--licence", options.licence]
    words += ["--training-data", f"{data}; trunk from {trunk['source']} (sha256 {trunk['sha256']})"]
    if options.postprocessing:
        words += ["--postprocessing", options.postprocessing]
    export.main(words)
    os.replace(partial, target)
    return target


def check(parse: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if min(options.frozen_steps, options.finetune_steps) < 0 or options.frozen_steps + options.finetune_steps == 0:
        parse.error("--frozen-steps and --finetune-steps are not negative, and not both 0")
    if min(options.batch, options.accumulate, options.workers, options.log_every) < 1:
        parse.error("--batch, --accumulate, --workers and --log-every are at least 1")
    if options.rate <= 0:
        parse.error("--rate is above 0")
    if options.postprocessing:
        try:
            json.loads(options.postprocessing)
        except ValueError as error:  # now, not after days of training
            parse.error(f"--postprocessing is no JSON: {error}")


def main(arguments: list[str] | None = None) -> None:
    parse = parser()
    options = parse.parse_args(arguments)
    check(parse, options)
    stop = StopSignal()
    try:
        with locked(options.output):
            settings = settled(options)
            if not trained(options, settings, stop):
                sys.exit(INTERRUPTED)
            say(state="exported", file=str(exported(options, settings)))
    except (TrainingError, CheckpointFileError, OSError) as error:
        print(f"fgnet-recipe: {error}", file=sys.stderr)
        sys.exit(BAD_DATA)


if __name__ == "__main__":
    main()
