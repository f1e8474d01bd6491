"""The server and the file job, asked from outside and checked with other code."""

import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairs
from conftest import ROOT, run
from serving import ask, server


@pytest.fixture(scope="module")
def address(programs):
    """Address of a running server with the built-in checkpoint."""
    with server(programs) as address:
        yield address


def post(address, body, content_type="application/json"):
    """Ask `/v1/restore`; return status, content type and the decoded answer."""
    return ask(address, "/v1/restore", body, {"content-type": content_type})


@pytest.fixture(scope="module")
def sample(pipeline):
    """Return some held-out pairs."""
    return pairs.read(pipeline.path / "data/pairs/test")[::40][:48]


@pytest.fixture(scope="module")
def restored(address, sample):
    """Return the server's restorations of the sample."""
    status, _, answer = post(address, {"texts": [row["corrupted"] for row in sample]})
    assert status == 200
    return answer["results"]


def test_one_text_and_several_are_restored_alike(address, sample, restored):
    for row, expected in list(zip(sample, restored, strict=True))[:6]:
        status, content_type, alone = post(address, {"text": row["corrupted"]})
        assert (status, content_type) == (200, "application/json")
        assert alone["text"] == expected["text"]
        assert [edit | {"confidence": 0} for edit in alone["edits"]] == [
            edit | {"confidence": 0} for edit in expected["edits"]
        ]
        assert alone["confidence"] == pytest.approx(expected["confidence"], abs=1e-5)


def test_edits_lead_from_the_input_to_the_answer(sample, restored):
    assert any(answer["edits"] for answer in restored)
    for row, answer in zip(sample, restored, strict=True):
        assert pairs.apply_edits(row["corrupted"], answer["edits"]) == answer["text"]
        assert 0 <= answer["confidence"] <= 1
        assert all(0 <= edit["confidence"] <= 1 for edit in answer["edits"])


def test_offsets_are_bytes_and_other_scripts_survive(address):
    text = "Ünïcödé 👩‍👩‍👧 state off the Uniion — 世界"
    _, _, answer = post(address, {"text": text})
    assert pairs.apply_edits(text, answer["edits"]) == answer["text"]


def test_no_confidence_is_enough_where_certainty_is_asked_for(address, sample):
    _, _, answer = post(address, {"texts": [row["corrupted"] for row in sample[:8]], "min_confidence": 1.0})
    for row, result in zip(sample, answer["results"], strict=False):
        assert all(edit["confidence"] >= 1.0 for edit in result["edits"])
        assert result["edits"] or result["text"] == row["corrupted"]


def test_restoring_lowers_the_distance_to_the_originals(sample, restored):
    before = sum(pairs.levenshtein(row["original"], row["corrupted"]) for row in sample)
    after = sum(
        pairs.levenshtein(row["original"], answer["text"]) for row, answer in zip(sample, restored, strict=True)
    )
    assert after < before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"text": "\xff"}', 400),
        ({"txt": "a"}, 422),
        ({"text": 1}, 422),
        ({"text": "a", "texts": []}, 422),
    ],
)
def test_bad_requests_get_problem_documents(address, body, status):
    code, content_type, problem = post(address, body)
    assert code == status
    assert content_type == "application/problem+json"
    assert problem["status"] == code
    assert {"type", "title", "detail"} <= problem.keys()


def test_a_body_that_is_not_json_by_its_type_is_refused(address):
    code, content_type, _ = post(address, b"text=a", "application/x-www-form-urlencoded")
    assert (code, content_type) == (415, "application/problem+json")


def test_health_and_metrics(address, restored):
    for route in ("healthz", "readyz"):
        with urllib.request.urlopen(f"{address}/{route}", timeout=5) as answer:
            assert answer.status == 200
    with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
        names = {
            line.split("{")[0].split()[0] for line in answer.read().decode().splitlines() if line[:1] != "#" and line
        }
    assert names
    assert all(name.startswith("revertant_") for name in names)


def test_a_port_in_use_is_a_clear_error(programs, address):
    taken = address.removeprefix("http://")
    output = run([programs / "serve", "http", "--listen", taken], ROOT, status=1)
    assert taken in output


def test_batch_keeps_the_file_and_agrees_with_the_server(programs, sample, restored, tmp_path):
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = pa.Table.from_pylist(sample, schema=pa.schema(pairs.COLUMNS))
    with_null = table.append_column("note", pa.array(range(len(sample))))
    pq.write_table(with_null, source, row_group_size=10)

    run([programs / "serve", "batch", source, target, "--column", "corrupted"], ROOT)

    result = pq.read_table(target)
    assert result.select(with_null.column_names).to_pylist() == with_null.to_pylist()
    assert result.column_names == [*with_null.column_names, "restored", "edits", "confidence", "error"]
    for row, answer in zip(result.to_pylist(), restored, strict=True):
        assert row["error"] is None
        assert row["restored"] == answer["text"]
        assert pairs.apply_edits(row["corrupted"], row["edits"]) == row["restored"]
        assert row["confidence"] == pytest.approx(answer["confidence"], abs=1e-5)


def test_batch_leaves_nulls_null_and_names_the_columns_there_are(programs, tmp_path):
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"body": ["The state of tthe Union.", None, ""], "number": [1, 2, 3]}), source)

    output = run([programs / "serve", "batch", source, target], ROOT, status=1)
    assert "corrupted" in output
    assert "body" in output
    assert not target.exists()
    output = run([programs / "serve", "batch", source, target, "--column", "number"], ROOT, status=1)
    assert "number" in output
    assert not target.exists()

    run([programs / "serve", "batch", source, target, "--column", "body"], ROOT)
    restored = pq.read_table(target).column("restored").to_pylist()
    assert restored[0]
    assert restored[1:] == [None, ""]


def test_batch_of_half_a_file_leaves_nothing(programs, sample, tmp_path):
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.Table.from_pylist(sample, schema=pa.schema(pairs.COLUMNS)), source)
    source.write_bytes(source.read_bytes()[:-100])
    output = run([programs / "serve", "batch", source, target], ROOT, status=1)
    assert str(source) in output
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
