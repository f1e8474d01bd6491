"""`serve stream` on Apache Kafka itself."""

import io
import json
import shutil
import threading
import time

import pyarrow as pa
import pytest
from streaming import finished, headers, odd_header, restored, streaming

from bench.stream.chaos import chaos
from bench.stream.cluster import Cluster
from bench.stream.process import Stream
from conftest import ROOT
from serving import metric, metrics

TEXT = "The staate of thhe Union is stong, and it wlil stay so"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of one broker."""
    with Cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


def make(cluster, topic, **config):
    """Make the topics of a stream."""
    cluster.make(topic, f"{topic}.dead-letters", **config)
    cluster.make(f"{topic}-out", **config)


def text(number):
    """A text that differs from the others."""
    return f"{TEXT} {number}"


def test_texts_are_restored_once_and_in_order(programs, cluster, tmp_path):
    """Key, time, headers and partition stay; the rest is what the API of the same process answers."""
    make(cluster, "texts")
    records = [
        {"key": f"k{number % 7}", "value": text(number), "headers": [("n", str(number).encode())], "timestamp": 10**12}
        for number in range(100)
    ]
    records += [{"key": "k1", "value": None}, {"value": text(100)}, {"key": "k2", "value": ""}]
    cluster.write("texts", records)
    with streaming(programs, cluster, "texts", log=tmp_path / "log") as stream:
        found = cluster.read("texts-out", len(records))
        answers, digest = restored(stream.address, [record["value"] or "" for record in records])
        assert metric(stream.address, "revertant_stream_records_total") == len(records)
        assert metric(stream.address, "revertant_stream_in_flight_tokens") == 0
    given = cluster.read("texts", len(records))
    expected = {record["value"]: answer for record, answer in zip(records, answers, strict=True)}
    assert len(found) == len(given) == len(records)
    for partition in range(6):
        before = [one for one in given if one.partition() == partition]
        after = [one for one in found if one.partition() == partition]
        for old, new in zip(before, after, strict=True):
            assert (old.key(), old.timestamp()) == (new.key(), new.timestamp())
            named = headers(new)
            assert {name: value for name, value in named.items() if not name.startswith("revertant-")} == headers(old)
            if old.value() is None:
                assert new.value() is None and not named
                continue
            answer = expected[old.value().decode()]
            assert new.value().decode() == answer["text"]
            assert named["revertant-model-digest"] == digest
            assert float(named["revertant-confidence"]) == pytest.approx(answer["confidence"], abs=1e-5)
            edits = json.loads(named["revertant-edits"])
            assert [edit["replacement"] for edit in edits] == [edit["replacement"] for edit in answer["edits"]]


def test_a_field_of_an_object_is_restored_and_bad_records_are_told(programs, cluster, tmp_path):
    """Poison stops nothing; it is kept as it came, with what was wrong, where and when."""
    make(cluster, "objects", partitions=1)
    good = [f'{{"n":{number}.50,"a":{{"text":"{text(number)}"}}}}' for number in range(20)]
    bad = {
        "invalid-json": b"{",
        "invalid-utf8": b"\xff\xfe",
        "no-field": b'{"a":{"body":"x"}}',
        "not-text": b'{"a":{"text":7}}',
        "field-taken": b'{"a":{"text":"x"},"edits":1}',
        "too-large": json.dumps({"a": {"text": "x" * 5000}}).encode(),
    }
    values = [*good[:10], *bad.values(), *good[10:]]
    cluster.write("objects", [{"key": "k", "value": value, "headers": [("h", b"1")]} for value in values])
    options = ["--values", "json", "--field", "/a/text", "--max-value-bytes", "4096"]
    with streaming(programs, cluster, "objects", *options, log=tmp_path / "log") as stream:
        found = cluster.read("objects-out", len(good))
        dead = cluster.read("objects.dead-letters", len(bad))
        answers, digest = restored(stream.address, [json.loads(value)["a"]["text"] for value in good])
    assert len(found) == len(good) and len(dead) == len(bad)
    given = cluster.read("objects", len(values))[10:]
    for value, new, answer in zip(good, found, answers, strict=True):
        assert new.value().decode().startswith(value[:-1] + ',"restored":')
        members = json.loads(new.value())
        assert (members["restored"], members["model_digest"]) == (answer["text"], digest)
        assert len(members["edits"]) == len(answer["edits"])
    for at, ((kind, value), message) in enumerate(zip(bad.items(), dead, strict=True)):
        named = headers(message)
        assert (message.value(), message.key(), named["h"]) == (value, b"k", "1")
        assert named["revertant-error-kind"] == kind and named["revertant-error"]
        assert (named["revertant-topic"], named["revertant-partition"]) == ("objects", "0")
        assert (named["revertant-offset"], named["revertant-attempts"]) == (str(10 + at), "1")
        # Its own time is that of its failing.
        assert named["revertant-timestamp"] == str(given[at].timestamp()[1]) < str(message.timestamp()[1])

    # Tried again by another rule, some are restored; the rest come back, with one attempt more.
    options = ["--input-topic", "objects", "--output-topic", "objects-out", "--values", "json", "--field", "/a/body"]
    options += ["--group", "group-objects", "--replay-dead-letters"]
    for attempt in (2, 3):
        status, said = finished(programs, cluster.bootstrap, *options)
        assert status == 0, said
        again = cluster.read("objects-out", len(good) + 1)[len(good) :]
        assert [json.loads(one.value())["restored"] for one in again] == ["x"]
        assert "revertant-error-kind" not in headers(again[0])
        assert again[0].timestamp() == given[2].timestamp()
        dead = cluster.read("objects.dead-letters", len(bad) + (attempt - 1) * (len(bad) - 1))
        dead = [headers(one) for one in dead][-(len(bad) - 1) :]
        assert {one["revertant-attempts"] for one in dead} == {str(attempt)}
        assert {one["revertant-offset"] for one in dead} == {"10", "11", "13", "14", "15"}


def test_tables_are_restored(programs, cluster, tmp_path):
    """Arrow streams, read and written by pyarrow; what is no table is a dead letter."""
    make(cluster, "tables", partitions=1)
    table = pa.table({"id": [1, 2, 3], "corrupted": [text(0), None, text(1)]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    # Three hundred kilobytes that say the same text five thousand times.
    folded = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int16()), pa.array(["x" * 300_000]))
    bomb = io.BytesIO()
    with pa.ipc.new_stream(bomb, pa.schema({"corrupted": folded.type})) as writer:
        writer.write_batch(pa.record_batch({"corrupted": folded}))
    values = [sink.getvalue(), b"no table", bomb.getvalue()]
    cluster.write("tables", [{"value": value} for value in values])
    with streaming(programs, cluster, "tables", "--values", "arrow", log=tmp_path / "log") as stream:
        (found,) = cluster.read("tables-out", 1)
        dead = cluster.read("tables.dead-letters", 2)
        answers, digest = restored(stream.address, [text(0), text(1)])
    written = pa.ipc.open_stream(found.value()).read_all()
    assert written.select(["id", "corrupted"]).equals(table)
    assert written["restored"].to_pylist() == [answers[0]["text"], None, answers[1]["text"]]
    assert written.column_names[2:] == ["restored", "edits", "confidence", "error"]
    assert headers(found) == {"revertant-model-digest": digest}
    assert [headers(one)["revertant-error-kind"] for one in dead] == ["invalid-arrow", "too-large"]


def test_what_the_brokers_do_not_take_is_a_dead_letter(programs, cluster, tmp_path):
    """A topic may take less than was read, or nothing so old; of dead letters that are too large less is written."""
    cluster.make("large", partitions=1)
    cluster.make("large-out", partitions=1, max_message_bytes=2000, message_timestamp_before_max_ms=10**9)
    cluster.make("large.dead-letters", partitions=1, max_message_bytes=4000)
    values = [text(0), "x" * 3000, text(1), "y" * 6000, text(2), text(3), text(4), text(5)]
    records = [{"value": value, "headers": [("h", b"1")]} for value in values]
    records[5]["key"] = "z" * 5000
    records[6]["timestamp"] = 10**12
    cluster.write("large", records)
    with streaming(programs, cluster, "large", "--identity", log=tmp_path / "log"):
        found = cluster.read("large-out", 4)
        dead = cluster.read("large.dead-letters", 4)
    assert [one.value().decode() for one in found] == [values[at] for at in (0, 2, 4, 7)]
    assert [one.value() and one.value().decode() for one in dead] == [values[1], None, None, values[6]]
    assert [headers(one).get("h") for one in dead] == ["1", "1", None, "1"]
    assert all(one.key() is None for one in dead)
    assert {headers(one)["revertant-error-kind"] for one in dead} == {"undeliverable"}
    assert [headers(one)["revertant-offset"] for one in dead] == ["1", "3", "5", "6"]
    assert headers(dead[3])["revertant-timestamp"] == str(10**12)

    # A topic that takes as much as brokers do takes it all.
    make(cluster, "wide", max_message_bytes=10_000_000)
    cluster.write("wide", [{"value": "x" * 1_040_000}])
    with streaming(programs, cluster, "wide", "--identity", log=tmp_path / "log"):
        assert len(cluster.read("wide-out", 1)[0].value()) == 1_040_000


def test_a_stream_whose_dead_letters_nobody_takes_ends(programs, cluster, tmp_path):
    """Rather than to lose a record, or to try it for ever."""
    make(cluster, "narrow", partitions=1)
    cluster.make("narrow-dead", partitions=1, max_message_bytes=100)
    cluster.write("narrow", [{"value": b"\xff"}])
    topics = ["--input-topic", "narrow", "--output-topic", "narrow-out", "--dead-letter-topic", "narrow-dead"]
    status, said = finished(programs, cluster.bootstrap, *topics, "--identity", "--group", "group-narrow")
    assert status == 1 and "record 0 of partition 0" in said and "--dead-letter-topic" in said, said
    options = ["--identity"]
    with streaming(programs, cluster, "narrow", *options, log=tmp_path / "log"):
        assert len(cluster.read("narrow.dead-letters", 1)) == 1


def test_headers_are_what_others_make_of_them(programs, cluster, tmp_path):
    """Names that are no UTF-8, which the client library panics on, and names of the stream's own."""
    make(cluster, "named", partitions=3)
    cluster.make("named-one", partitions=1)
    odd_header(cluster, "named", value=TEXT.encode(), name=b"\xff\xfe")
    forged = {"topic": "else", "partition": "2", "offset": "7", "attempts": "9"}
    claims = [(f"revertant-{name}", value.encode()) for name, value in forged.items()]
    cluster.write("named", [{"value": TEXT, "partition": 0, "headers": claims}])
    cluster.write("named", [{"value": b"\xff", "partition": 0, "headers": claims}])
    with streaming(programs, cluster, "named", "--identity", log=tmp_path / "log"):
        (found,) = cluster.read("named-out", 1)
        dead = {headers(one)["revertant-error-kind"]: one for one in cluster.read("named.dead-letters", 2)}
    assert found.partition() == 0 and found.value().decode() == TEXT
    odd = dead["invalid-header"]
    assert odd.value().decode() == TEXT and headers(odd)["good"] == "1"
    told = headers(dead["invalid-utf8"])
    assert (told["revertant-topic"], told["revertant-partition"], told["revertant-attempts"]) == ("named", "0", "1")


