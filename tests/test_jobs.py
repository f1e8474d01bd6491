"""Files: `serve batch`, jobs, and tables as bodies, read with other people's readers."""

import csv
import gzip
import http.client
import io
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from conftest import run
from serving import ask, free_port, metric, server, wait_for
from stores import BUCKET, S3

PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"
NEW = ["restored", "edits", "confidence", "error"]
TEXT = "The Presidnet shall from tiime to time give to the Congrqess information of the state of the Union, number"


def texts(rows):
    """Texts, every seventh missing."""
    return [None if row % 7 == 3 else f"{TEXT} {row}." for row in range(rows)]


def table(rows):
    """A table of them with another column."""
    return pa.table({"id": list(range(rows)), "corrupted": texts(rows)}).replace_schema_metadata({"origin": "a test"})


def parquet(rows, group=20):
    """The table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table(rows), sink, row_group_size=group)
    return sink.getvalue()


def json_lines(rows):
    """The texts as JSON lines, with a number that has more than one way to be written."""
    return "".join(f'{{"n": {row}.50, "corrupted": {json.dumps(text)}}}\n' for row, text in enumerate(texts(rows)))


def fetch(address, path, data=None, method=None, **headers):
    """Send a request; return its status, its headers and the bytes of the answer."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def start(address, body, path="/v1/jobs", **headers):
    """Make a job, of an upload where there are bytes; return it."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content_type": "application/json"} | headers
    status, answered, answer = fetch(address, path, data, **headers)
    assert status == 202, answer
    job = json.loads(answer)
    assert answered["location"] == job["links"]["self"]
    return job


def get(address, job, **headers):
    """The job as it is now."""
    status, _, answer = fetch(address, f"/v1/jobs/{job['id']}", **headers)
    assert status == 200, answer
    return json.loads(answer)


def ended(address, job):
    """The job once it has ended."""
    wait_for(lambda: get(address, job)["state"] not in ("queued", "running"), 180)
    return get(address, job)


def events(address, job):
    """All events of a job, to the last."""
    _, headers, answer = fetch(address, job["links"]["events"])
    assert headers["content-type"].startswith("text/event-stream")
    lines = [line.split(": ", 1) for line in answer.decode().splitlines() if line and not line.startswith(":")]
    names, data = ([value for key, value in lines if key == wanted] for wanted in ("event", "data"))
    return [(name, json.loads(one)) for name, one in zip(names, data, strict=True)]


def problem(address, path, data=None, method=None, **headers):
    """Status, kind and pointer of the problem that a request is answered by."""
    status, answered, answer = fetch(address, path, data, method, **headers)
    assert answered["content-type"] == "application/problem+json", answer
    answer = json.loads(answer)
    return status, answer["type"].removeprefix("/problems/"), answer.get("pointer")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a root for jobs."""
    home = tmp_path_factory.mktemp("jobs")
    (home / "root").mkdir()
    return home


@pytest.fixture(scope="module")
def address(programs, home):
    """Address of a server that takes jobs."""
    with server(programs, "--jobs", home / "jobs", "--root", home / "root") as address:
        yield address


def restored(address, rows, **options):
    """What `/v1/restore` answers for the texts."""
    given = [text for text in texts(rows) if text is not None]
    status, _, answer = ask(address, "/v1/restore", {"texts": given} | options)
    assert status == 200, answer
    answers = iter(answer["results"])
    return [None if text is None else next(answers) for text in texts(rows)]


def assert_restored(found, expected):
    """Columns of an output say what the API says."""
    assert len(found["restored"]) == len(expected)
    for row, answer in enumerate(expected):
        assert found["error"][row] is None
        if answer is None:
            assert found["restored"][row] is found["edits"][row] is found["confidence"][row] is None
            continue
        assert found["restored"][row] == answer["text"]
        assert [edit | {"confidence": 0} for edit in found["edits"][row]] == [
            edit | {"confidence": 0} for edit in answer["edits"]
        ]
        assert found["confidence"][row] == pytest.approx(answer["confidence"], abs=1e-5)


