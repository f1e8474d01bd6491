"""`serve stream` with values in Avro: Apache Kafka, Apicurio Registry, and Confluent's client writes and reads."""

import json
import time
from decimal import Decimal

import pytest
from certificates import certificate
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from schemas import PASSWORD, Gate, registry
from streaming import finished, headers, restored, streaming

from bench.stream.cluster import Cluster

TEXT = "The staate of thhe Union is stong, and it wlil stay so"
SCHEMA = {
    "type": "record",
    "name": "Note",
    "namespace": "com.acme",
    "doc": "What somebody has noted.",
    "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "text", "type": ["null", {"type": "string", "avro.java.string": "String"}]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "tags", "type": {"type": "map", "values": "com.acme.Tag"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
TAG = {"type": "record", "name": "Tag", "namespace": "com.acme", "fields": [{"name": "body", "type": "string"}]}
LOGIN = f"schema.registry.basic.auth.user.info={PASSWORD}"


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """A registry, behind a gate."""
    with registry(tmp_path_factory.mktemp("registry")) as gate:
        yield gate


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of one broker."""
    with Cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def client(gate):
    """Confluent's client of the registry."""
    gate.is_open = True
    return SchemaRegistryClient({"url": gate.url, "basic.auth.user.info": PASSWORD})


def make(cluster, topic):
    """Make the topics of a stream, of one partition each."""
    cluster.make(topic, f"{topic}-out", f"{topic}.dead-letters", partitions=1)


def written(client, topic, schema, values):
    """Values in Avro, whose schema is registered."""
    write = AvroSerializer(client, schema)
    return [write(value, SerializationContext(topic, MessageField.VALUE)) for value in values]


def read(client, topic, message):
    """The value of a record."""
    return AvroDeserializer(client)(message.value(), SerializationContext(topic, MessageField.VALUE))


def avro(gate, *more):
    """Options of a stream of Avro."""
    return ["--values", "avro", "--schema-registry", gate.url, "--property", LOGIN, *more]


def note(number, text):
    """One value."""
    return {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "text": text,
        "price": Decimal(number) / 100,
        "tags": {"a": {"body": f"{TEXT} {number}"}},
        "at": 1_700_000_000_000 + number,
    }


def test_records_are_restored_and_the_rest_passes(programs, cluster, gate, client, tmp_path):
    """Schemas with references, logical types and unions; what else there is stays as it was."""
    make(cluster, "notes")
    tag = client.register_schema("tag", Schema(json.dumps(TAG), "AVRO"))
    assert tag
    schema = Schema(json.dumps(SCHEMA), "AVRO", [SchemaReference("com.acme.Tag", "tag", 1)])
    notes = [note(number, f"{TEXT} {number}") for number in range(20)] + [note(20, None), note(21, "")]
    values = written(client, "notes", schema, notes)
    cluster.write("notes", [{"key": "k", "value": value} for value in [*values, None]])
    with streaming(programs, cluster, "notes", *avro(gate), log=tmp_path / "log") as stream:
        found = cluster.read("notes-out", len(values) + 1)
        answers, digest = restored(stream.address, [one["text"] or "" for one in notes])
    assert found.pop().value() is None
    assert len(found) == len(notes)
    plain = AvroDeserializer(client, schema)
    for given, value, message, answer in zip(notes, values, found, answers, strict=True):
        new = read(client, "notes-out", message)
        # Byte by byte; and who knows the input's schema alone can read it by that.
        assert message.value()[5:].startswith(value[5:])
        projected = plain(message.value(), SerializationContext("notes-out", MessageField.VALUE))
        before = plain(value, SerializationContext("notes", MessageField.VALUE))
        assert before == projected == {name: new[name] for name in before}
        assert new["model_digest"] == headers(message)["revertant-model-digest"] == digest
        if given["text"] is None:
            assert new["restored"] is new["edits"] is new["confidence"] is None
            continue
        assert new["restored"] == answer["text"]
        assert new["confidence"] == pytest.approx(answer["confidence"], abs=1e-5)
        assert [(edit["start"], edit["end"], edit["replacement"]) for edit in new["edits"]] == [
            (edit["start"], edit["end"], edit["replacement"]) for edit in answer["edits"]
        ]
    latest = client.get_latest_version("notes-out-value")
    output = json.loads(latest.schema.schema_str)
    assert output["doc"] == SCHEMA["doc"] and output["fields"][:5] == SCHEMA["fields"]
    assert latest.schema.references == schema.references

    # Another field, deep inside; the answers to the first are replaced.
    make(cluster, "deep")
    cluster.write("deep", [{"value": message.value()} for message in found])
    options = ["--field", "/tags/a/body", "--overwrite-fields", "--identity"]
    with streaming(programs, cluster, "deep", *avro(gate, *options), log=tmp_path / "log"):
        deep = cluster.read("deep-out", len(notes))
    assert [read(client, "deep-out", one)["restored"] for one in deep] == [one["tags"]["a"]["body"] for one in notes]
    assert {read(client, "deep-out", one)["model_digest"] for one in deep} == {"identity"}


def test_two_versions_of_what_is_referred_to(programs, cluster, gate, client, tmp_path):
    """The first counts, as for Confluent's clients."""
    make(cluster, "diamond")

    def register(subject, name, fields, *references):
        schema = {"type": "record", "name": name, "namespace": "com.acme", "fields": fields}
        references = [SchemaReference(f"com.acme.{name}", subject, version) for name, subject, version in references]
        return client.register_schema(subject, Schema(json.dumps(schema), "AVRO", references))

    fields = [{"name": "n", "type": "int"}]
    register("common", "Common", fields)
    register("common", "Common", [*fields, {"name": "more", "type": "string", "default": ""}])
    for version, name in enumerate(["Left", "Right"], 1):
        register(name.lower(), name, [{"name": "of", "type": "Common"}], ("Common", "common", version))
    fields = [{"name": name.lower(), "type": f"com.acme.{name}"} for name in ("Left", "Right")]
    references = [("Left", "left", 1), ("Right", "right", 1)]
    number = register("diamond-value", "Both", [{"name": "text", "type": "string"}, *fields], *references)
    value = b"\0" + number.to_bytes(4) + b"\x04ab\x02\x04"
    cluster.write("diamond", [{"value": value}])
    with streaming(programs, cluster, "diamond", *avro(gate, "--identity"), log=tmp_path / "log"):
        (found,) = cluster.read("diamond-out", 1)
    assert found.value()[5:].startswith(value[5:] + b"\x02\x04ab")
    assert client.get_latest_version("diamond-out-value").schema.references


def test_what_cannot_be_read_is_a_dead_letter(programs, cluster, gate, client, tmp_path):
    """Values without a schema, of another one, cut short, and schemas that are of no use."""
    make(cluster, "bad")
    text = {"name": "text", "type": "string"}
    record = {"type": "record", "name": "R", "fields": [text]}
    good = written(client, "bad", json.dumps(record), [{"text": f"{TEXT} {number}"} for number in range(3)])

    def one(name, schema, value):
        return written(client, name, json.dumps(schema), [value])[0]

    # A type twice in the next, and so on: five bytes and two, for two thousand million values.
    types = [{"type": "record", "name": "T0", "fields": [{"name": "x", "type": "null"}]}]
    for at in range(30):
        fields = [{"name": "x", "type": types[-1]}, {"name": "y", "type": f"T{at}"}]
        types.append({"type": "record", "name": f"T{at + 1}", "fields": fields})
    schema = Schema(json.dumps(record | {"fields": [text, {"name": "much", "type": types[-1]}]}), "AVRO")
    much = b"\0" + client.register_schema("much", schema).to_bytes(4, "big") + b"\x02a"
    bad = [
        ("invalid-avro", b"text"),
        ("invalid-avro", good[0][:-1]),
        ("invalid-avro", good[0] + b"\0"),
        ("invalid-avro", good[0][:5] + b"\x04\xff\xfe"),
        ("unusable-schema", b"\0\x7f\xff\xff\xff" + good[0][5:]),
        ("unusable-schema", one("string", {"type": "string"}, TEXT)),
        (
            "unusable-schema",
            one(
                "list",
                record | {"fields": [text, {"name": "next", "type": ["null", "R"]}]},
                {"text": "a", "next": None},
            ),
        ),
        ("invalid-avro", much),
        ("no-field", one("other", record | {"fields": [{"name": "body", "type": "string"}]}, {"body": TEXT})),
        ("not-text", one("number", record | {"fields": [{"name": "text", "type": "int"}]}, {"text": 7})),
        (
            "field-taken",
            one("taken", record | {"fields": [text, {"name": "edits", "type": "int"}]}, {"text": "a", "edits": 1}),
        ),
        ("too-large", written(client, "bad", json.dumps(record), [{"text": "x" * 5000}])[0]),
    ]
    proto = client.register_schema("proto", Schema('syntax = "proto3"; message M { string text = 1; }', "PROTOBUF"))
    bad.append(("unusable-schema", b"\0" + proto.to_bytes(4, "big") + b"\x00\x0a\x01a"))
    # A type that contains itself, with an end.
    link = {"type": "record", "name": "Link", "fields": [{"name": "next", "type": ["null", "Link"]}]}
    links = record | {"fields": [text, {"name": "first", "type": link}]}
    good[2] = one("links", links, {"text": f"{TEXT} 2", "first": {"next": {"next": None}}})
    cluster.write("bad", [{"value": value} for value in [good[0], *(value for _, value in bad), *good[1:]]])
    options = avro(gate, "--identity", "--max-value-bytes", "4096")
    with streaming(programs, cluster, "bad", *options, log=tmp_path / "log"):
        found = cluster.read("bad-out", len(good))
        dead = cluster.read("bad.dead-letters", len(bad))
    assert [read(client, "bad-out", message)["restored"] for message in found] == [f"{TEXT} {at}" for at in range(3)]
    assert [message.value() for message in dead] == [value for _, value in bad]
    assert [headers(message)["revertant-error-kind"] for message in dead] == [kind for kind, _ in bad]
    assert all(headers(message)["revertant-error"] for message in dead)


def test_a_registry_may_refuse_and_may_be_away(programs, cluster, gate, client, tmp_path):
    """What would break its readers is a dead letter until it is allowed; a registry that is away loses nothing."""
    make(cluster, "kept")
    record = {"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]}
    first = written(client, "kept", json.dumps(record), [{"text": TEXT}])
    client.set_compatibility("kept-out-value", "BACKWARD")
    changed = record | {"fields": [{"name": "text", "type": "string"}, {"name": "n", "type": "int"}]}
    second = written(client, "other", json.dumps(changed), [{"text": TEXT, "n": 1}])
    with streaming(programs, cluster, "kept", *avro(gate, "--identity"), log=tmp_path / "log"):
        cluster.write("kept", [{"value": value} for value in first + second + first])
        assert len(cluster.read("kept-out", 2)) == 2
        (dead,) = cluster.read("kept.dead-letters", 1)
        assert headers(dead)["revertant-error-kind"] == "unusable-schema"
        assert "kept-out-value" in headers(dead)["revertant-error"]

        # What is known needs no registry; what is not waits for it.
        gate.is_open = False
        cluster.write("kept", [{"value": first[0]}])
        assert len(cluster.read("kept-out", 3)) == 3
        gate.is_open = True
        more = record | {"fields": [*record["fields"], {"name": "m", "type": "int", "default": 0}]}
        fourth = written(client, "more", json.dumps(more), [{"text": TEXT, "m": 1}])
        gate.is_open = False
        asked = len(gate.seen)
        cluster.write("kept", [{"value": fourth[0]}])
        deadline = time.monotonic() + 30
        while len(gate.seen) < asked + 2:
            assert time.monotonic() < deadline, "the registry was not asked again"
            time.sleep(0.1)
        gate.is_open = True
        assert len(cluster.read("kept-out", 4)) == 4
        assert len(cluster.read("kept.dead-letters", 1)) == 1
    client.set_compatibility("kept-out-value", "NONE")
    options = ["--input-topic", "kept", "--output-topic", "kept-out", "--group", "group-kept", "--replay-dead-letters"]
    status, said = finished(programs, cluster.bootstrap, *avro(gate, "--identity"), *options)
    assert status == 0, said
    assert read(client, "kept-out", cluster.read("kept-out", 5)[-1])["n"] == 1


def test_a_partition_waits_for_its_schemas_and_the_others_go_on(programs, cluster, gate, client, tmp_path):
    """While the registry is away: nothing overtakes what waits, and nothing else waits."""
    cluster.make("waits", "waits-out", "waits.dead-letters", partitions=2)
    record = {"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]}
    more = record | {"fields": [*record["fields"], {"name": "m", "type": "int", "default": 0}]}
    known = written(client, "waits", json.dumps(record), [{"text": f"{TEXT} {at}"} for at in range(7)])
    new = written(client, "more", json.dumps(more), [{"text": f"new {at}", "m": at} for at in range(2)])

    def found(count, **more):
        texts = {0: [], 1: []}
        for message in cluster.read("waits-out", count, **more):
            # Its first field, less its length; nobody can ask for the schema.
            value = message.value()
            texts[message.partition()].append(value[6 : 6 + value[5] // 2].decode())
        return texts

    with streaming(programs, cluster, "waits", *avro(gate, "--identity"), log=tmp_path / "log") as stream:
        cluster.write("waits", [{"value": known[0], "partition": 1}])
        assert len(cluster.read("waits-out", 1)) == 1
        gate.is_open = False
        cluster.write("waits", [{"value": value, "partition": 0} for value in [known[1], new[0], known[2], new[1]]])
        cluster.write("waits", [{"value": value, "partition": 1} for value in known[3:]])
        assert found(6, quiet=3) == {
            0: [f"{TEXT} 1"],
            1: [f"{TEXT} {at}" for at in (0, 3, 4, 5, 6)],
        }
        assert stream.is_ready()
        gate.is_open = True
        assert found(9)[0] == [f"{TEXT} 1", "new 0", f"{TEXT} 2", "new 1"]
        # Read again from the broker, not only what was kept.
        cluster.write("waits", [{"value": value, "partition": 0} for value in known[1:3]])
        assert found(11)[0][4:] == [f"{TEXT} 1", f"{TEXT} 2"]
    assert not cluster.read("waits.dead-letters", 0)


def test_a_registry_may_be_behind_tls(programs, cluster, gate, tmp_path):
    """One whose authority is known to the system, here by a variable."""
    make(cluster, "tls")
    ca, both = certificate(tmp_path)
    options = ["--input-topic", "tls", "--output-topic", "tls-out", "--identity", "--replay-dead-letters"]
    with Gate(gate.target, both) as safe:
        options = [*avro(safe), *options]
        status, said = finished(programs, cluster.bootstrap, *options)
        assert status == 1 and "certificate" in said, said
        status, said = finished(programs, cluster.bootstrap, *options, env={"SSL_CERT_FILE": str(ca)})
        assert status == 0 and safe.seen, said
        safe.shutdown()


def test_what_is_used_wrongly_is_told(programs, cluster, gate, client):
    """Without an address, at a wrong one, with a wrong password; and schemas that only somebody else may register."""
    make(cluster, "told")
    topics = ["--input-topic", "told", "--output-topic", "told-out", "--identity"]

    def told(*options):
        return finished(programs, cluster.bootstrap, *topics, "--values", "avro", *options)

    url = ["--schema-registry", gate.url]
    nowhere = "http://127.0.0.1:9"
    for options, status, words in [
        ([], 2, "--schema-registry"),
        (["--schema-registry", "localhost:8081"], 2, "begins with http://"),
        (["--schema-registry", "http://ann:secret@localhost"], 2, "schema.registry.basic.auth.user.info"),
        ([*url, "--property", "schema.registry.no.such=x"], 2, "there is no property `schema.registry.no.such`"),
        ([*url, "--property", "schema.registry.basic.auth.user.info=x"], 2, "has to be USER:PASSWORD"),
        ([*url, "--property", "schema.registry.basic.auth.user.info=ann:wrong-secret"], 1, "who are you?"),
        (["--schema-registry", nowhere], 1, nowhere),
        (["--schema-registry", gate.url.replace("ccompat/v7", "registry/v2"), "--property", LOGIN], 1, "404"),
    ]:
        found, said = told(*options)
        assert (found, words in said, "wrong-secret" in said) == (status, True, False), said

    record = {"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]}
    (value,) = written(client, "told", json.dumps(record), [{"text": TEXT}])
    no_writing = ["--property", LOGIN, "--property", "schema.registry.auto.register.schemas=false"]
    # One of the addresses is of nobody; the other is asked, and believed.
    for at, urls in enumerate([f"{nowhere},{gate.url}", f"{gate.url},{nowhere}"]):
        cluster.write("told", [{"value": value}])
        options = ["--values", "avro", "--schema-registry", urls, "--identity", *no_writing]
        with streaming(programs, cluster, "told", *options):
            dead = cluster.read("told.dead-letters", at + 1)
        assert len(dead) == at + 1
        assert headers(dead[at])["revertant-error-kind"] == "unusable-schema"
        assert "told-out-value" in headers(dead[at])["revertant-error"]
    assert "told-out-value" not in client.get_subjects()
