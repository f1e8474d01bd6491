"""What schemathesis needs to know of lines of JSON: a body of them, and what their answer is."""

import json

import schemathesis


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
