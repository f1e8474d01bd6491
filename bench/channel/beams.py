"""Checkpoints that differ in their beams only."""

import json
import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bench.channel.restoring import Bench, Measured, measure

WIDTHS = [16, 32, 64, 128, 256]
MARGINS = [6.0, 7.0, 8.0, 9.0, 10.0]
PROPOSALS = [6, 12, 24]


@dataclass(frozen=True)
class Beam:
    """Most hypotheses a wave; how many nats behind the best they may be, and how many more one that has just lost a
    character; most characters proposed for a lost one.
    """

    width: int
    margin: float
    credit: float
    proposals: int


def beam_of(model: Path) -> Beam:
    """The beam of a checkpoint."""
    beam = json.loads((model / "restorer.json").read_text())["decoding"]["beam"]
    return Beam(*(beam[field.name] for field in fields(Beam)))


def with_beam(model: Path, beam: Beam, folder: Path) -> Path:
    """The same checkpoint with another beam; calibration and thresholds stay as they are."""
    folder.mkdir()
    for path in model.iterdir():
        if path.name != "restorer.json":
            (folder / path.name).symlink_to(path.resolve())
    settings = json.loads((model / "restorer.json").read_text())
    settings["decoding"]["beam"] |= vars(beam)
    (folder / "restorer.json").write_text(json.dumps(settings, indent=2))
    return folder


def credits(own: Beam) -> list[float]:
    """No credit, and the checkpoint's."""
    return list(dict.fromkeys([0.0, own.credit]))


def grid(own: Beam) -> list[Beam]:
    """Margin against credit, then width alone, then proposals alone."""
    beams = [replace(own, margin=margin, credit=credit) for credit in credits(own) for margin in MARGINS]
    beams += [replace(own, width=width) for width in WIDTHS]
    return list(dict.fromkeys([*beams, *(replace(own, proposals=proposals) for proposals in PROPOSALS), own]))


def sweep(bench: Bench, model: Path, beams: list[Beam]) -> list[tuple[Beam, Measured]]:
    """Measures a checkpoint with every beam."""
    with tempfile.TemporaryDirectory() as scratch:
        models = [with_beam(model, beam, Path(scratch) / f"{index}") for index, beam in enumerate(beams)]
        return list(zip(beams, measure(bench, models), strict=True))
