"""A tagger and a language model behind the same doors, both loaded at once.

    python3 -m bench.serve.doors --llm DIR [--programs target/release]

DIR is a decoder such as SmolLM2, imported or tuned. Each door is asked for the same texts by both models:
`/v1/restore`, `/v1/restore/stream`, `/v1/restore/batch`, a job, and chats by the official `openai` client. Prints who
answered, what, and how long it took; ends with 1 where two doors of a model disagree.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import openai

from bench.serve.process import Server, free_port, start

TEXTS = [
    "The Presdent of the Untied States adressed the Congress.",
    "It was the best of of times, it was the wrost of times.",
]


def restore(server: Server, model: str) -> list[str]:
    """Ask for all texts at once."""
    return [one["text"] for one in server.ask("/v1/restore", {"texts": TEXTS, "model": model})[1]["results"]]


def post(server: Server, path: str, body: bytes, kind: str) -> list[str]:
    """Post a body and return the lines of the answer."""
    request = urllib.request.Request(server.address + path, body, {"content-type": kind})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return answer.read().decode().splitlines()


def stream(server: Server, model: str) -> list[str]:
    """Put the pieces of each text together."""
    whole = []
    for text in TEXTS:
        body = json.dumps({"text": text, "model": model}).encode()
        lines = post(server, "/v1/restore/stream", body, "application/json")
        data = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
        whole.append("".join(piece["text"] for piece in data[:-1]))
    return whole


def batch(server: Server, model: str) -> list[str]:
    """Send a line a text."""
    body = "".join(json.dumps({"text": text, "model": model}) + "\n" for text in TEXTS).encode()
    return [json.loads(line)["text"] for line in post(server, "/v1/restore/batch", body, "application/x-ndjson")]


def job(server: Server, model: str) -> list[str]:
    """Have a file restored."""
    body = "".join(json.dumps({"corrupted": text}) + "\n" for text in TEXTS).encode()
    made = json.loads(post(server, f"/v1/jobs?model={model}", body, "application/x-ndjson")[0])
    while made["state"] not in ("succeeded", "failed"):
        time.sleep(0.05)
        made = server.ask(made["links"]["self"])[1]
    with urllib.request.urlopen(server.address + made["links"]["result"], timeout=600) as answer:
        return [json.loads(line)["restored"] for line in answer]


def chat(server: Server, model: str) -> list[str]:
    """Chat by the official client."""
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none")
    ask = client.chat.completions.create
    answers = [ask(model=model, messages=[{"role": "user", "content": text}]) for text in TEXTS]
    return [answer.choices[0].message.content for answer in answers]


def main() -> int:
    """Ask, and print."""
    parser = argparse.ArgumentParser(prog="bench.serve.doors", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--llm", type=Path, required=True, metavar="DIR")
    add("--model", type=Path, default=Path("models/tagger"), metavar="DIR", help="[%(default)s]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        options = ["--model", str(arguments.model), "--model-name", "tagger", "--also", f"llm={arguments.llm}"]
        options += ["--jobs", home, "--result-cache-bytes", "0"]
        server = start(arguments.programs, free_port(), options)
        for model in server.ask("/v1/models")[1]["data"]:
            print(f"{model['id']}: {model['family']}, {model['parameters']:,} weights, {model['digest'][:12]}")
        agree = True
        for model in ["tagger", "llm"]:
            first = None
            for door in [restore, stream, batch, job, chat]:
                begun = time.monotonic()
                texts = door(server, model)
                print(f"{model}, {door.__name__}: {1000 * (time.monotonic() - begun):.0f} ms")
                first = first or texts
                agree = agree and texts == first
            print(*(f"  {before}\n  → {after}" for before, after in zip(TEXTS, first, strict=True)), sep="\n")
        server.process.terminate()
        status = server.process.wait(timeout=60)
    print("every door of a model gave the same texts" if agree else "doors disagree")
    return 0 if agree and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
