"""Converts a byte-level T5 for CTranslate2. Runs in the peers' environment.

    python -m bench.restore.ctranslate2_of MODEL OUT

The model is a float32 checkpoint in the Hugging Face layout; so are the numbers that are written. CTranslate2 rounds
them where it is told to when it loads them.
"""

import argparse
import shutil
from pathlib import Path

import torch
from ctranslate2.converters.transformers import T5Loader
from transformers import AutoTokenizer, T5ForConditionalGeneration
from transformers.utils import logging


def main() -> None:
    """Write the folder anew."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    model = T5ForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32)
    # In transformers 5 every T5 is called tied; CTranslate2 scales what comes out of those that are.
    model.config.tie_word_embeddings = model.config.scale_decoder_outputs
    with torch.no_grad():
        spec = T5Loader()(model, AutoTokenizer.from_pretrained(arguments.model))
    spec.config.layer_norm_epsilon = model.config.layer_norm_epsilon
    spec.validate()
    spec.optimize()
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    spec.save(str(arguments.out))


if __name__ == "__main__":
    main()
