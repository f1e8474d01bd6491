"""Priors of several sizes."""

from dataclasses import dataclass
from pathlib import Path

from bench.channel.restoring import Bench, Measured, measure
from bench.prior import counted

BUDGETS = [2, 4, 8, 16, 24, 32]


@dataclass(frozen=True)
class Counting:
    """What priors are counted with and from."""

    finetune: Path
    recipe: Path
    corpus: Path
    work: Path

    def prior(self, mib: float) -> Path:
        """The checkpoint of a prior of at most so many MiB."""
        return counted.count(self.finetune, self.recipe, self.corpus, mib, self.work)


@dataclass(frozen=True)
class Size:
    """A budget and what it gives: the table in MiB, bits a byte of the test passages, restoring."""

    budget: float
    mib: float
    bits: float
    measured: Measured


def sweep(bench: Bench, counting: Counting) -> list[Size]:
    """Counts and measures a prior of every size."""
    models = [counting.prior(budget) for budget in BUDGETS]
    facts = [counted.facts(model) for model in models]
    return [
        Size(budget, found["table_mib"], found["test_bits_per_byte"], measured)
        for budget, found, measured in zip(BUDGETS, facts, measure(bench, models), strict=True)
    ]
