"""What ByT5's tokenizer makes of texts that are easily got wrong."""

import json
from pathlib import Path

from transformers import ByT5Tokenizer

TEXTS = [
    "",
    "The state of the Union.",
    "é",
    "e\u0301",
    "naïve café",
    "中文",
    "👩‍👧",
    "\u0301\u0327 alone",
    "a\x00b",
    "a</s>b",
    "ends </s>",
    "<pad> and <extra_id_0>",
    "two\nlines\r\n",
    "\ttabs  and spaces ",
    "\ufeffmark",
    "\x7f\x80ÿ",
]


def write_tokens(path: Path) -> None:
    """Write a list of texts and their ids, with the end token."""
    tokenizer = ByT5Tokenizer()
    rows = [{"text": text, "ids": tokenizer(text).input_ids} for text in TEXTS]
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
