"""A web server of our own for tests: a hub that speaks the resolve protocol, and files that break off or fail.

Prints its port, and on standard error a line for each request, before it answers: the method, the path, and the token
where there is one.
"""

import hashlib
import http.server
import sys

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXT = '{"text": "The first letter of the dataset.", "key": "a"}\n{"text": "The second one.", "key": "b"}\n'
FILES = {"data/letters.jsonl": TEXT.encode(), "data/more.txt": b"Another file of the dataset."}
PLAIN = b"A text behind a URL, which is long enough to break off in the middle of it."
PRIVATE = "wt/private"
TOKEN = "Bearer hf_example"

# How often a path that fails at first has been asked for.
asked = {}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers HEAD and GET."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Print nothing on standard error."""

    def do_HEAD(self):
        """Answer with the headers of a GET."""
        self.answer(False)

    def do_GET(self):
        """Answer with the file."""
        self.answer(True)

    def answer(self, body):
        """Find what the path stands for."""
        print(self.command, self.path, self.headers.get("Authorization", "-"), file=sys.stderr, flush=True)
        path, _, _ = self.path.partition("?")
        if "/resolve/" in path:
            self.resolve(path, body)
        elif path == "/letter.txt":
            self.reply(200, PLAIN, body)
        elif path in ("/flaky.txt", "/dropped.txt"):
            asked[path] = asked.get(path, 0) + 1
            # One fails twice, the other breaks off once.
            if path == "/flaky.txt" and asked[path] < 3:
                self.reply(503, b"busy", body)
            elif path == "/dropped.txt" and asked[path] < 2:
                self.break_off(PLAIN)
            else:
                self.reply(200, PLAIN, body)
        elif path == "/broken.txt":
            self.break_off(PLAIN)
        else:
            self.reply(404, b"no such file", body)

    def resolve(self, path, body):
        """Answer for `/datasets/OWNER/NAME/resolve/REVISION/FILE`."""
        _, owner, name, _, revision, file = path.strip("/").split("/", 5)
        content = FILES.get(file, b"")
        etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        found = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
        if f"{owner}/{name}" == PRIVATE and self.headers.get("Authorization") != TOKEN:
            self.reply(401, b"", body, {"X-Error-Message": "no access"})
        elif revision not in ("main", COMMIT):
            self.reply(404, b"", body, {"X-Error-Code": "RevisionNotFound"})
        elif file not in FILES:
            self.reply(404, b"", body, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif name == "dropping" and body:
            self.break_off(content)
        elif self.headers.get("If-None-Match") == f'"{etag}"':
            self.reply(304, b"", False, found)
        else:
            self.reply(200, content, body, found)

    def reply(self, status, content, body, headers=()):
        """Send a whole answer."""
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def break_off(self, content):
        """Promise the whole content, send half, and hang up."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.close_connection = True


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
