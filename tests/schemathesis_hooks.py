"""What schemathesis needs to know of lines of JSON and of tables: a body of them, and what their answer is."""

import io
import json

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import schemathesis

TABLE = pa.table({"corrupted": ["The staate of thhe Union", None]})


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
    sink = io.BytesIO()
    pa.parquet.write_table(TABLE, sink)
    return sink.getvalue()


@schemathesis.serializer("application/vnd.apache.arrow.stream")
def to_arrow_stream(_, value):
    """The same as a stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue()


@schemathesis.serializer("text/csv", "text/tab-separated-values")
def to_csv(_, value):
    """A column, which has nothing to separate."""
    return "corrupted\nThe staate of thhe Union\n"


@schemathesis.deserializer("application/vnd.apache.parquet", "application/vnd.apache.arrow.stream")
def of_table(_, response):
    """Bytes, as the description says."""
    return list(response.content)


@schemathesis.deserializer("text/csv", "text/tab-separated-values")
def of_csv(_, response):
    """Text."""
    return response.text
