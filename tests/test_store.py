"""Inputs and outputs by URL, against servers of third parties: what is made is what local files make."""

import functools
import gzip
import json
import os
import random
import resource
import signal
import subprocess
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import ROOT
from stores import BUCKET, S3, Azure, Gcs, Line

STORES = {"s3": S3, "az": Azure, "gs": Gcs}
# fake-gcs-server does not know the requests by which objects are uploaded.
TAKE_UPLOADS = ["s3", "az"]
RECIPE = ROOT / "recipes/default.toml"
FAILED = 1
WORDS = [word for word in (ROOT / "LICENSE-APACHE").read_text().split() if word.isalpha()]


def text(seed, words=120):
    """Return sentences of some length, other ones for each seed."""
    draw = random.Random(seed)
    sentences = (" ".join(draw.choices(WORDS, k=12)).capitalize() + "." for _ in range(words // 12))
    return " ".join(sentences)


def json_lines(seeds, words=120):
    """Return a file of JSON lines, one document a seed."""
    return "".join(json.dumps({"text": text(seed, words)}) + "\n" for seed in seeds).encode()


def parquet(seeds):
    """Return a Parquet file, one document a seed."""
    sink = pa.BufferOutputStream()
    seeds = list(seeds)
    ids = [f"row-{seed}" for seed in seeds]
    pq.write_table(pa.table({"doc_id": ids, "text": [text(seed) for seed in seeds]}), sink, row_group_size=4)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def inputs():
    """Return files of every format, in names whose order as strings is not the order of a directory walk."""
    return {
        "a-b.txt": text(1).encode(),
        "a/c.txt": text(2).encode(),
        "a/d e%20f.csv": f'id,text\n1,"{text(3)}"\n2,"{text(4)}"\n'.encode(),
        "a.b/lines.jsonl": json_lines(range(10, 30)),
        "z/lines.jsonl.gz": gzip.compress(json_lines(range(30, 60))),
        "z/table.parquet": parquet(range(60, 90)),
        "z/.hidden.txt": b"passed over",
        "readme.md": b"passed over too",
    }


@pytest.fixture(scope="session")
def started(program):
    """Return a function that gives a bucket in a store, which it starts the first time."""
    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(STORES[name].start()))


@pytest.fixture(params=STORES)
def store(request, started):
    """Return a bucket in each of the stores."""
    return started(request.param)


@pytest.fixture(params=TAKE_UPLOADS)
def writable(request, started):
    """Return a bucket in each of the stores that take uploads."""
    return started(request.param)


@pytest.fixture
def s3(started):
    """Return a bucket in moto."""
    return started("s3")


@pytest.fixture(scope="session")
def program(programs):
    """Return the program; it must know stores, unless it was built without."""
    path = programs / "corruptor"
    probe = subprocess.run([path, "inspect", "s3:///"], capture_output=True, text=True, check=False)
    assert probe.returncode == FAILED and "names no bucket" in probe.stderr, probe.stderr
    probe = subprocess.run(
        [path, "inspect", "s3://bucket/key"],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        | {"AWS_ALLOW_HTTP": "true", "REVERTANT_STORE_RETRIES": "0"},
    )
    if "built without object stores" in probe.stderr:
        pytest.skip("corruptor was built without the feature object-store")
    return path


@pytest.fixture
def run(program, tmp_path):
    """Return a function that runs the program and makes sure that it leaves no temporary file."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def run(*arguments, env, status=0, retries=3, **options):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "AZURE_", "GOOGLE_"))}
        environment |= {"TMPDIR": str(scratch), "REVERTANT_STORE_RETRIES": str(retries)} | env
        done = subprocess.run(
            [program, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **options,
        )
        words = f"{arguments} ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
        assert done.returncode == status, words
        assert not list(scratch.iterdir()), words
        return done.stdout if status == 0 else done.stderr

    return run


def generate(*inputs, out, rows=40):
    """Return the arguments of a run with small parts."""
    return ["generate", "--recipe", RECIPE, "--input", *inputs, "--out", out, "--part-rows", rows]


def put_all(store, prefix, files):
    """Upload files under a prefix and return its URL."""
    for name, content in files.items():
        store.put(f"{prefix}/{name}", content)
    return f"{store.scheme}://{BUCKET}/{prefix}"


def write_all(folder, files):
    """Write files into a folder and return it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def contents(folder):
    """Return the content of every file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def stored(store, prefix):
    """Return the content of every object under a prefix."""
    return {key.removeprefix(f"{prefix}/"): store.get(key) for key in store.keys(f"{prefix}/")}


def test_pairs_are_those_of_local_files(store, run, inputs, tmp_path):
    """From files and from objects come the same pairs, and the same findings about them."""
    local = write_all(tmp_path / "in", inputs)
    url = put_all(store, "same/in", inputs)
    from_files = run(*generate(local, out="pairs"), env={})
    assert run(*generate(url + "/", out="from-objects"), env=store.env()) == from_files
    expected = contents(tmp_path / "pairs")
    assert len(expected) > 5
    assert contents(tmp_path / "from-objects") == expected

    pairs = put_all(store, "same/pairs", expected)
    assert run("inspect", pairs, env=store.env()) == run("inspect", "pairs", env={})
    part = "train/part-00001.parquet"
    assert run("inspect", f"{pairs}/{part}", env=store.env()) == run("inspect", f"pairs/{part}", env={})


def test_outputs_are_those_of_local_runs(writable, run, inputs, tmp_path):
    """Pairs, metrics and report are the same bytes, whether they stay here or go to a store."""
    store = writable
    local = write_all(tmp_path / "in", inputs)
    env = store.env()
    out = f"{store.scheme}://{BUCKET}/out/pairs"
    assert run(*generate(local, out=out), env=env) == run(*generate(local, out="pairs"), env={})
    assert stored(store, "out/pairs") == contents(tmp_path / "pairs")

    report = ["--metrics", "m.json", "--report", "r.html"]
    there = ["--metrics", f"{out}-m.json", "--report", f"{out}-r.html"]
    assert run("inspect", out, *there, env=env) == run("inspect", "pairs", *report, env={})
    assert store.get("out/pairs-m.json") == (tmp_path / "m.json").read_bytes()
    assert store.get("out/pairs-r.html") == (tmp_path / "r.html").read_bytes()


def test_objects_are_read_in_the_order_given(store, run, inputs, tmp_path):
    """Single objects, a whole bucket, and a file beside them."""
    names = ["z/lines.jsonl.gz", "a/c.txt"]
    local = write_all(tmp_path / "in", inputs)
    url = put_all(store, "order", inputs)
    run(*generate(*(local / name for name in names), out="expected"), env={})
    run(*generate(f"{url}/{names[0]}", f"file://{local / names[1]}", out="found"), env=store.env())
    assert contents(tmp_path / "found") == contents(tmp_path / "expected")


def test_large_objects_travel_in_pieces(store, run, tmp_path):
    """Objects of several ranges, and of several parts, come through whole."""
    files = {"large.jsonl": json_lines(range(1000, 5000), words=900)}
    assert len(files["large.jsonl"]) > 17 << 20
    local = write_all(tmp_path / "in", files)
    url = put_all(store, "large/in", files)
    recipe = ["--set", "corrupt.copies=2"]
    run(*generate(local, out="pairs", rows=10**6), *recipe, env={})
    expected = contents(tmp_path / "pairs")
    assert max(map(len, expected.values())) > 9 << 20
    takes_uploads = store.scheme in TAKE_UPLOADS
    out = f"{store.scheme}://{BUCKET}/large/pairs" if takes_uploads else "found"
    run(*generate(url, out=out, rows=10**6), *recipe, env=store.env())
    assert (stored(store, "large/pairs") if takes_uploads else contents(tmp_path / "found")) == expected


def test_outputs_are_replaced_only_when_told(writable, run, inputs):
    """A second run is an error, --force replaces parts of its own kind, and nothing else."""
    store = writable
    url = put_all(store, "twice/in", inputs)
    out = f"{store.scheme}://{BUCKET}/twice/pairs"
    env = store.env()
    run(*generate(url, out=out, rows=10), env=env)
    many = stored(store, "twice/pairs")
    error = run(*generate(url, out=out), env=env, status=FAILED)
    assert out in error and "--force" in error
    assert stored(store, "twice/pairs") == many
    run(*generate(url, out=out), "--force", env=env)
    assert 0 < len(stored(store, "twice/pairs")) < len(many)
    store.put("twice/pairs/notes.md", b"mine")
    error = run(*generate(url, out=out), "--force", env=env, status=FAILED)
    assert f"{out}/notes.md" in error
    assert store.get("twice/pairs/notes.md") == b"mine"


def test_a_failed_run_leaves_nothing(writable, run):
    """Documents after many good ones are broken: no part remains."""
    store = writable
    files = {"1.jsonl": json_lines(range(200), words=2400), "2.jsonl": b'{"text": "cut o'}
    url = put_all(store, "failed/in", files)
    out = f"{store.scheme}://{BUCKET}/failed/pairs"
    error = run(*generate(url, out=out), env=store.env(), status=FAILED)
    assert f"{url}/2.jsonl, line 1" in error
    assert not store.keys("failed/pairs")


def test_a_corpus_goes_to_a_store(writable, run, tmp_path):
    """`corpus --out` writes the same file there as here."""
    store = writable
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text(text(1))
    recipe = '[[corpus.sources]]\nkind = "path"\nname = "mine"\nlicence = "CC0-1.0"\npath = "texts"\n'
    (tmp_path / "recipe.toml").write_text(recipe + 'include = "*.txt"\n')
    run("corpus", "--recipe", "recipe.toml", "--out", "corpus", env={})
    out = f"{store.scheme}://{BUCKET}/made/corpus"
    run("corpus", "--recipe", "recipe.toml", "--out", out, env=store.env())
    assert stored(store, "made/corpus") == contents(tmp_path / "corpus") != {}


def test_what_is_not_there_is_named(store, run, inputs, tmp_path):
    """Missing objects, buckets and formats are errors with the URL."""
    store.put("names/a.doc", b"x")
    base = f"{store.scheme}://{BUCKET}"
    missing_bucket = f"{store.scheme}://no-such-bucket"
    cases = {
        f"{base}/names/b.txt": "no such object",
        f"{base}/names/a.doc": "no known extension",
        f"{base}/names": "holds no .txt",
        # fake-gcs-server answers 500 where Google answers 404.
        f"{missing_bucket}/a.txt": "check the n" if isinstance(store, Gcs) else "check the names of bucket and object",
    }
    for url, words in cases.items():
        error = run(*generate(url, out="pairs"), env=store.env(), status=FAILED)
        assert url in error and words in error, error
    assert base in run("inspect", f"{base}/names", env=store.env(), status=FAILED)
    write_all(tmp_path / "in", inputs)
    out = f"{missing_bucket}/out"
    assert out in run(*generate("in", out=out), env=store.env(), status=FAILED)


def test_malformed_urls_are_named(run):
    """What looks like a URL and is none that is known says what is."""
    for url in ("ftp://host/a.txt", "s3:///a.txt", "s3://bucket/a/../b.txt"):
        assert url in run(*generate(url, out="pairs"), env={}, status=FAILED)


def test_wrong_credentials_are_named(run, inputs, tmp_path):
    """A store that checks keys refuses others, and the error says which variables to look at."""
    write_all(tmp_path / "in", inputs)
    with ExitStack() as stack:
        s3, azure = stack.enter_context(S3.start()), stack.enter_context(Azure.start())
        s3.demand_credentials()
        wrong = {"AWS_SECRET_ACCESS_KEY": "wrong", "AZURE_STORAGE_ACCOUNT_KEY": "d3Jvbmc="}
        for store in (s3, azure):
            url = f"{store.scheme}://{BUCKET}/a.txt"
            arguments = generate(url, out="pairs")
            error = run(*arguments, env=store.env() | wrong, status=FAILED)
            assert url in error and store.credentials in error, error
            assert "wrong" not in error and "d3Jvbmc" not in error
            out = f"{store.scheme}://{BUCKET}/pairs"
            error = run(*generate("in", out=out), env=store.env() | wrong, status=FAILED)
            assert out in error and store.credentials in error, error


@pytest.fixture(scope="module")
def long_file():
    """Return a file that takes a while to travel."""
    return json_lines(range(2000, 3000), words=600)


def test_dropped_connections_are_taken_up_again(s3, run, long_file, tmp_path):
    """Reading and writing survive a line that breaks a few times."""
    local = write_all(tmp_path / "in", {"long.jsonl": long_file})
    url = put_all(s3, "drop/in", {"long.jsonl": long_file})
    run(*generate(local, out="pairs", rows=10**6), env={})
    out = f"s3://{BUCKET}/drop/pairs"
    with Line(s3.port, down=1 << 20, up=1 << 18, cuts=3) as line:
        run(*generate(url, out=out, rows=10**6), env=s3.env(line.port), retries=10)
        assert line.cuts_made == 3
    assert stored(s3, "drop/pairs") == contents(tmp_path / "pairs")


def test_a_line_that_keeps_breaking_is_an_error(s3, run, long_file, tmp_path):
    """After the retries the error names the object and what to do; nothing is left of what was written."""
    local = write_all(tmp_path / "in", {"long.jsonl": long_file})
    url = put_all(s3, "broken/in", {"long.jsonl": long_file})
    with Line(s3.port, down=1 << 18) as line:
        error = run(*generate(url, out="pairs"), env=s3.env(line.port), status=FAILED)
        assert line.cuts_made > 3
    assert f"{url}/long.jsonl" in error and "check the network" in error
    assert not (tmp_path / "pairs").exists()
    out = f"s3://{BUCKET}/broken/pairs"
    with Line(s3.port, up=1 << 18) as line:
        error = run(*generate(local, out=out, rows=10**6), env=s3.env(line.port), status=FAILED)
    assert out in error and "check the network" in error
    assert not s3.keys("broken/pairs") and not s3.uploads()

    # What was made is uploaded by the same command over a better line, and not made again.
    assert "the same command goes on from there" in error
    run(*generate(local, out=out, rows=10**6), env=s3.env())
    run(*generate(local, out="pairs", rows=10**6), env={})
    assert stored(s3, "broken/pairs") == contents(tmp_path / "pairs")
    assert not list(tmp_path.glob(".*.partial"))
    (tmp_path / "pairs").rename(tmp_path / "other")
    error = run(*generate(url, out="pairs"), env=s3.env(line.port), status=FAILED)
    assert url in error and "check the network" in error


def test_an_object_that_changes_while_it_is_read_is_an_error(s3, run, long_file, tmp_path):
    """Half of one content and half of another is never taken for a whole."""
    url = put_all(s3, "changing/in", {"long.jsonl": long_file})
    other = json_lines(range(3000, 4000), words=600)
    other = other[: len(long_file)].ljust(len(long_file), b"\n")

    def change():
        s3.put("changing/in/long.jsonl", other)

    with Line(s3.port, down=1 << 20, cuts=1, before_cut=change) as line:
        error = run(*generate(url, out="pairs"), env=s3.env(line.port), status=FAILED)
        assert line.cuts_made == 1
    assert f"{url}/long.jsonl changed while it was read" in error
    assert not (tmp_path / "pairs").exists()


def test_a_full_disk_is_named(s3, run, long_file, tmp_path):
    """Where the temporary copy or the part has no room, the error says which."""
    url = put_all(s3, "full/in", {"long.jsonl": long_file})

    def room(limit):
        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        return {"preexec_fn": limited, "restore_signals": False}

    error = run(*generate(url, out="pairs"), env=s3.env(), status=FAILED, **room(1 << 20))
    assert f"{url}/long.jsonl" in error and str(tmp_path / "scratch") in error and "TMPDIR" in error
    local = write_all(tmp_path / "in", {"long.jsonl": long_file})
    out = f"s3://{BUCKET}/full/pairs"
    error = run(*generate(local, out=out, rows=10**6), env=s3.env(), status=FAILED, **room(1 << 18))
    assert "part-00000.parquet" in error
    assert not s3.keys("full/pairs")
