"""Texts as a model that reads bytes takes and gives them; of what its checkpoint says."""

import json
from pathlib import Path

# ByT5's: padding, end, unknown; a byte's token is the byte and as many more.
PAD, END, SPECIAL = 0, 1, 3


class Reader:
    """What stands around a text, and what its tokens are."""

    def __init__(self, model: Path) -> None:
        """Read a checkpoint's configuration and template."""
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        self.template: str = json.loads((model / "restorer.json").read_text(encoding="utf-8"))["prompt"]
        self.is_t5 = config["model_type"] == "t5"
        first = None if self.is_t5 else config.get("bos_token_id")
        self.before = [] if first is None else [first]
        self.behind = [END] if self.is_t5 else []

    def source(self, text: str) -> list[int]:
        """What the model reads for a text."""
        read = self.template.replace("{text}", text).encode()
        return [*self.before, *(byte + SPECIAL for byte in read), *self.behind]

    @staticmethod
    def most(text: str) -> int:
        """Tokens that may be written for a text, as ours limits them."""
        return len(text.encode()) * 3 // 2 + 32

    @staticmethod
    def text(tokens: list[int], most: int) -> str:
        """The text of what was written, up to its end; bytes that are no UTF-8 are left out."""
        cut = tokens[: tokens.index(END)] if END in tokens else tokens
        return bytes(t - SPECIAL for t in cut[:most] if SPECIAL <= t < SPECIAL + 256).decode(errors="ignore")
