"""Write a weights file: the averaged weights of a checkpoint, or reproducible random ones for tests."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import checkpoint
from .config import DIRECT_OFFSETS, TRUNKS, preset
from .model import FGNet
from .seeded import seeded_state
from .weights import kept_offsets, write_weights

STAGES = ("watershed", "agglomerate")
POSTPROCESSING: dict[str, Any] = {
    "watershed": {"name": "seeded", "threshold": 0.5, "seed_distance": 2, "minimum_size": 30},
    "agglomerate": {
        "name": "windowed",
        "scoring": "quantile",
        "quantile": 75,
        "init_with_max": True,
        "threshold": 0.55,
        "look_behind": 12,
        "look_ahead": 11,
        "agreement_shift": 8,
    },
}


def postprocessing(text: str) -> dict[str, Any]:
    """Checks the form of the attribute; fgnetd knows the options and says which it does not take."""
    value = json.loads(text)
    if not isinstance(value, dict) or not value.keys() <= set(STAGES):
        raise argparse.ArgumentTypeError(f"must be a JSON object of stages out of {', '.join(STAGES)}")
    for stage, options in value.items():
        if not isinstance(options, dict) or not isinstance(options.get("name"), str):
            raise argparse.ArgumentTypeError(f"{stage} must be a JSON object with the name of a stage")
        for key, option in options.items():
            if not isinstance(option, (bool, int, float, str)):
                raise argparse.ArgumentTypeError(f"{stage}.{key} must be a truth value, a number or a text")
    return value


def export_checkpoint(source: Path, target: Path, card: dict[str, Any], post: dict[str, Any], every: bool) -> None:
    """Exports the averaged weights; with `every`, the auxiliary offsets too."""
    values = checkpoint.load(source)
    model = checkpoint.averaged_model(values)
    config, state = kept_offsets(model, model.config.offsets if every else DIRECT_OFFSETS)
    made = {
        "seeds": values["seeds"],
        "steps": values["step"],
        "training_minutes": round(values["elapsed"] / 60, 1),
    }
    write_weights(target, config, state, {**card, **made}, post)


def export_random(target: Path, trunk: str, seed: int, card: dict[str, Any], post: dict[str, Any], every: bool) -> None:
    config = preset(trunk)
    if not every:
        config = replace(config, offsets=DIRECT_OFFSETS)
    shapes = {key: value.shape for key, value in FGNet(config, folded=True).state_dict().items()}
    write_weights(target, config, seeded_state(shapes, seed), {**card, "seeds": [seed], "steps": 0}, post)


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(prog="fgnet-export", description=__doc__)
    parse.add_argument("source", type=Path, nargs="?", help="checkpoint or run folder; left out with --random-seed")
    parse.add_argument("target", type=Path, help="weights file (.h5)")
    parse.add_argument("--random-seed", type=int, help="random weights, as the goldens have them")
    parse.add_argument("--trunk", choices=sorted(TRUNKS), default="nano", help="with --random-seed")
    parse.add_argument("--all-offsets", action="store_true", help="keep the auxiliary offsets in both heads")
    parse.add_argument("--name", default="fgnet", help="for the card, like the next three")
    parse.add_argument("--training-data", default="")
    parse.add_argument("--licence", default="")
    parse.add_argument("--scores", type=json.loads, default={}, metavar="JSON")
    parse.add_argument("--postprocessing", type=postprocessing, default=POSTPROCESSING, metavar="JSON")
    return parse


def main(arguments: list[str] | None = None) -> None:
    parse = parser()
    options = parse.parse_args(arguments)
    if (options.source is None) != (options.random_seed is not None):
        parse.error("give either a checkpoint or --random-seed")
    card = {
        "name": options.name,
        "training_data": options.training_data or ("not said" if options.source else "none (random weights)"),
        "licence": options.licence,
        "date": datetime.now(UTC).date().isoformat(),
        "scores": options.scores,
    }
    if options.source is None:
        export_random(
            options.target, options.trunk, options.random_seed, card, options.postprocessing, options.all_offsets
        )
    else:
        export_checkpoint(options.source, options.target, card, options.postprocessing, options.all_offsets)


if __name__ == "__main__":
    main()
