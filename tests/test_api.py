"""The HTTP API with other people's clients: the routes beside `/v1/restore`."""

import asyncio
import gzip
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import openai
import pytest
import websockets
import websockets.sync.client
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import ROOT, run
from serving import Events, Lines, ask, metric, server, wait_for

TEXTS = [
    "The Presidnet shall from tiime to time give to the Congrqess information of the state of the Union.",
    "",
    "Ünïcödé 👩‍👩‍👧 offf the Uniion — 世界",
    "Call me Ishmael.",
]
DAY = timedelta(days=1)
LONG = (TEXTS[0] + "\n\n") * 120


@pytest.fixture(scope="module")
def address(programs):
    """Address of a running server with the built-in checkpoint."""
    with server(programs) as address:
        yield address


def restored(address, text, **options):
    """What `/v1/restore` answers."""
    status, _, answer = ask(address, "/v1/restore", {"text": text, **options})
    assert status == 200, answer
    return answer


def test_a_stream_tells_the_pieces_of_the_same_restoration(address):
    """Pieces follow each other, join to the text, and have its edits, in what the client counts."""
    for text in [*TEXTS, LONG]:
        expected = restored(address, text, offsets="utf16")
        events = list(Events(address, "/v1/restore/stream", {"text": text, "offsets": "utf16"}))
        assert [name for name, _ in events[-1:]] == ["done"]
        assert {name for name, _ in events[:-1]} <= {"piece"}
        pieces = [json.loads(data) for _, data in events[:-1]]
        ends = [0, *(piece["end"] for piece in pieces)]
        assert [piece["start"] for piece in pieces] == ends[:-1]
        assert ends[-1] == len(text.encode("utf-16-le")) // 2
        assert "".join(piece["text"] for piece in pieces) == expected["text"]
        assert [edit for piece in pieces for edit in piece["edits"]] == expected["edits"]
        done = json.loads(events[-1][1])
        assert done["confidence"] == expected["confidence"]
        assert done["passes"] >= bool(text)
    # A long text comes in several.
    assert len(pieces) > 3


def test_pieces_come_before_the_text_is_done_and_who_goes_away_frees_its_place(address):
    """Within steps, not within the time that the whole text takes."""
    before = metric(address, "revertant_texts_cancelled_total")
    events = Events(address, "/v1/restore/stream", {"text": LONG * 40})
    assert next(iter(events))[0] == "piece"
    assert metric(address, "revertant_running_texts") == 1
    left = time.monotonic()
    events.close()
    wait_for(lambda: metric(address, "revertant_running_texts") == 0)
    assert time.monotonic() - left < 5
    assert metric(address, "revertant_texts_cancelled_total") == before + 1


def test_a_deadline_ends_a_request_and_a_stream(address):
    """With status 504, and with an event."""
    status, kind, problem = ask(address, "/v1/restore", {"text": LONG * 40, "deadline_ms": 50})
    assert (status, kind, problem["type"]) == (504, "application/problem+json", "/problems/timeout")
    events = list(Events(address, "/v1/restore/stream", {"text": LONG * 40, "deadline_ms": 300}))
    name, data = events[-1]
    assert (name, json.loads(data)["status"]) == ("error", 504)
    wait_for(lambda: metric(address, "revertant_running_texts") == 0)


def test_lines_are_answered_in_order_while_they_are_sent(address):
    """The answer to a line does not wait for the next one."""
    lines = Lines(address, "/v1/restore/batch")
    for number, text in enumerate(TEXTS, 1):
        lines.send(json.dumps({"text": text}).encode() + b"\n")
        answer = lines.read()
        assert answer.pop("line") == number
        assert answer == restored(address, text)
    lines.end()
    assert lines.read() is None
    lines.close()


def test_a_bad_line_is_answered_by_itself(address):
    """And the others go on, wherever the parts of the body are cut."""
    good = json.dumps({"text": TEXTS[0], "min_confidence": 0.5}).encode()
    body = [
        good,
        b"{",
        b"",
        b'{"text": 1}',
        b'{"texts": ["a"]}',
        b'{"text": "\xff"}',
        b'{"text": "a", "model": "x"}',
        good,
    ]
    body = b"\n".join(body)
    lines = Lines(address, "/v1/restore/batch", "application/jsonl; charset=utf-8")
    for at in range(0, len(body), 7):
        lines.send(body[at : at + 7])
    lines.end()
    answers = []
    while (answer := lines.read()) is not None:
        answers.append(answer)
    assert [answer["line"] for answer in answers] == [1, 2, 4, 5, 6, 7, 8]
    assert answers[0]["text"] == answers[-1]["text"] == restored(address, TEXTS[0], min_confidence=0.5)["text"]
    problems = [(answer["error"]["status"], answer["error"].get("pointer")) for answer in answers[1:-1]]
    assert problems == [(400, None), (422, "/text"), (422, "/texts"), (400, None), (404, "/model")]
    status, _, problem = ask(address, "/v1/restore/batch", b"{}")
    assert (status, "application/x-ndjson" in problem["detail"]) == (415, True)


