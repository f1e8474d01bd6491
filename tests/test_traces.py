"""Requests as traces: their ids in the log, their spans at a collector of OpenTelemetry."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from serving import ask, server

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@contextmanager
def collector():
    """Take traces by OTLP over HTTP; yields its address and the spans with their resources."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        """Keeps what it is sent."""

        def do_POST(self):
            """Take a batch."""
            sent = self.rfile.read(int(self.headers["content-length"]))
            for group in ExportTraceServiceRequest.FromString(sent).resource_spans:
                resource = {entry.key: entry.value.string_value for entry in group.resource.attributes}
                spans.extend((resource, span) for scope in group.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{service.server_port}", spans
    finally:
        service.shutdown()
        service.server_close()


def logged(log, path):
    """Return the ids of the traces of requests to a path, as the log of JSON has them."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    requests = [line["span"] for line in lines if line.get("span", {}).get("path") == path]
    return [request["trace_id"] for request in requests]


def test_a_request_joins_its_trace_in_the_log_and_at_the_collector(programs, tmp_path, monkeypatch):
    log = tmp_path / "log"
    options = ["--log-format", "json", "--log", "warn,serve=debug"]
    with collector() as (address, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        with server(programs, *options, stderr=log) as served:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            assert ask(served, "/v1/restore", {"text": "a"}, headers)[0] == 200
            assert ask(served, "/v1/restore", {"text": 1})[0] == 422
            assert ask(served, "/v1/models")[0] == 200
        # Sent at the latest when the server ends.
        found = {span.name: (resource, span) for resource, span in spans if span.name == "GET /v1/models"}
        resource, begun = found["GET /v1/models"]
        assert resource["service.name"] == "revertant" and not begun.parent_span_id
        restored = [span for _, span in spans if span.name == "POST /v1/restore"]
        assert len(restored) == 2
        joined, refused = sorted(restored, key=lambda span: span.trace_id.hex() != TRACE)
        assert (joined.trace_id.hex(), joined.parent_span_id.hex()) == (TRACE, PARENT)
        assert joined.kind == Span.SPAN_KIND_SERVER and joined.end_time_unix_nano > joined.start_time_unix_nano
        attributes = {entry.key: entry.value for entry in refused.attributes}
        assert attributes["http.route"].string_value == "/v1/restore"
        assert attributes["http.response.status_code"].int_value == 422
    assert logged(log, "/v1/restore") == [TRACE, refused.trace_id.hex()]
    assert logged(log, "/v1/models") == [begun.trace_id.hex()]


def test_without_a_collector_the_log_still_has_the_trace(programs, tmp_path):
    log = tmp_path / "log"
    with server(programs, "--log-format", "json", "--log", "serve=debug", stderr=log) as served:
        assert ask(served, "/v1/models", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})[0] == 200
        assert ask(served, "/v1/models", headers={"traceparent": "nonsense"})[0] == 200
    first, second = logged(log, "/v1/models")
    assert first == TRACE and second != TRACE and len(second) == 32
