"""A gate before a registry of schemas, which asks for a password and can be shut."""

import http.client
import http.server
import ssl
import threading
from base64 import b64encode
from contextlib import contextmanager

from bench.stream.registry import API, Registry

PASSWORD = "ann:open sesame"


class Gate(http.server.ThreadingHTTPServer):
    """Passes requests with the password on to a port; while it is shut, it answers 503."""

    daemon_threads = True

    def __init__(self, port: int, both=None):
        """Listen; by HTTPS where there is a certificate."""
        super().__init__(("127.0.0.1", 0), Passing)
        self.target, self.is_open = port, True
        self.scheme = "https" if both else "http"
        if both:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(both)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the registry behind it."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}{API}"


class Passing(http.server.BaseHTTPRequestHandler):
    """One request through a gate."""

    def do_GET(self):
        """Pass it on, or not."""
        gate = self.server
        gate.seen.append(f"{self.command} {self.path.removeprefix(API)}")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("authorization") != f"Basic {b64encode(PASSWORD.encode()).decode()}":
            status, answer = 401, b'{"error_code":40101,"message":"who are you?"}'
        elif not gate.is_open:
            status, answer = 503, b'{"error_code":50301,"message":"shut"}'
        else:
            wire = http.client.HTTPConnection("127.0.0.1", gate.target, timeout=30)
            kept = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "accept")}
            wire.request(self.command, self.path, body, kept)
            passed = wire.getresponse()
            status, answer = passed.status, passed.read()
            wire.close()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def registry(folder):
    """Run a registry behind a gate until the block ends."""
    with Registry(folder) as behind:
        gate = Gate(behind.port)
        try:
            yield gate
        finally:
            gate.shutdown()
            gate.server_close()