def test_an_upload_is_restored_and_followed(address):
    """Progress goes up to all rows; the result is the table with four more columns; what is removed is gone."""
    rows = 50
    job = start(address, parquet(rows), "/v1/jobs?max_rounds=2", content_type=PARQUET)
    assert (job["state"], job["rows_total"], job["content_type"]) == ("queued", rows, PARQUET)
    told = events(address, job)
    assert [name for name, _ in told] == ["progress"] * (len(told) - 1) + ["done"]
    done = [one["rows"] for _, one in told]
    assert done == sorted(done) and done[-1] == rows
    last = told[-1][1]
    assert last == get(address, job)
    assert (last["state"], last["restored"], last["nulls"], last["failed"]) == ("succeeded", 43, 7, 0)
    assert last["edits"] >= last["changed"] > 0 and last["rows_per_second"] > 0 and last["error"] is None
    digest = ask(address, "/v1/models")[2]["data"][0]["digest"]
    assert last["model_digests"] == [digest]
    assert last["created"] <= last["started"] <= last["finished"] <= time.time()
    status, headers, result = fetch(address, job["links"]["self"] + "/result")
    assert (status, headers["content-type"]) == (200, PARQUET)
    assert headers["content-disposition"] == f'attachment; filename="{job["id"]}.parquet"'
    found = pq.read_table(io.BytesIO(result))
    assert found.select(["id", "corrupted"]).equals(table(rows))
    assert (found.column_names[2:], found.schema.metadata[b"origin"]) == (NEW, b"a test")
    assert_restored(found.to_pydict(), restored(address, rows))
    assert pq.ParquetFile(io.BytesIO(result)).num_row_groups == 3
    _, _, listed = ask(address, "/v1/jobs?limit=1")
    assert [one["id"] for one in listed["jobs"]] == [job["id"]]
    assert fetch(address, job["links"]["self"], method="DELETE")[0] == 204
    assert problem(address, job["links"]["self"])[:2] == (404, "unknown-job")


def test_lines_and_cells_come_back_as_they_were(address):
    """Values are not written anew; bad rows are told in their place."""
    lines = json_lines(20) + "{bad\n"
    job = start(address, gzip.compress(lines.encode()), content_type=NDJSON, content_encoding="gzip")
    last = ended(address, job)
    assert (last["state"], last["rows"], last["failed"]) == ("succeeded", 21, 1)
    _, headers, result = fetch(address, last["links"]["result"])
    assert headers["content-type"] == NDJSON
    found = [json.loads(line) for line in result.decode().splitlines()]
    assert found[-1]["line"] == "{bad" and "no JSON object" in found[-1]["error"]
    assert all(f'{{"n":{row}.50,' in line for row, line in enumerate(result.decode().splitlines()[:-1]))
    assert_restored({name: [row[name] for row in found[:-1]] for name in NEW}, restored(address, 20))

    sheet = io.StringIO()
    csv.writer(sheet).writerows([["corrupted", 'no"te'], [TEXT, "a\nb"], [TEXT], ["", " x "]])
    job = start(address, sheet.getvalue().encode(), content_type="text/csv; charset=utf-8")
    last = ended(address, job)
    result = fetch(address, last["links"]["result"])[2].decode()
    found = list(csv.DictReader(io.StringIO(result, newline="")))
    assert [row['no"te'] for row in found] == ["a\nb", "", " x "]
    assert [row["error"] for row in found] == ["", "the row has 1 cells, the header 2", ""]
    expected = ask(address, "/v1/restore", {"text": TEXT})[2]
    assert found[0]["restored"] == expected["text"]
    assert [edit["start"] for edit in json.loads(found[0]["edits"])] == [edit["start"] for edit in expected["edits"]]


def test_a_file_is_decoded_as_it_was_asked_for(address):
    """As a job and as a table, to what a request of the same options is answered."""
    rows, options = 20, {"decoding": "channel", "num_beams": 1}
    expected = restored(address, rows, **options)
    assert expected != restored(address, rows)
    query = urlencode(options)
    job = ended(address, start(address, parquet(rows), f"/v1/jobs?{query}", content_type=PARQUET))
    found = pq.read_table(io.BytesIO(fetch(address, job["links"]["result"])[2]))
    assert_restored(found.to_pydict(), expected)
    status, _, answer = fetch(address, f"/v1/restore/batch?{query}", parquet(rows), content_type=PARQUET)
    assert status == 200 and pq.read_table(io.BytesIO(answer)).equals(found)