def test_lines_that_break_off_or_do_not_end_are_told(programs):
    """What was whole before is answered; the last line of the answer says what happened to the rest."""
    with server(programs, "--max-body-bytes", "1000", "--body-seconds", "0.5") as address:
        for rest, status in [(b'{"text": "' + b"a" * 2000, 413), (b'{"text"', 408)]:
            lines = Lines(address, "/v1/restore/batch")
            lines.send(b'{"text": "Call me Ishmael."}\n' + rest)
            assert lines.read()["text"] == TEXTS[3]
            last = lines.read()
            assert (last["line"], last["error"]["status"]) == (2, status)
            assert lines.read() is None
            lines.close()


def test_more_lines_than_the_queue_holds_wait_for_room(programs):
    """Nothing is refused: what finds no room is read later."""
    with server(programs, "--queue-texts", "2", "--batch-texts", "1") as address:
        lines = Lines(address, "/v1/restore/batch")
        texts = [f"{TEXTS[0]} {number}" for number in range(40)]
        for text in texts:
            lines.send(json.dumps({"text": text, "protect": [[0, len(text)]]}).encode() + b"\n")
        lines.end()
        for number, text in enumerate(texts, 1):
            answer = lines.read()
            assert (answer["line"], answer["text"]) == (number, text)
        lines.close()


def test_a_body_can_be_compressed(address):
    """And one that is broken is refused."""
    body = gzip.compress(json.dumps({"text": TEXTS[0]}).encode())
    headers = {"content-encoding": "gzip"}
    assert ask(address, "/v1/restore", body, headers)[2] == restored(address, TEXTS[0])
    for broken in [body[:-9], b"no gzip at all", body[:20] + bytes(20) + body[40:]]:
        status, _, problem = ask(address, "/v1/restore", broken, headers)
        assert (status, problem["type"]) == (400, "/problems/malformed-body"), problem
    status, _, problem = ask(address, "/v1/restore", body, {"content-encoding": "br"})
    assert (status, "`br`" in problem["detail"]) == (415, True)
    # What is small on the way and large here is held to the limit of what it becomes.
    bomb = gzip.compress(b" " * (64 << 20))
    assert ask(address, "/v1/restore", bomb, headers)[0] == 413


def test_a_text_is_restored_while_it_is_typed(address):
    """Each message takes the place of the one before."""
    with websockets.sync.client.connect(address.replace("http", "ws") + "/v1/ws") as socket:

        def said():
            answers = []
            while not answers or answers[-1]["type"] == "piece":
                answers.append(json.loads(socket.recv(timeout=60)))
            return answers

        socket.send(json.dumps({"text": TEXTS[0]}))
        answers = said()
        assert answers[-1]["type"] == "done"
        assert {answer["message"] for answer in answers} == {1}
        assert "".join(answer["text"] for answer in answers[:-1]) == restored(address, TEXTS[0])["text"]
        socket.send(json.dumps({"text": 1}))
        (problem,) = said()
        assert (problem["type"], problem["message"], problem["problem"]["pointer"]) == ("error", 2, "/text")
        socket.send(json.dumps({"text": LONG * 40}))
        socket.send(json.dumps({"text": TEXTS[3]}))
        answers = said()
        while answers[-1]["message"] == 3:
            answers = said()
        assert (answers[-1]["type"], answers[-1]["message"]) == ("done", 4)
    wait_for(lambda: metric(address, "revertant_running_texts") == 0)


def test_a_flood_is_cut_off_and_others_are_served(address):
    """A client that sends more than a hundred messages a second."""

    async def flood():
        async with websockets.connect(address.replace("http", "ws") + "/v1/ws") as socket:
            with suppress(websockets.exceptions.ConnectionClosed):
                for _ in range(5000):
                    await socket.send(json.dumps({"text": TEXTS[0]}))
            await socket.wait_closed()
            return socket.close_code

    assert asyncio.run(flood()) == 1008
    assert restored(address, TEXTS[0])["edits"]
    status, _, problem = ask(address, "/v1/ws")
    assert (status, problem["type"]) == (426, "/problems/upgrade-required")


