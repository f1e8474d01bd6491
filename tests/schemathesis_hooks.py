"""What schemathesis needs to know of lines of JSON and of tables: a body of them, and what their answer is."""

import io
import json

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import schemathesis

TABLE = pa.table({"corrupted": ["The staate of thhe Union", None]})


def is_file(value):
    """Whether the value may stand for a file: what the description calls one is a string.

    Anything else is there to be refused, and is sent as it is: no table.
    """
    return isinstance(value, str | bytes)


@schemathesis.serializer("application/x-ndjson")
def to_lines(_, value):
    """Two lines, so that there is an order."""
    if isinstance(value, bytes | str):
        return value
    return (json.dumps(value) + "\n") * 2


@schemathesis.deserializer("application/x-ndjson")
def of_lines(_, response):
    """The first line stands for all."""
    lines = response.content.splitlines()
    return json.loads(lines[0]) if lines else None


@schemathesis.serializer("application/vnd.apache.parquet")
def to_parquet(_, value):
    """A table, whatever the value: the description cannot say what the bytes of one are."""
    if not is_file(value):
        return json.dumps(value).encode()
    sink = io.BytesIO()
    pa.parquet.write_table(TABLE, sink)
    return sink.getvalue()


@schemathesis.serializer("application/vnd.apache.arrow.stream")
def to_arrow_stream(_, value):
    """The same as a stream."""
    if not is_file(value):
        return json.dumps(value).encode()
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue()


@schemathesis.serializer("text/csv", "text/tab-separated-values")
def to_csv(_, value):
    """A column, which has nothing to separate."""
    if not is_file(value):
        return json.dumps(value)
    return "corrupted\nThe staate of thhe Union\n"


@schemathesis.deserializer("application/vnd.apache.parquet", "application/vnd.apache.arrow.stream")
def of_table(_, response):
    """A string, which is what the description calls bytes."""
    return response.content.decode("latin-1")


@schemathesis.deserializer("text/csv", "text/tab-separated-values")
def of_csv(_, response):
    """Text."""
    return response.text
