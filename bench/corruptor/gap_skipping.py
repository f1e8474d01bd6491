"""The real peer: a corruptor in Python that skips from event to event and copies slices between.

It does what `docs/design.md` § 1 says, event log included, as fast as Python allows: numpy draws all random numbers
in blocks, and a loop turns once an event, not once a character. Unlike ours it counts code points, not graphemes; its
stream depends on how the rows are cut into batches; and it knows no documents, splits or duplicates.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa

OPS = ("deletion", "substitution", "insertion", "duplication", "reversal")
DELETION, SUBSTITUTION, INSERTION, DUPLICATION, REVERSAL = range(5)
ASCII = "".join(map(chr, range(0x20, 0x7F)))
BLOCK = 1 << 16

EVENT = pa.struct(
    {
        "op": pa.string(),
        "start": pa.int32(),
        "length": pa.int32(),
        "removed": pa.string(),
        "replacement": pa.string(),
    }
)


class GapSkipping:
    """Corrupts batches of texts under one `[corrupt]` table; one object a process."""

    def __init__(self, settings: dict, seed: int):
        """Prepare to draw. `settings`: the recipe's table, every key given; alphabet: printable ASCII."""
        if settings["alphabet"] != "printable-ascii":
            raise ValueError("the Python corruptor draws from printable ASCII only")
        self.random = np.random.default_rng(seed)
        self.levels = settings["levels"]
        self.next_level = _endless(partial(self._levels, settings["clean_share"]))
        rate = sum(settings[op]["rate"] for op in OPS)
        attempts = [attempt for op, name in enumerate(OPS) for attempt in _attempts(op, settings[name])]
        ops, lengths, shares = (np.array(column) for column in zip(*attempts, strict=True))
        bounds = np.cumsum(shares)
        self.attempts = ops, lengths, bounds[:-1] / bounds[-1]
        self.next_events = [_endless(partial(self._events, rate * level)) for level in self.levels]
        self.symbols, self.used = "", 0

    def _levels(self, clean_share: float) -> Iterator[int]:
        """Draw a block of indices into the noise grid; -1: clean."""
        levels = self.random.integers(len(self.levels), size=BLOCK)
        levels[self.random.random(BLOCK) < clean_share] = -1
        return iter(levels.tolist())

    def _events(self, p: float) -> Iterator[tuple[int, int, int]]:
        """Draw a block of gaps before an event, operations and span lengths."""
        ops, lengths, bounds = self.attempts
        gaps = self.random.geometric(p, BLOCK) - 1
        drawn = np.searchsorted(bounds, self.random.random(BLOCK), side="right")
        return zip(gaps.tolist(), ops[drawn].tolist(), lengths[drawn].tolist(), strict=True)

    def _draw_symbols(self, count: int) -> str:
        if self.used + count > len(self.symbols):
            drawn = self.random.integers(ord(ASCII[0]), ord(ASCII[-1]) + 1, BLOCK, dtype=np.uint8)
            self.symbols, self.used = drawn.tobytes().decode("ascii"), 0
        start = self.used
        self.used += count
        return self.symbols[start : self.used]

    def _substitute(self, removed: str) -> str:
        """Draw symbols, each unlike the one that it replaces."""
        drawn = self._draw_symbols(len(removed))
        while any(map(str.__eq__, drawn, removed)):
            kept = zip(drawn, removed, strict=True)
            drawn = "".join(new if new != old else self._draw_symbols(1) for new, old in kept)
        return drawn

    def corrupt(self, texts: list[str]) -> tuple[list[float], list[str], pa.ListArray]:
        """Return the noise level, the corrupted text and the events of each text."""
        noise, corrupted, offsets = [], [], [0]
        ops, starts, lengths, removals, replacements = log = ([], [], [], [], [])
        for text in texts:
            level = self.next_level()
            if level < 0:
                noise.append(0.0)
                corrupted.append(text)
                offsets.append(len(ops))
                continue
            noise.append(self.levels[level])
            next_event = self.next_events[level]
            end_of_text, copied, pieces, first = len(text), 0, [], len(ops)
            gap, op, length = next_event()
            at = gap
            while at <= end_of_text:
                if op == INSERTION:
                    end, after, removed, replacement = at, at + 1, "", self._draw_symbols(length)
                elif at == end_of_text:
                    break
                else:
                    end = after = min(at + length, end_of_text)
                    removed = text[at:end]
                    if op == DELETION:
                        replacement = ""
                    elif op == SUBSTITUTION:
                        replacement = self._substitute(removed)
                    elif op == DUPLICATION:
                        replacement = removed + removed
                    else:
                        replacement = removed[::-1]
                if removed != replacement:
                    pieces += (text[copied:at], replacement)
                    copied = end
                    ops.append(op)
                    starts.append(at)
                    lengths.append(end - at)
                    removals.append(removed)
                    replacements.append(replacement)
                gap, op, length = next_event()
                at = after + gap
            pieces.append(text[copied:])
            corrupted.append("".join(pieces))
            offsets.append(len(ops))
            if not text.isascii():
                _to_bytes(text, starts, lengths, removals, first)
        return noise, corrupted, _event_lists(offsets, log)


def _attempts(op: int, settings: dict) -> Iterator[tuple[int, int, float]]:
    """Give each span length of an operation, with the rate at which the two come together."""
    least = int(op == REVERSAL)
    stop, longest = 1 / (settings["mean"] - least), settings["max"] - least
    for length in range(1, longest + 1):
        survives = (1 - stop) ** (length - 1)
        yield op, least + length, settings["rate"] * survives * (stop if length < longest else 1)


def _endless(block: Callable[[], Iterator]) -> Callable:
    """Return a function that gives the items of one block after another."""

    def items():
        while True:
            yield from block()

    return items().__next__


def _to_bytes(text: str, starts: list[int], lengths: list[int], removals: list[str], first: int) -> None:
    """Turn the offsets of one text's events from code points into bytes."""
    for event in range(first, len(starts)):
        starts[event] = len(text[: starts[event]].encode())
        lengths[event] = len(removals[event].encode())


def _event_lists(offsets: list[int], log: tuple[list, ...]) -> pa.ListArray:
    ops, starts, lengths, removals, replacements = log
    names = pa.array(OPS).take(pa.array(ops, pa.int8()))
    columns = [pa.array(starts, pa.int32()), pa.array(lengths, pa.int32()), pa.array(removals), pa.array(replacements)]
    if not ops:
        columns[2:] = [pa.array([], pa.string())] * 2
    events = pa.StructArray.from_arrays([names, *columns], fields=list(EVENT))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), events)
