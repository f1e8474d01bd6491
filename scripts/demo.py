"""The whole path on real text: collect, corrupt, restore by channel and by tagger, make models, measure them all.

Called by `make demo` inside the Python environment. Writes into `demo/`, and prints a table of what the shipped
prior, the shipped tagger, both together, a prior of a folder of texts, and the tagger after some more training reach on
held-out documents. The exit status is 1 if one of them leaves more errors than it found.

    DEMO_TEXTS           a folder with texts of your own for the prior (default: the collected ones)
    DEMO_MINUTES         minutes of training the tagger (default 4)
    REVERTANT_BIN_DIR    take the programs from this folder instead of building them
"""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
from demo_table import better_than_input, table

ROOT = Path(__file__).resolve().parent.parent
OUT = Path("demo")
RECIPE = "recipes/default.toml"
SHIPPED = "models/default"
TAGGER = "models/tagger"
TEST_PAIRS = "data/pairs/test"
STEPS = 9
STOPPED_BY_BUDGET = 3
# Held-out pairs as they are, and passages of each set of one operation or one noise level.
PAIRS, SET_PASSAGES = 1000, 200
# A trained model goes on in small steps: a fresh one's peak rates would first undo what it knows.
GENTLE = {"learning_rate": 2e-4, "table_learning_rate": 2e-3, "warmup_steps": 10, "eval_steps": 40}
START = time.monotonic()


def clock():
    """Return minutes and seconds since the start."""
    minutes, seconds = divmod(int(time.monotonic() - START), 60)
    return f"{minutes}:{seconds:02}"


def step(number, title):
    """Announce a step."""
    print(f"\n== {number}/{STEPS} [{clock()}] {title}", flush=True)


def run(*command, expected=(0,), **options):
    """Run a command, showing it and all its progress."""
    print(f"$ {shlex.join(map(str, command))}", flush=True)
    done = subprocess.run(command, check=False, **options)
    if done.returncode not in expected:
        sys.exit(f"demo: {command[0]} ended with status {done.returncode}")
    return done


def build():
    """Build the programs unless they are given, and let every later step take them."""
    if given := os.environ.get("REVERTANT_BIN_DIR"):
        return Path(given).resolve()
    run("cargo", "build", "--locked", "--release", "--workspace", "--bins")
    metadata = subprocess.check_output(["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"])
    programs = Path(json.loads(metadata)["target_directory"]) / "release"
    os.environ["REVERTANT_BIN_DIR"] = str(programs)
    return programs


def evaluate(finetune, model, name):
    """Measure a checkpoint on the held-out pairs."""
    metrics = OUT / f"{name}.json"
    run(
        *(finetune, "evaluate", "--model", model, "--pairs", TEST_PAIRS, "--limit", str(PAIRS)),
        *("--sets", "--set", f"evaluate.set_passages={SET_PASSAGES}", "--metrics", metrics),
    )
    return json.loads(metrics.read_text())


def worth_showing(path):
    """Return a held-out sentence that was corrupted in several places and restored whole, else the most improved."""

    def quality(row):
        whole = row["restored"] == row["original"]
        return whole, len(row["events"]) if whole else len(row["edits"])

    rows = pq.read_table(path).to_pylist()
    one_line = (row for row in rows if row["corrupted"] != row["original"] and "\n" not in row["original"])
    return max(one_line, key=quality)


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask_server(serve, row):
    """Start the server and restore one sentence by curl."""
    address = f"127.0.0.1:{free_port()}"
    print(f"$ {serve} http --listen {address} &", flush=True)
    server = subprocess.Popen([serve, "http", "--listen", address])
    try:
        for _ in range(300):
            if server.poll() is not None:
                sys.exit(f"demo: the server ended with status {server.returncode}")
            try:
                urllib.request.urlopen(f"http://{address}/readyz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        body = json.dumps({"text": row["corrupted"]}, ensure_ascii=False)
        curl = ["curl", "--silent", "--show-error", "--fail", f"http://{address}/v1/restore"]
        curl += ["--header", "content-type: application/json", "--data", body]
        done = run(*curl, stdout=subprocess.PIPE, text=True)
        answer = json.loads(done.stdout)
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        print(f"\n  original   {row['original']}\n  corrupted  {row['corrupted']}\n  restored   {answer['text']}")
    finally:
        server.terminate()
        server.wait()


def main():
    """Run the demo."""
    minutes = os.environ.get("DEMO_MINUTES", "4")
    texts = Path(os.environ["DEMO_TEXTS"]).resolve() if "DEMO_TEXTS" in os.environ else "data/corpus"
    os.chdir(ROOT)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()

    step(1, "build the programs")
    programs = build()
    finetune, serve = programs / "finetune", programs / "serve"

    step(2, "collect the texts and corrupt them")
    run(sys.executable, "-m", "dvc", "repro", "data")

    step(3, "restore held-out documents by the channel, and by the tagger")
    checkpoints = {"channel": evaluate(finetune, SHIPPED, "channel"), "tagger": evaluate(finetune, TAGGER, "tagger")}

    step(4, "weigh both together")
    together = OUT / "together"
    run(
        *(finetune, "train", "--recipe", RECIPE, "--family", "ensemble", "--corpus", "data/corpus"),
        *("--set", f'model.parts=["{SHIPPED}", "{TAGGER}"]', "--out", together),
    )
    checkpoints["together"] = evaluate(finetune, together, "together")

    step(5, "count a prior of a folder of texts")
    own = OUT / "own"
    run(finetune, "train", "--recipe", RECIPE, "--family", "ngram", "--corpus", texts, "--out", own)
    checkpoints["own prior"] = evaluate(finetune, own, "own")

    step(6, f"train the tagger on for {minutes} minutes")
    trained_in = OUT / "run"
    run(
        *(finetune, "train", "--recipe", RECIPE, "--pairs", "data/pairs", "--out", trained_in),
        *("--init", TAGGER, "--max-minutes", minutes),
        *(part for key, value in GENTLE.items() for part in ("--set", f"train.{key}={value}")),
        expected=(0, STOPPED_BY_BUDGET),
    )
    checkpoints[f"tagger, {minutes} minutes later"] = evaluate(finetune, trained_in, "trained")

    step(7, "restore the held-out file")
    restored = OUT / "restored.parquet"
    run(serve, "batch", f"{TEST_PAIRS}/part-00000.parquet", restored)

    step(8, "restore a sentence over HTTP")
    ask_server(serve, worth_showing(restored))

    step(9, "what came out")
    print(table(checkpoints))
    print(f"\n{clock()} minutes in all; files are in {OUT}/")
    worse = [name for name, metrics in checkpoints.items() if not better_than_input(metrics)]
    if worse:
        sys.exit(f"demo: no fewer errors than before with the checkpoint: {', '.join(worse)}")


if __name__ == "__main__":
    main()
