"""What each model of text needs for the held-out passages, at each size."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.prior import counted, kenlm, ppmd
from bench.prior.texts import Texts, size

MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """A model: its size in MiB, and bits a byte of the validation and the test passages."""

    family: str
    shape: str
    mib: float
    valid: float
    test: float


def ours(folders: list[Path], texts: Texts) -> Iterator[Row]:
    """Counted priors; fails where they are of other texts."""
    for folder in folders:
        facts = counted.facts(folder)
        if facts["train_bytes"] != size(texts.train):
            raise SystemExit(f"{folder} was counted from {facts['train_bytes']} bytes, not {size(texts.train)}")
        shape = f"{facts['smoothing']}, pruned by {facts['pruning']}"
        yield Row("ours", shape, facts["table_mib"], facts["valid_bits_per_byte"], facts["test_bits_per_byte"])


def of_kenlm(programs: Path, texts: Texts) -> Iterator[Row]:
    """KenLM of every shape."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("train", "valid", "test"):
            kenlm.write_tokens(getattr(texts, name), folder / name)
        for order, pruned in kenlm.SHAPES:
            model = kenlm.build(programs, folder, order, pruned)
            valid, test = (
                kenlm.bits(programs / "query", model, folder / name, size(getattr(texts, name)))
                for name in ("valid", "test")
            )
            shape = f"order {order}" + (f", counts over {pruned}" if pruned else "")
            yield Row("KenLM", shape, model.stat().st_size / MIB, valid, test)


def of_ppmd(budgets: list[float], texts: Texts) -> Iterator[Row]:
    """PPMd that goes on learning, in so much memory and in plenty; of each, the order that is best on validation."""
    for mib in [*budgets, ppmd.LARGE_BYTES / MIB]:
        memory = int(mib * MIB)
        orders = ppmd.LARGE_ORDERS if memory == ppmd.LARGE_BYTES else ppmd.ORDERS
        found = {order: ppmd.adaptive_bits(texts.train, texts.valid, order, memory) for order in orders}
        order = min(found, key=found.__getitem__)
        test = ppmd.adaptive_bits(texts.train, texts.test, order, memory)
        yield Row("PPMd, learning on", f"order {order}", mib, found[order], test)


def of_ppmd_alone(orders: list[int], texts: Texts) -> Iterator[Row]:
    """PPMd as it is after the training passages, for each passage anew."""
    for order in orders:
        valid, test = (ppmd.alone_bits(texts.train, passages, order) for passages in (texts.valid, texts.test))
        yield Row("PPMd, each passage alone", f"order {order}", ppmd.LARGE_BYTES / MIB, valid, test)


def best_within(rows: list[Row], mib: float) -> Row | None:
    """Of the models of at most so many MiB, the one that is best on validation."""
    return min((row for row in rows if row.mib <= mib), key=lambda row: row.valid, default=None)