def test_what_cannot_be_a_job_is_told_at_once(address, home):
    """With the kinds of problem of any other request, and nothing stays of it."""
    whole = parquet(10)
    before = sorted(path.name for path in (home / "jobs").iterdir())
    for data, path, kind, expected in [
        (whole[:-20], "/v1/jobs", PARQUET, (400, "malformed-file", None)),
        (b"", "/v1/jobs", PARQUET, (400, "malformed-file", None)),
        (whole, "/v1/jobs?column=id", PARQUET, (422, "invalid-request", "/column")),
        (b"a,b\n", "/v1/jobs", "text/csv", (422, "invalid-request", "/column")),
        (b"corrupted,error\n", "/v1/jobs", "text/csv", (422, "invalid-request", "/overwrite_columns")),
        (whole, "/v1/jobs?decoding=greedy", PARQUET, (422, "invalid-request", "/decoding")),
        (whole, "/v1/restore/batch?decoding=edits", PARQUET, (422, "invalid-request", "/decoding")),
        (b'{"input": "a.csv", "num_beams": 0}', "/v1/jobs", "application/json", (422, "invalid-request", "/num_beams")),
        (whole, "/v1/jobs?model=none", PARQUET, (404, "unknown-model", "/model")),
        (whole, "/v1/jobs?colum=a", PARQUET, (422, "invalid-request", None)),
        (whole, "/v1/jobs", "text/plain", (415, "unsupported-media-type", None)),
        (b"{}", "/v1/jobs", "application/json", (422, "invalid-request", "")),
    ]:
        assert problem(address, path, data, content_type=kind) == expected, (path, kind)
    assert problem(address, "/v1/jobs", gzip.compress(whole)[:-9], content_type=PARQUET, content_encoding="gzip")[
        :2
    ] == (400, "malformed-body")
    assert problem(address, "/v1/jobs?limit=0")[:2] == (422, "invalid-request")
    for path in ["/v1/jobs/none", "/v1/jobs/none/events", "/v1/jobs/none/result"]:
        assert problem(address, path)[:2] == (404, "unknown-job")
    assert problem(address, "/v1/jobs/..%2f..", method="DELETE")[:2] == (404, "unknown-job")
    assert sorted(path.name for path in (home / "jobs").iterdir()) == before


def test_paths_are_taken_under_the_roots_only(address, home):
    """Whatever they are called; the output is written where it was asked for."""
    root = home / "root"
    (home / "secret.csv").write_text("corrupted\nsecret\n")
    (root / "link.csv").symlink_to(home / "secret.csv")
    (root / "out").symlink_to(home)
    (root / "in.csv").write_text(f'corrupted\n"{TEXT}"\n')

    def refused(input, output=None):
        body = json.dumps({"input": str(input), "output": output and str(output)}).encode()
        return problem(address, "/v1/jobs", body, content_type="application/json")

    outside = (403, "outside-roots")
    for path in [
        home / "secret.csv",
        root / "link.csv",
        root / "out/secret.csv",
        root / "../secret.csv",
        "/etc/passwd",
    ]:
        assert refused(path) == (*outside, "/input")
    assert refused(root / "in.csv", home / "out.csv") == (*outside, "/output")
    assert refused(root / "in.csv", root / "out/new.csv") == (*outside, "/output")
    assert refused("s3://bucket/in.csv") == (*outside, "/input")
    assert refused(root / "none.csv") == (422, "invalid-request", "/input")
    assert refused(root / "in.csv", root / "out.parquet") == (422, "invalid-request", "/output")
    job = start(address, {"input": str(root / "in.csv"), "output": str(root / "new.csv")})
    last = ended(address, job)
    assert (last["state"], last["restored"], last["links"]["result"]) == ("succeeded", 1, None)
    assert last["output"] == str(root / "new.csv")
    assert (root / "new.csv").read_text().splitlines()[0] == "corrupted," + ",".join(NEW)
    assert problem(address, f"/v1/jobs/{job['id']}/result")[:2] == (409, "no-result")


