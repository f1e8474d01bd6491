"""Restores the lines of standard input in PyTorch; prints one line of JSON. Runs in the peers' environment.

A decoder that reads bytes: greedy, with transformers' cache, batches padded on the left.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

# ByT5's: padding, end, unknown; a byte's token is the byte and as many more.
PAD, END, SPECIAL = 0, 1, 3


def tokens(text: str) -> list[int]:
    """A text as tokens."""
    return [byte + SPECIAL for byte in text.encode()]


def main() -> None:
    """Restore, batch after batch."""
    logging.set_verbosity_error()
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path)
    add("--batch", type=int, default=1)
    add("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    template = json.loads((arguments.model / "restorer.json").read_text())["prompt"]
    first_token = model.config.bos_token_id
    beginning = [] if first_token is None else [first_token]
    lines = [line.rstrip("\n") for line in sys.stdin]

    def restore(texts: list[str]) -> list[str]:
        prompts = [beginning + tokens(template.replace("{text}", text)) for text in texts]
        longest = max(map(len, prompts))
        ids = torch.tensor([[PAD] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        most = max(len(text.encode()) for text in texts) * 3 // 2 + 32
        with torch.inference_mode():
            found = model.generate(
                ids, attention_mask=mask, max_new_tokens=most, do_sample=False, eos_token_id=END, pad_token_id=PAD
            )
        written = [row[longest:].tolist() for row in found]
        cut = [row[: row.index(END)] if END in row else row for row in written]
        return [bytes(t - SPECIAL for t in row if SPECIAL <= t < SPECIAL + 256).decode(errors="replace") for row in cut]

    restore(lines[: arguments.batch])
    seconds, texts = [], []
    for first in range(0, len(lines), arguments.batch):
        started = time.perf_counter()
        restored = restore(lines[first : first + arguments.batch])
        seconds.append(time.perf_counter() - started)
        texts += restored
    print(json.dumps({"seconds": seconds, "texts": texts}))


if __name__ == "__main__":
    main()