def test_dead_letters_go_where_their_records_would_have_gone(programs, cluster, tmp_path):
    """Whatever the number of partitions of their own topic; and each once, however many try them at once."""
    cluster.make("back", "back-out", partitions=6)
    cluster.make("back.dead-letters", partitions=2)
    records = [{"key": str(number), "value": f'{{"body":"{number}"}}'} for number in range(2000)]
    records[7]["value"] = json.dumps({"body": "x" * 5000})
    cluster.write("back", records)
    options = ["--identity", "--values", "json"]
    with streaming(programs, cluster, "back", *options, log=tmp_path / "log"):
        assert len(cluster.read("back.dead-letters", len(records))) == len(records)
    options += ["--field", "/body", "--replay-dead-letters", "--max-value-bytes", "4096", "--transaction-records", "50"]
    options += ["--input-topic", "back", "--output-topic", "back-out", "--group", "group-back"]

    outcomes = []
    both = [
        threading.Thread(target=lambda: outcomes.append(finished(programs, cluster.bootstrap, *options)))
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(outcomes) == 2 and any(status == 0 for status, _ in outcomes), outcomes
    for status, said in outcomes:
        assert status == 0 or "another process writes as" in said, said
        assert status != 0 or "PartitionEOF" not in said, "the end of a partition is no event to warn of"
    found = cluster.read("back-out", len(records) - 1)
    places = {one.key(): one.partition() for one in cluster.read("back", len(records))}
    assert len(found) == len(records) - 1
    assert {one.key(): one.partition() for one in found} == {key: at for key, at in places.items() if key != b"7"}

    # One that the brokers refuse has everything read again; partitions that were at their end are at their end.
    cluster.make("small-out", partitions=6, max_message_bytes=3000)
    options[options.index("4096")] = "10000"
    options[options.index("back-out")] = "small-out"
    for attempts in ("3", "4"):
        assert finished(programs, cluster.bootstrap, *options)[0] == 0
        letter = cluster.read("back.dead-letters", len(records) + int(attempts) - 1)[-1]
        letters = [headers(one) for one in cluster.read("back.dead-letters", 0) if one.key() == b"7"]
        assert max(int(one["revertant-attempts"]) for one in letters) == int(attempts), letter
    assert cluster.read("small-out", 0) == []


def test_at_least_once_and_within_bounds(programs, cluster, tmp_path):
    """The cheaper mode; and little may be in flight, so that it pauses and goes on."""
    make(cluster, "cheap", partitions=3)
    records = [{"key": str(number), "value": text(number)} for number in range(400)]
    cluster.write("cheap", records)
    options = ["--delivery", "at-least-once", "--in-flight-tokens", "2000", "--transaction-records", "20"]
    options += ["--property", "statistics.interval.ms=50"]
    with streaming(programs, cluster, "cheap", *options, log=tmp_path / "log") as stream:
        lags, pauses, tokens = [], [], []
        deadline = time.monotonic() + 60
        while not lags or lags[-1] or metric(stream.address, "revertant_stream_records_total") < len(records):
            assert time.monotonic() < deadline, (lags, pauses, tokens)
            lags.append(sum(metrics(stream.address, "revertant_stream_lag_records")))
            pauses.append(metric(stream.address, "revertant_stream_paused"))
            tokens.append(metric(stream.address, "revertant_stream_in_flight_tokens"))
            time.sleep(0.02)
        # What is read at a time, and one batch more.
        assert max(pauses) == 1 and pauses[-1] == 0 and max(tokens) < 2000 + 20 * 60
        assert max(lags) > 0
        assert len(cluster.read("cheap-out", len(records))) == len(records)
        assert metric(stream.address, "revertant_stream_batch_records_count") >= len(records) / 20
    # What was committed is not read again.
    cluster.write("cheap", [{"key": "a", "value": "b"}])
    with streaming(programs, cluster, "cheap", *options, log=tmp_path / "log"):
        assert len(cluster.read("cheap-out", len(records) + 1)) == len(records) + 1


def test_a_stream_that_is_held_back_shares_its_partitions(programs, cluster, tmp_path):
    """Little may be in flight; others join and leave meanwhile."""
    make(cluster, "held")
    options = ["--in-flight-tokens", "600", "--transaction-records", "5", "--identity"]
    count = 1200
    cluster.write("held", [{"value": text(at), "partition": at % 6} for at in range(count)])
    with streaming(programs, cluster, "held", *options, "--instance", "a", log=tmp_path / "a.log"):
        with streaming(programs, cluster, "held", *options, "--instance", "b", log=tmp_path / "b.log"):
            assert len(cluster.read("held-out", count, seconds=90)) == count
        cluster.write("held", [{"value": text(count + at), "partition": at} for at in range(6)])
        found = cluster.read("held-out", count + 6, seconds=90)
    by_partition = {partition: [] for partition in range(6)}
    for message in found:
        by_partition[message.partition()].append(message.value().decode())
    assert by_partition == {partition: [text(at) for at in range(partition, count + 6, 6)] for partition in range(6)}


def test_records_may_be_compressed(programs, cluster, tmp_path):
    """By all that Kafka knows, as they come and as they go."""
    make(cluster, "packed", partitions=1)
    values = []
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        more = [f"{codec} {number} " + "x" * 500 for number in range(50)]
        cluster.write("packed", [{"value": value} for value in more], compression_type=codec)
        values += more
        option = ["--property", f"compression.type={codec}"]
        with streaming(programs, cluster, "packed", "--identity", *option, log=tmp_path / "log"):
            assert [one.value().decode() for one in cluster.read("packed-out", len(values))] == values


def test_a_model_is_changed_between_two_transactions(programs, cluster, tmp_path):
    """Every record says which version made it; in a partition one follows the other."""
    make(cluster, "swap", partitions=2)
    versions = tmp_path / "versions"
    for version in "12":
        shutil.copytree(ROOT / "models/tagger", versions / version)
        path = versions / version / "restorer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {"version": version}}))
    (versions / "aliases.toml").write_text('live = "1"\n')
    options = ["--model", f"{versions}@live", "--poll-seconds", "0.2", "--transaction-records", "20"]
    with streaming(programs, cluster, "swap", *options, log=tmp_path / "log") as stream:
        first = restored(stream.address, [TEXT])[1]
        going = threading.Event()

        def feed():
            number = 0
            while not going.is_set():
                cluster.write("swap", [{"key": str(at), "value": text(number + at)} for at in range(10)])
                number += 10
                time.sleep(0.2)

        feeding = threading.Thread(target=feed)
        feeding.start()
        cluster.read("swap-out", 20, quiet=0)
        (versions / "new").write_text('live = "2"\n')
        (versions / "new").rename(versions / "aliases.toml")
        deadline = time.monotonic() + 60
        while (second := restored(stream.address, [TEXT])[1]) == first:
            assert time.monotonic() < deadline, "the version was not changed"
            time.sleep(0.1)
        time.sleep(1)
        going.set()
        feeding.join()
        count = len(cluster.read("swap", 1))
        found = cluster.read("swap-out", count)
    assert len(found) == count
    for partition in range(2):
        digests = [headers(one)["revertant-model-digest"] for one in found if one.partition() == partition]
        assert digests == sorted(digests, key=[first, second].index)
        assert set(digests) == {first, second}


def test_two_processes_of_one_name_do_not_both_go_on(programs, cluster, tmp_path):
    """One of them says so and ends; the other restores."""
    make(cluster, "name", partitions=2)
    log = tmp_path / "log"
    first = Stream(programs, cluster, "name", "--identity", "--instance", "twin", log=log)
    try:
        first.wait()
        second = Stream(programs, cluster, "name", "--identity", "--instance", "twin", log=log)
        try:
            second.wait()
            deadline, number = time.monotonic() + 60, 0
            while first.process.poll() is None and second.process.poll() is None:
                assert time.monotonic() < deadline, "both went on"
                cluster.write("name", [{"key": str(at), "value": text(number + at)} for at in range(10)])
                number += 10
                time.sleep(0.2)
            assert "give each process its own --instance" in log.read_text()
            assert len(cluster.read("name-out", number)) == number
        finally:
            second.kill()
    finally:
        first.kill()


def test_readiness_is_membership(programs, tmp_path):
    """A stream whose broker is gone is not ready; when it is back, it is."""
    log = tmp_path / "log"
    with Cluster(tmp_path / "kafka") as cluster:
        make(cluster, "ready", partitions=1)
        options = ["--identity", "--property", "statistics.interval.ms=500"]
        with (
            streaming(programs, cluster, "ready", *options, "--instance", "1", log=log) as one,
            # A member as well, without a partition.
            streaming(programs, cluster, "ready", *options, "--instance", "2", log=log) as two,
        ):
            cluster.stop(1)
            deadline = time.monotonic() + 60
            while one.is_ready() or two.is_ready():
                assert time.monotonic() < deadline, "ready without a broker"
                time.sleep(0.2)
            cluster.start(1)
            cluster.wait()
            one.wait()
            two.wait()
            cluster.write("ready", [{"value": TEXT}])
            assert len(cluster.read("ready-out", 1)) == 1


def test_what_is_used_wrongly_is_told(programs, cluster):
    """What, where, and what to do."""
    cluster.make("given")

    def told(*options, brokers=cluster.bootstrap):
        return finished(programs, brokers, *options)

    for options, status, words in [
        (["--input-topic=given", "--output-topic=given"], 2, "the input topic and the output topic are both `given`"),
        (["--input-topic=given", "--output-topic=out", "--dead-letter-topic=out"], 2, "dead letters are both `out`"),
        (["--input-topic=nowhere", "--output-topic=out"], 1, "there is no topic `nowhere`"),
        (["--input-topic=given", "--output-topic=o", "--property=group.id=x"], 2, "set by --group"),
        (["--input-topic=given", "--output-topic=o", "--property=no.such=x"], 2, "no.such"),
        (["--input-topic=given", "--output-topic=o", "--field=text"], 2, "begins with a slash"),
    ]:
        found, said = told(*options)
        assert (found, words in said) == (status, True), said
    assert not cluster.partitions("new-out")
    made = ["--input-topic", "given", "--output-topic", "new-out", "--create-topics", "3", "--replay-dead-letters"]
    assert told(*made)[0] == 0
    assert len(cluster.partitions("new-out")) == len(cluster.partitions("given.dead-letters")) == 3


def test_chaos(programs, tmp_path):
    """Kills, joins, a broker that stops, a network that is cut: every record is there once, in order."""
    report = chaos(programs, tmp_path, records=6000, seconds=45)
    assert report.problems == [], report
    assert report.kills and report.cuts and report.stops and report.poison
