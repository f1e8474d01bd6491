"""The pair schema, read without any of the project's own code: only its documentation."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

EVENT = [("op", pa.string()), ("start", pa.uint32()), ("length", pa.uint32())]
EVENT += [("removed", pa.string()), ("replacement", pa.string())]
COLUMNS = [("id", pa.uint64()), ("doc_id", pa.string()), ("source", pa.string()), ("start", pa.uint64())]
COLUMNS += [
    ("copy", pa.uint32()),
    ("noise", pa.float32()),
    ("original", pa.string()),
    ("corrupted", pa.string()),
]
COLUMNS += [("events", pa.list_(pa.struct(EVENT))), ("cer", pa.float32())]


def parts(folder):
    """Return the Parquet files of a folder, in order."""
    return sorted(Path(folder).glob("part-*.parquet"))


def read(folder):
    """Return the rows of all files of a folder."""
    return [row for part in parts(folder) for row in pq.read_table(part).to_pylist()]


def replay(original, events):
    """Apply the events of a pair to its original."""
    text, out, at = original.encode(), b"", 0
    for event in events:
        end = event["start"] + event["length"]
        assert text[event["start"] : end] == event["removed"].encode()
        out += text[at : event["start"]] + event["replacement"].encode()
        at = end
    return (out + text[at:]).decode()


def invert(corrupted, events):
    """Undo the events of a pair in its corrupted text."""
    text, out, at = corrupted.encode(), b"", 0
    for event in events:
        start = at + event["start"] - len(out)
        end = start + len(event["replacement"].encode())
        assert text[start:end] == event["replacement"].encode()
        out += text[at:start] + event["removed"].encode()
        at = end
    return (out + text[at:]).decode()


def apply_edits(text, edits):
    """Apply a restoration's edits, whose offsets are bytes of the input."""
    source, out, at = text.encode(), b"", 0
    for edit in edits:
        assert at <= edit["start"] <= edit["end"] <= len(source)
        out += source[at : edit["start"]] + edit["replacement"].encode()
        at = edit["end"]
    return (out + source[at:]).decode()


def levenshtein(a, b):
    """Return the edit distance in code points (graphemes, where every character is one)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        left = row[0]
        row[0] = i
        for j, y in enumerate(b, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (x != y))
    return row[-1]
