"""What a tiny tagger learns from: a recipe that trains in a second, and its pairs."""

import json
import random

from conftest import run

RECIPE = """
[corrupt]
seed = 7
alphabet = { custom = "0123456789" }
deletion.rate = 0.0
substitution.rate = 0.0
duplication.rate = 0.0
reversal.rate = 0.0
insertion = { rate = 0.08, mean = 1.5, max = 3 }

[model]
family = "tagger"
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 16
table_rows = 1024
table_dim = 8
window_bytes = 128
overlap_bytes = 16

[train]
steps = 12
batch_tokens = 512
step_tokens = 512
warmup_steps = 2
eval_steps = 6
valid_pairs = 16
save_minutes = 0.0005
log_steps = 1
confidence_grid = [0.5]
"""


def make_home(programs, home):
    """Write a recipe and pairs into a folder, and return it."""
    words = ["the", "of", "and", "nation", "people", "congress", "year", "great", "war", "peace", "law", "state"]
    dice = random.Random(5)
    with (home / "texts.jsonl").open("w") as texts:
        for _ in range(300):
            sentences = (" ".join(dice.choices(words, k=12)).capitalize() + "." for _ in range(4))
            texts.write(json.dumps({"text": " ".join(sentences)}) + "\n")
    (home / "recipe.toml").write_text(RECIPE)
    generate = [programs / "corruptor", "generate", "--recipe", "recipe.toml", "--input", "texts.jsonl"]
    run([*generate, "--out", "pairs"], home)
    return home
