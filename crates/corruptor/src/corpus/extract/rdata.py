"""Print the texts of an R data file as JSON: for each variable its name and its strings."""

import json
import sys
import warnings
import zlib
from pathlib import Path

import rdata

warnings.filterwarnings("ignore")


def strings(value):
    """Return the strings in a variable: a vector, or the columns of a data frame."""
    if isinstance(value, str):
        return [value]
    if hasattr(value, "columns"):
        return [text for column in value.columns for text in strings(value[column])]
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [str(text) for text in value if isinstance(text, str)] if isinstance(value, (list, tuple)) else []


def variables(path):
    """Read a lazy-load database by its index (.rdx), or a file that R's save() or saveRDS() wrote."""
    if path.suffix.lower() != ".rdx":
        read = rdata.read_rds(path) if path.suffix.lower() == ".rds" else rdata.read_rda(path)
        return read if isinstance(read, dict) else {path.stem: read}
    index = rdata.read_rds(path)
    if int(index["compressed"][0]) != 1:
        sys.exit("the database is not compressed with zlib; load it in R (Debian: r-base-core) and save() it")
    database = path.with_suffix(".rdb").read_bytes()
    found = {}
    for name, (offset, length) in index["variables"].items():
        # Each value: its length in four bytes, then zlib.
        stored = database[int(offset) + 4 : int(offset) + int(length)]
        found[str(name)] = rdata.conversion.convert(rdata.parser.parse_data(zlib.decompress(stored)))
    return found


texts = [{"name": str(name), "lines": strings(value)} for name, value in variables(Path(sys.argv[1])).items()]
sys.stdout.buffer.write(json.dumps(texts).encode())
