"""What is trained here loads in transformers and in peft, and gives the same there."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, ByT5Tokenizer

ROOT = Path(__file__).resolve().parent.parent.parent
RECIPE = """
[corrupt]
levels = [1.0]
[model]
family = "{family}"
window_bytes = 96
overlap_bytes = 8
config = {config}
{lora}
[train]
steps = 12
batch_tokens = 512
step_tokens = 1024
learning_rate = 0.01
eval_steps = 12
valid_pairs = 4
confidence_grid = [0.5]
"""
CONFIGS = {
    "llama": "{ hidden_size = 32, intermediate_size = 48, head_dim = 16, num_attention_heads = 2,"
    " num_key_value_heads = 1, num_hidden_layers = 2 }",
    "qwen3": "{ hidden_size = 32, intermediate_size = 48, head_dim = 16, num_attention_heads = 2,"
    " num_key_value_heads = 1, num_hidden_layers = 2 }",
    "t5": "{ d_model = 32, d_ff = 48, d_kv = 16, num_heads = 2, num_layers = 2, num_decoder_layers = 1 }",
}
TEXTS = ["The quick brown fox jumps over the lazy dog.", "Années, 中文 and 🙂.", "x"]


@pytest.fixture(scope="session")
def programs():
    """Folder with `finetune`, `corruptor` and `examples/lm`: REVERTANT_BIN_DIR, else built, optimized."""
    if given := os.environ.get("REVERTANT_BIN_DIR"):
        return Path(given)
    build = ["cargo", "build", "--locked", "--release", "--workspace", "--bins", "--example", "lm"]
    subprocess.run([*build, "--features", "corruptor/object-store"], cwd=ROOT, check=True)
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps", "--quiet"]
    found = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True)
    return Path(json.loads(found.stdout)["target_directory"]) / "release"


@pytest.fixture(scope="session")
def pairs(programs, tmp_path_factory):
    """Pairs of a page of text."""
    folder = tmp_path_factory.mktemp("pairs")
    words = (ROOT / "docs/design.md").read_text().split()
    for number in range(60):
        text = " ".join(words[number * 40 : number * 40 + 40])
        (folder / f"{number}.txt").write_text(text)
    (folder / "recipe.toml").write_text("[corpus]\nmin_passage_bytes = 16\nvalid_share = 0.2\n")
    command = [programs / "corruptor", "generate", "--recipe", folder / "recipe.toml", "--out", folder / "pairs"]
    subprocess.run([*command, "--input", *sorted(folder.glob("*.txt"))], check=True)
    return folder / "pairs"


@pytest.fixture
def train(programs, pairs, tmp_path):
    """Return a function that trains a few steps and returns the run's folder."""

    def run(name, family, init=None, lora=""):
        recipe = tmp_path / f"{name}.toml"
        recipe.write_text(RECIPE.format(family=family, config="{}" if init else CONFIGS[family], lora=lora))
        command = [programs / "finetune", "train", "--recipe", recipe, "--pairs", pairs, "--out", tmp_path / name]
        subprocess.run([*command, *(["--init", init] if init else [])], check=True)
        return tmp_path / name

    return run


def lm(programs, task, model, lines):
    """Ask our implementation; return its answers."""
    text = "".join(f"{line}\n" for line in lines)
    command = [programs / "examples" / "lm", task, model]
    done = subprocess.run(command, input=text.encode(), check=True, capture_output=True)
    # A line ends at a line feed only: models write all kinds of breaks.
    return done.stdout.decode().split("\n")[:-1]


def reference(model, text):
    """Nats a token that transformers gives to a text."""
    tokenizer = ByT5Tokenizer()
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        logits = model(ids).logits[0, :-1].double()
    return -torch.log_softmax(logits, -1).gather(1, ids[0, 1:, None]).mean().item()


def same_likelihoods(programs, folder, model, what):
    """Compare what both give to texts of more than one token."""
    texts = TEXTS[:2]
    ours = [float(answer.split()[0]) for answer in lm(programs, "likelihood", folder, texts)]
    theirs = [reference(model, text) for text in texts]
    assert ours == pytest.approx(theirs, abs=2e-4)
    if table := os.environ.get("REVERTANT_PARITY"):
        apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        with Path(table).open("a", encoding="utf-8") as lines:
            lines.write(f"{what}\tnats a token\t{apart:.1e}\n")


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_decoder_is_the_same_in_transformers(programs, train, family):
    run = train("run", family)
    model, report = AutoModelForCausalLM.from_pretrained(run, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    same_likelihoods(programs, run, model.eval(), f"{family}, trained here")


@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_is_the_same_in_peft_and_so_is_the_merged_model(programs, train, tmp_path, rslora):
    base = train("base", "llama")
    lora = f'[model.lora]\nrank = 4\ntarget_modules = ["q_proj", "down_proj"]\nuse_rslora = {str(rslora).lower()}\n'
    adapter = train("adapter", "llama", init=base, lora=lora)
    model = AutoModelForCausalLM.from_pretrained(base).eval()
    before = reference(model, TEXTS[0])
    model = PeftModel.from_pretrained(model, adapter).eval()
    assert abs(reference(model, TEXTS[0]) - before) > 1e-3, "the adapter does nothing"
    same_likelihoods(programs, adapter, model, f"adapter, rslora {rslora}, trained here")
    merged = tmp_path / "merged"
    subprocess.run([programs / "finetune", "merge", "--adapter", adapter, "--out", merged], check=True)
    model = AutoModelForCausalLM.from_pretrained(merged).eval()
    same_likelihoods(programs, merged, model, f"the same merged, rslora {rslora}")


def test_matrices_of_eight_bits_are_the_same_in_transformers(programs, train, tmp_path):
    run, small, back = train("run", "llama"), tmp_path / "small", tmp_path / "back"
    for model, out, options in [(run, small, ["--weight-bits", "8"]), (small, back, ["--dtype", "float32"])]:
        subprocess.run([programs / "finetune", "export", "--model", model, "--out", out, *options], check=True)
    model, report = AutoModelForCausalLM.from_pretrained(small, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    same_likelihoods(programs, back, model.eval(), "llama in 8 bits, exported here")


def test_an_encoder_decoder_writes_the_same_in_transformers(programs, train):
    run = train("run", "t5")
    model, report = AutoModelForSeq2SeqLM.from_pretrained(run, output_loading_info=True)
    assert not report["missing_keys"]
    tokenizer = ByT5Tokenizer()
    for text in TEXTS[:1]:
        # `lm write` gives the template as it is; an encoder's source ends with the end of the text.
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            written = model.generate(ids, max_new_tokens=64, do_sample=False)
        ours = lm(programs, "write", run, [text])[0]
        assert ours == tokenizer.decode(written[0], skip_special_tokens=True).replace("\n", "\\n")