def test_the_official_client_of_the_openai_api(address):
    """Chats, whole and in chunks; models; what is not there."""
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    (model,) = client.models.list().data
    expected = restored(address, LONG)["text"]
    messages = [{"role": "system", "content": "Restore the text."}, {"role": "user", "content": LONG}]
    chat = client.chat.completions.create(model=model.id, messages=messages, temperature=0)
    assert chat.choices[0].message.content == expected
    assert (chat.choices[0].finish_reason, chat.usage.total_tokens > 0) == ("stop", True)
    chunks = list(
        client.chat.completions.create(
            model=model.id, messages=messages, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == expected
    assert len(chunks) > 4
    assert chunks[-1].usage.prompt_tokens > 0
    parts = [{"type": "text", "text": TEXTS[0][:50]}, {"type": "text", "text": TEXTS[0][50:]}]
    chat = client.chat.completions.create(model=model.id, messages=[{"role": "user", "content": parts}])
    assert chat.choices[0].message.content == restored(address, TEXTS[0])["text"]
    with pytest.raises(openai.NotFoundError, match=f"there are `{model.id}`"):
        client.chat.completions.create(model="gpt-4", messages=messages)
    with pytest.raises(openai.UnprocessableEntityError, match="role `user`"):
        client.chat.completions.create(model=model.id, messages=messages[:1])


def test_the_channel_answers_what_it_did(address):
    """Replaying the events over the text gives what it has become; the seed decides."""
    ask_for = {"text": LONG, "seed": 7, "rate": 0.05}
    _, _, first = ask(address, "/v1/corrupt", ask_for)
    assert ask(address, "/v1/corrupt", ask_for)[2] == first
    assert ask(address, "/v1/corrupt", ask_for | {"seed": 8})[2]["text"] != first["text"]
    out, at, source = b"", 0, LONG.encode()
    for event in first["events"]:
        out += source[at : event["start"]] + event["replacement"].encode()
        at = event["start"] + event["length"]
    assert out + source[at:] == first["text"].encode()
    assert len({event["op"] for event in first["events"]}) == 5
    _, _, only = ask(address, "/v1/corrupt", {"text": LONG, "operation": "reversal", "rate": 0.1})
    assert {event["op"] for event in only["events"]} == {"reversal"}
    assert ask(address, "/v1/corrupt", {"text": LONG, "rate": 0})[2] == {"text": LONG, "events": []}
    assert ask(address, "/v1/corrupt", {"text": LONG, "rate": 0.6})[2]["pointer"] == "/rate"


def test_the_description_is_the_one_in_the_documentation(programs, address):
    """`docs/openapi.json` is what the program says; `make openapi` writes it."""
    written = (ROOT / "docs/openapi.json").read_text()
    assert run([programs / "serve", "openapi"], ROOT) == written
    assert ask(address, "/openapi.json")[2] == json.loads(written)


def examine(address, folder, *options):
    """Let schemathesis send what the description allows, and what it does not."""
    hooks = os.environ | {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", ROOT / "tests/schemathesis.toml"]
    command += ["run", f"{address}/openapi.json", "--max-examples", "40", "--seed", "1", *options]
    done = subprocess.run(command, cwd=folder, env=hooks, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr


def test_the_api_keeps_what_its_description_promises(address, tmp_path):
    """On a server that takes no jobs."""
    examine(address, tmp_path)


def test_so_do_jobs(programs, tmp_path):
    """On one that takes them."""
    with server(programs, "--jobs", tmp_path / "jobs") as address:
        examine(address, tmp_path, "--include-path-regex", "^/v1/jobs")


def key(programs, name, *options):
    """Make a key; its table and the key itself."""
    command = [programs / "serve", "key", name, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.split()[-1]


def test_keys_let_in_who_has_one_for_what_it_is_for(programs, tmp_path):
    """Health and pages need none; a rate holds; no key is ever printed."""
    (one, secret), (other, second) = key(programs, "team"), key(programs, "slow", "--requests-per-second", "1")
    (tmp_path / "keys.toml").write_text(one + other)
    bearer = {"authorization": f"Bearer {secret}"}
    with server(programs, "--keys", tmp_path / "keys.toml", "--log", "trace", stderr=tmp_path / "log") as address:
        body = {"text": TEXTS[0]}
        assert ask(address, "/v1/restore", body, bearer)[0] == 200
        for headers in [
            {},
            {"authorization": secret},
            {"authorization": f"Bearer {secret[:-1]}"},
            {"authorization": "Basic eA=="},
        ]:
            status, _, problem = ask(address, "/v1/restore", body, headers)
            assert (status, problem["type"]) == (401, "/problems/unauthorized")
        for path in ["/metrics", "/info", "/v1/models", "/v1/ws"]:
            assert ask(address, path)[0] == 401
        for path in ["/healthz", "/readyz", "/openapi.json", "/problems/unauthorized"]:
            assert ask(address, path)[0] == 200
        status, _, problem = ask(address, "/v1/models/default/rollback", {}, bearer)
        assert (status, problem["type"]) == (403, "/problems/forbidden")
        client = openai.OpenAI(base_url=f"{address}/v1", api_key=secret, max_retries=0)
        assert client.models.list().data
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0).models.list()
        found = [ask(address, "/v1/restore", body, {"authorization": f"Bearer {second}"}) for _ in range(3)]
        assert (found[0][0], found[-1][0], found[-1][2]["type"]) == (200, 429, "/problems/rate-limited")
        assert found[-1][2]["retry_after_seconds"] == 1
        assert ask(address, "/v1/restore", body, bearer)[0] == 200
        shown = json.dumps(ask(address, "/info", None, bearer)[2])
    shown += (tmp_path / "log").read_text()
    assert "restore" in shown
    assert not any(part in shown for part in (secret, second, one.split('"')[-2]))


def test_a_file_that_holds_no_keys_is_refused(programs, tmp_path):
    """Before anything is served."""
    (tmp_path / "keys.toml").write_text('[[key]]\nname = "a"\nkey = "rvt_123"\n')
    said = run([programs / "serve", "http", "--keys", tmp_path / "keys.toml"], ROOT, status=2)
    assert "line 3: unknown field `key`" in said
    assert "rvt_123" not in said
    assert "no.toml" in run([programs / "serve", "http", "--keys", tmp_path / "no.toml"], ROOT, status=2)


def test_what_was_restored_before_is_not_restored_again(address):
    """And those who ask for the same at once wait for one."""
    hits, misses, texts = (f"revertant_{name}_total" for name in ("result_cache_hits", "result_cache_misses", "texts"))
    before = [metric(address, name) for name in (hits, misses, texts)]
    text = TEXTS[0] + " Once more."
    first = restored(address, text)
    assert restored(address, text, priority="bulk") == first
    assert ask(address, "/v1/restore", {"texts": [text, text, "another text"]})[2]["results"][:2] == [first, first]
    assert restored(address, text, min_confidence=1)["text"] != first["text"]
    after = [metric(address, name) for name in (hits, misses, texts)]
    assert [new - old for new, old in zip(after, before, strict=True)] == [3, 3, 3]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: restored(address, LONG[:9000]), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert metric(address, texts) == after[2] + 1


def test_several_models_answer_by_their_names(programs):
    """A tagger, a language model and the prior at once; each says which it is."""
    also = ["--also", "tagger=models/tagger", "--also", "llama=bench/models/llama"]
    with server(programs, *also, "--model-name", "prior", cwd=ROOT) as address:
        models = ask(address, "/v1/models")[2]["data"]
        assert [model["id"] for model in models] == ["prior", "tagger", "llama"]
        assert len({model["digest"] for model in models}) == 3
        answers = [restored(address, TEXTS[0], model=model["id"], min_confidence=0) for model in models]
        assert answers[0] == restored(address, TEXTS[0], min_confidence=0)
        assert len({answer["confidence"] for answer in answers}) == 3
        for model, answer in zip(models, answers, strict=True):
            events = list(
                Events(address, "/v1/restore/stream", {"text": TEXTS[0], "model": model["id"], "min_confidence": 0})
            )
            assert "".join(json.loads(data)["text"] for name, data in events if name == "piece") == answer["text"]
        status, _, problem = ask(address, "/v1/restore", {"text": "a", "model": "t5"})
        assert (status, problem["detail"]) == (404, "there is no model `t5`; there are `prior`, `tagger` and `llama`")
    twice = [programs / "serve", "http", "--also", "default=models/tagger"]
    assert "two models of the name `default`" in run(twice, ROOT, status=2)


def certificate(folder):
    """Write a certificate for 127.0.0.1 and its key; their paths."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = made.add_extension(names, critical=False).sign(secret, hashes.SHA256())
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(secret.private_bytes(*formats))
    return folder / "cert.pem", folder / "key.pem"


def test_with_a_certificate_the_server_speaks_tls(programs, tmp_path):
    """To whom trusts it; who does not shake hands holds nobody up."""
    cert, secret = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=cert)
    with server(programs, "--tls-certificate", cert, "--tls-key", secret, trust=trusting) as address:
        assert address.startswith("https://")
        silent = socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])))
        with urllib.request.urlopen(f"{address}/healthz", timeout=60, context=trusting) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"{address}/healthz", timeout=60)
        with websockets.sync.client.connect(address.replace("http", "ws") + "/v1/ws", ssl=trusting) as typed:
            typed.send(json.dumps({"text": TEXTS[0]}))
            assert json.loads(typed.recv(timeout=60))["type"] == "piece"
        silent.close()
    options = ["http", "--tls-certificate", cert, "--tls-key", cert]
    assert f"a private key in {cert}" in run([programs / "serve", *options], ROOT, status=2)
