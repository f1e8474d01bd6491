"""Restores the lines of standard input in PyTorch. Runs in the peers' environment.

Greedy, float32, with transformers' cache; a decoder's batches are padded on the left, an encoder's on the right.
"""

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.utils import logging

from bench.restore import timed
from bench.restore.reader import END, PAD, Reader


def padded(sources: list[list[int]], on_right: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Sources as one tensor, and which of it are tokens."""
    longest = max(map(len, sources))
    rows, masks = [], []
    for source in sources:
        padding = [PAD] * (longest - len(source))
        rows.append(source + padding if on_right else padding + source)
        there, absent = [1] * len(source), [0] * len(padding)
        masks.append(there + absent if on_right else absent + there)
    return torch.tensor(rows), torch.tensor(masks)


def main() -> None:
    """Restore, batch after batch."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    arguments = timed.parser(__doc__).parse_args()
    torch.set_num_threads(arguments.threads)
    reader, texts = Reader(arguments.model), timed.lines()
    kind = AutoModelForSeq2SeqLM if reader.is_t5 else AutoModelForCausalLM
    model = kind.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="sdpa").eval()

    def greedy(sources: list[list[int]], most: list[int]) -> list[list[int]]:
        ids, mask = padded(sources, on_right=reader.is_t5)
        with torch.inference_mode():
            found = model.generate(
                ids, attention_mask=mask, max_new_tokens=max(most), do_sample=False, eos_token_id=END, pad_token_id=PAD
            )
        # An encoder–decoder's output begins with the token that starts it.
        first = 1 if reader.is_t5 else ids.shape[1]
        return found[:, first:].tolist()

    timed.restore(reader, texts, arguments.batch, greedy)


if __name__ == "__main__":
    main()