def test_without_jobs_or_roots_it_is_said_how(programs, tmp_path):
    """And one directory is for one server."""
    with server(programs) as address:
        status, _, answer = ask(address, "/v1/jobs")
        assert (status, "--jobs" in answer["detail"]) == (404, True)
    with server(programs, "--jobs", tmp_path) as address:
        status, _, answer = ask(address, "/v1/jobs", {"input": "/tmp/a.csv"})
        assert (status, "--root" in answer["detail"]) == (403, True)
        other = subprocess.run(
            [programs / "serve", "http", "--listen", "127.0.0.1:0", "--jobs", tmp_path],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (other.returncode, "another server" in other.stderr) == (1, True)


@contextmanager
def killable(programs, *options):
    """Run a server that is killed at the end of the block, ready to answer."""
    listen = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen([programs / "serve", "http", "--listen", listen, *options])
    try:
        wait_for(lambda: process.poll() is not None or is_ready(f"http://{listen}"))
        assert process.poll() is None
        yield f"http://{listen}", process
    finally:
        process.kill()
        process.wait()


def is_ready(address):
    """Whether a server answers."""
    try:
        return fetch(address, "/readyz")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("kind", ["kill", "terminate"])
def test_a_job_goes_on_where_the_server_was_ended(programs, tmp_path, kind):
    """Finished row groups are not done again, and the output is that of a job that was left alone."""
    rows, group = 400, 40
    options = ["--jobs", tmp_path, "--jobs-at-once", "1"]
    with killable(programs, *options) as (address, process):
        job = start(address, parquet(rows, group), content_type=PARQUET)
        waiting = start(address, json_lines(5).encode(), content_type=NDJSON)
        wait_for(lambda: get(address, job)["rows"] >= 2 * group, 180)
        parts = len(list(tmp_path.glob(f"{job['id']}/parts/*.part")))
        assert get(address, job)["state"] == "running"
        if kind == "kill":
            process.send_signal(signal.SIGKILL)
        else:
            process.terminate()
            assert process.wait(timeout=30) == 0
        process.wait()
    assert parts >= 1
    kept = len(list(tmp_path.glob(f"{job['id']}/parts/*.part")))
    assert parts <= kept < rows // group
    with server(programs, *options) as address:
        assert get(address, job)["created"] == job["created"]
        last = ended(address, job)
        assert (last["state"], last["rows"], last["restored"]) == ("succeeded", rows, rows - rows // 7)
        assert ended(address, waiting)["state"] == "succeeded"
        missing = sum(text is None for text in texts(rows)[kept * group :])
        small = sum(text is not None for text in texts(5))
        assert metric(address, "revertant_texts_total") == rows - kept * group - missing + small
        result = pq.read_table(io.BytesIO(fetch(address, last["links"]["result"])[2]))
        alone = ended(address, start(address, parquet(rows, group), content_type=PARQUET))
        alone = pq.read_table(io.BytesIO(fetch(address, alone["links"]["result"])[2]))
        # Confidences agree to what the order of texts leaves open.
        numbers = ["id", "corrupted", "restored", "error"]
        assert result.select(numbers).equals(alone.select(numbers))
        assert result["confidence"].to_pylist() == pytest.approx(alone["confidence"].to_pylist(), abs=1e-5)
    left = {path.name for path in (tmp_path / job["id"]).iterdir()}
    assert left == {"result.parquet"}


def test_a_cancelled_job_stops_soon_and_the_next_one_comes(programs, tmp_path):
    """Nothing of it stays; a queued one can be cancelled, too."""
    with server(programs, "--jobs", tmp_path, "--jobs-at-once", "1") as address:
        running = start(address, parquet(5000, 5000), content_type=PARQUET)
        waiting = start(address, json_lines(9).encode(), content_type=NDJSON)
        last = start(address, json_lines(9).encode(), content_type=NDJSON)
        wait_for(lambda: get(address, running)["rows"] > 0)
        assert problem(address, f"/v1/jobs/{running['id']}/result")[:2] == (409, "no-result")
        assert get(address, running)["seconds_left"] > 0
        for job in [waiting, running]:
            status, _, answer = fetch(address, job["links"]["self"], method="DELETE")
            assert (status, json.loads(answer)["state"]) == (200, "cancelled")
        cancelled = time.monotonic()
        assert ended(address, last)["state"] == "succeeded"
        assert time.monotonic() - cancelled < 30
        assert events(address, running)[-1][0] == "done"
        wait_for(lambda: not (tmp_path / running["id"]).exists() and not (tmp_path / waiting["id"]).exists())
        assert metric(address, 'revertant_jobs{state="cancelled"}') == 2


def test_a_job_whose_file_has_vanished_or_changed_fails_and_says_so(programs, tmp_path):
    """Both before its turn, and between two runs of the server."""
    root, jobs = tmp_path / "root", tmp_path / "jobs"
    root.mkdir()
    options = ["--jobs", jobs, "--root", root, "--jobs-at-once", "1"]
    (root / "big.parquet").write_bytes(parquet(2000, 20))
    (root / "gone.csv").write_text("corrupted\na\n")
    with killable(programs, *options) as (address, process):
        big = start(address, {"input": str(root / "big.parquet")})
        gone = start(address, {"input": str(root / "gone.csv")})
        (root / "gone.csv").unlink()
        wait_for(lambda: get(address, big)["rows"] > 20)
        process.kill()
    (root / "big.parquet").write_bytes(parquet(1999, 20))
    with server(programs, *options) as address:
        last = ended(address, big)
        assert (last["state"], "changed" in last["error"]) == ("failed", True)
        last = ended(address, gone)
        assert (last["state"], str(root / "gone.csv") in last["error"]) == ("failed", True)
        assert problem(address, f"/v1/jobs/{gone['id']}/result")[:2] == (409, "no-result")


def test_jobs_are_those_of_their_client(programs, tmp_path):
    """Another key does not see them; one for administration does."""
    keys = tmp_path / "keys.toml"
    secrets = {}
    for name, role in [("a", "restore"), ("b", "restore"), ("c", "admin")]:
        command = [programs / "serve", "key", name, "--role", role]
        made = subprocess.run(command, capture_output=True, text=True, check=True)
        with keys.open("a") as file:
            file.write(made.stdout)
        secrets[name] = {"authorization": f"Bearer {made.stderr.split()[-1]}"}
    with server(programs, "--jobs", tmp_path / "jobs", "--keys", keys) as address:
        job = start(address, json_lines(3).encode(), content_type=NDJSON, **secrets["a"])
        wait_for(lambda: get(address, job, **secrets["a"])["state"] == "succeeded")
        path = job["links"]["self"]
        for under in ["", "/events", "/result"]:
            assert problem(address, path + under, **secrets["b"])[:2] == (404, "unknown-job")
            assert problem(address, path + under)[0] == 401
        assert problem(address, path, method="DELETE", **secrets["b"])[:2] == (404, "unknown-job")
        seen = {name: json.loads(fetch(address, "/v1/jobs", **secret)[2])["jobs"] for name, secret in secrets.items()}
        assert {name: len(jobs) for name, jobs in seen.items()} == {"a": 1, "b": 0, "c": 1}
        assert fetch(address, path + "/result", **secrets["c"])[0] == 200
        assert fetch(address, path, method="DELETE", **secrets["c"])[0] == 204


def test_the_command_restores_every_format_of_a_directory(programs, address, tmp_path):
    """What it writes is what a job writes."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "a.parquet").write_bytes(parquet(12))
    (inputs / "b.jsonl").write_text(json_lines(12))
    (inputs / "c.csv").write_text("id,corrupted\n" + "".join(f'{row},"{TEXT}"\n' for row in range(3)))
    said = run([programs / "serve", "batch", inputs, tmp_path / "out"], tmp_path)
    assert "27 rows: 23 restored" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.parquet", "b.jsonl", "c.csv"]
    assert_restored(pq.read_table(tmp_path / "out/a.parquet").to_pydict(), restored(address, 12))
    lines = [json.loads(line) for line in (tmp_path / "out/b.jsonl").read_text().splitlines()]
    assert_restored({name: [row[name] for row in lines] for name in NEW}, restored(address, 12))
    with (tmp_path / "out/c.csv").open(newline="") as file:
        assert {row["error"] for row in csv.DictReader(file)} == {""}
    said = run([programs / "serve", "batch", inputs / "c.csv", tmp_path / "c.jsonl"], tmp_path, status=2)
    assert "two formats" in said and "hint:" in said


def test_files_on_a_store(programs, tmp_path):
    """From a URL to a URL, by the command and by a job."""
    with S3.start() as store:
        store.put("in/a.parquet", parquet(10, 4))
        env = os.environ | store.env() | {"REVERTANT_STORE_RETRIES": "1"}
        url = f"s3://{BUCKET}"
        probe = [programs / "serve", "batch", f"{url}/in/a.parquet", f"{url}/out/a.parquet"]
        done = subprocess.run(probe, env=env, capture_output=True, text=True, check=False, timeout=120)
        if "built without object stores" in done.stderr:
            pytest.skip("serve was built without the feature object-store")
        assert done.returncode == 0, done.stderr
        found = pq.read_table(io.BytesIO(store.get("out/a.parquet")))
        assert (found.num_rows, found.column_names[2:]) == (10, NEW)
        run([programs / "serve", "batch", f"{url}/in", f"{url}/all"], tmp_path, env=env)
        assert store.keys("all") == ["all/a.parquet"]
        listen = f"127.0.0.1:{free_port()}"
        command = [programs / "serve", "http", "--listen", listen, "--jobs", tmp_path, "--root", f"{url}/in"]
        process = subprocess.Popen([*command, "--root", f"{url}/jobs"], env=env)
        try:
            address = f"http://{listen}"
            wait_for(lambda: is_ready(address))
            job = start(address, {"input": f"{url}/in/a.parquet", "output": f"{url}/jobs/a.parquet"})
            last = ended(address, job)
            assert (last["state"], last["rows"]) == ("succeeded", 10), last
            job = json.dumps({"input": f"{url}/out/a.parquet"}).encode()
            assert problem(address, "/v1/jobs", job, content_type="application/json")[:2] == (403, "outside-roots")
        finally:
            process.terminate()
            process.wait(timeout=30)
        # Restored in other company, as parts: the rows are the same.
        job = pq.read_table(io.BytesIO(store.get("jobs/a.parquet")))
        assert job["restored"].equals(found["restored"])


def test_an_arrow_stream_is_answered_batch_by_batch(address):
    """The answer to a batch is there before the next one is sent."""
    rows = 30
    parts = [io.BytesIO()]
    given = table(rows)
    writer = pa.ipc.new_stream(parts[0], given.schema)
    ends = []
    for batch in given.to_batches(max_chunksize=10):
        writer.write_batch(batch)
        ends.append(parts[0].tell())
    writer.close()
    stream = parts[0].getvalue()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    connection.putrequest("POST", "/v1/restore/batch?min_confidence=0.5")
    connection.putheader("content-type", ARROW)
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()

    def send(data):
        connection.send(b"%x\r\n%s\r\n" % (len(data), data))

    send(stream[: ends[0]])
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (200, ARROW)
    reader = pa.ipc.open_stream(answer)
    found = [reader.read_next_batch()]
    send(stream[ends[0] :])
    send(b"")
    found = pa.Table.from_batches(found + list(reader))
    connection.close()
    assert found.select(["id", "corrupted"]).equals(given)
    assert found.schema.metadata == given.schema.metadata
    found = found.to_pydict()
    given = [text for text in texts(rows) if text is not None]
    expected = iter(ask(address, "/v1/restore", {"texts": given, "min_confidence": 0.5})[2]["results"])
    assert_restored(found, [None if text is None else next(expected) for text in texts(rows)])


def test_tables_that_are_not_whole_are_not_answered_as_whole(address):
    """Before the first byte with a problem, afterwards by an answer that breaks off."""
    whole = parquet(30)
    status, headers, answer = fetch(address, "/v1/restore/batch", whole, content_type=PARQUET)
    assert (status, headers["content-type"]) == (200, PARQUET)
    found = pq.read_table(io.BytesIO(answer))
    assert_restored(found.to_pydict(), restored(address, 30))
    path = "/v1/restore/batch"
    for data, kind, under, expected in [
        (whole[:-30], PARQUET, "", (400, "malformed-file", None)),
        (whole, PARQUET, "?column=none", (422, "invalid-request", "/column")),
        (b"no stream", ARROW, "", (400, "malformed-file", None)),
        (b"", ARROW, "", (400, "malformed-file", None)),
        (whole, PARQUET, "?model=none", (404, "unknown-model", "/model")),
    ]:
        assert problem(address, path + under, data, content_type=kind) == expected
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table(30).schema) as writer:
        writer.write_table(table(30), max_chunksize=10)
    stream = sink.getvalue()
    with pytest.raises(http.client.IncompleteRead):
        fetch(address, path, stream[: len(stream) * 3 // 4], content_type=ARROW)
    assert ask(address, "/readyz")[0] == 200


def test_uploads_are_bounded(programs, tmp_path):
    """In bytes, also of what gzip makes of them, and in number."""
    options = ["--jobs", tmp_path, "--max-upload-bytes", "100000", "--queue-jobs", "1", "--jobs-at-once", "1"]
    with server(programs, *options) as address:
        bomb = gzip.compress(b"corrupted\n" + b"a\n" * 500_000)
        assert problem(address, "/v1/jobs", bomb, content_type="text/csv", content_encoding="gzip")[:2] == (
            413,
            "too-large",
        )
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
        start(address, json_lines(400).encode(), content_type=NDJSON)
        assert problem(address, "/v1/jobs", json_lines(1).encode(), content_type=NDJSON)[:2] == (429, "queue-full")
