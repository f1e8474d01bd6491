"""Object stores of third parties as processes of their own, and a line to them that can be cut.

S3 is moto's server (PyPI), Azure Blob Storage is azurite (npm), Google Cloud Storage is fake-gcs-server (Go). The
latter two are installed once into a cache: REVERTANT_TEST_CACHE, by default ~/.cache/revertant-test.

Each class has the scheme of its URLs; `env` for the program, perhaps with another port; `put`, `get` and `keys` by a
client that is not ours; and `start`.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
from azure.storage.blob import BlobServiceClient

AZURITE = "azurite@3.37.0"
FAKE_GCS = "github.com/fsouza/fake-gcs-server@v1.56.1"
BUCKET = "texts"
# The account that azurite's documentation publishes.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(command, port, env=None):
    """Run a server until the block ends; it is ready when something listens on its port."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | (env or {})
        )
        try:
            deadline = time.monotonic() + 120
            while True:
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} did not start:\n{log.read().decode(errors='replace')}")
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield
        finally:
            server.terminate()
            server.wait()


class S3:
    """A bucket in moto's server, seen with boto3."""

    scheme = "s3"
    credentials = "AWS_ACCESS_KEY_ID"

    def __init__(self, port):
        self.port = port
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=BUCKET)

    def env(self, port=None):
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ALLOW_HTTP": "true",
        }

    def put(self, key, content):
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key):
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def uploads(self):
        """Return the multipart uploads that were neither completed nor aborted."""
        return self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])

    @classmethod
    @contextmanager
    def start(cls):
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with running(command, port):
            yield cls(port)

    def demand_credentials(self, demand=True):
        """Let the server check keys and signatures from now on, or no longer."""
        free_calls = "0" if demand else "1000000"
        url = f"http://127.0.0.1:{self.port}/moto-api/reset-auth"
        kind = {"content-type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(url, free_calls.encode(), kind, method="POST")).close()


class Azure:
    """A container in azurite, seen with Microsoft's client."""

    scheme = "az"
    credentials = "AZURE_STORAGE_ACCOUNT_KEY"

    def __init__(self, port):
        self.port = port
        url = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
        service = BlobServiceClient(url, {"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY})
        self.container = service.create_container(BUCKET)

    def env(self, port=None):
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port or self.port}/{AZURE_ACCOUNT}",
            "AZURE_ALLOW_HTTP": "true",
        }

    def put(self, key, content):
        self.container.upload_blob(key, content, overwrite=True)

    def get(self, key):
        return self.container.download_blob(key).readall()

    def keys(self, prefix=""):
        return [blob.name for blob in self.container.list_blobs(name_starts_with=prefix or None)]

    @classmethod
    @contextmanager
    def start(cls):
        port = free_port()
        folder = installed("azurite", install_azurite)
        main = folder / "node_modules/azurite/dist/src/blob/main.js"
        command = ["node", main, "--inMemoryPersistence", "--silent", "--skipApiVersionCheck"]
        command += ["--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
        with running(command, port):
            yield cls(port)


class Gcs:
    """A bucket in fake-gcs-server, seen through its JSON interface; it asks for no credentials."""

    scheme = "gs"

    def __init__(self, port):
        self.port = port
        self.call("POST", "/storage/v1/b", json.dumps({"name": BUCKET}).encode())

    def env(self, port=None):
        return {"GOOGLE_BASE_URL": f"http://127.0.0.1:{port or self.port}", "GOOGLE_BEARER_TOKEN": "test"}

    def call(self, method, path, body=None):
        kind = {"content-type": "application/json" if path.startswith("/storage") else "application/octet-stream"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, kind, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def put(self, key, content):
        name = urllib.parse.quote(key, safe="")
        self.call("POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}", content)

    def get(self, key):
        return self.call("GET", f"/storage/v1/b/{BUCKET}/o/{urllib.parse.quote(key, safe='')}?alt=media")

    def keys(self, prefix=""):
        query = urllib.parse.urlencode({"prefix": prefix, "maxResults": 5000})
        listing = json.loads(self.call("GET", f"/storage/v1/b/{BUCKET}/o?{query}"))
        return [item["name"] for item in listing.get("items", [])]

    @classmethod
    @contextmanager
    def start(cls):
        port = free_port()
        server = installed("fake-gcs-server", install_fake_gcs) / "fake-gcs-server"
        host = f"127.0.0.1:{port}"
        command = [server, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
        with running([*command, "-public-host", host, "-external-url", f"http://{host}"], port):
            yield cls(port)


def installed(name, install):
    """Return the cached folder of a server, installing it the first time."""
    root = os.environ.get("REVERTANT_TEST_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    root = Path(root) if root else home / "revertant-test"
    root.mkdir(parents=True, exist_ok=True)
    stamp = "-".join((name, (AZURITE if name == "azurite" else FAKE_GCS).rpartition("@")[2]))
    with (root / f"{stamp}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / stamp
        if not folder.exists():
            unfinished = root / f"{stamp}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            install(unfinished)
            unfinished.rename(folder)
        return folder


def install_azurite(folder):
    """Fetch azurite from npm."""
    npm = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error"]
    subprocess.run([*npm, "--prefix", folder, AZURITE], check=True, stdin=subprocess.DEVNULL)


def install_fake_gcs(folder):
    """Build fake-gcs-server; what the build downloads and compiles is not kept."""
    if not shutil.which("go"):
        raise RuntimeError("the tests of gs:// build fake-gcs-server: install Go (https://go.dev/dl) and run again")
    with tempfile.TemporaryDirectory() as scratch:
        env = os.environ | {"GOBIN": str(folder), "GOFLAGS": "-p=1 -modcacherw"}
        env |= {"GOMODCACHE": f"{scratch}/mod", "GOCACHE": f"{scratch}/build"}
        subprocess.run(["go", "install", FAKE_GCS], check=True, env=env, stdin=subprocess.DEVNULL)


class Line:
    """A TCP line to a server that breaks: it cuts a connection after so many bytes from either side."""

    def __init__(self, port, *, down=None, up=None, cuts=None, before_cut=None):
        """Cut after `down` bytes from the server or `up` bytes to it, `cuts` times (None: always)."""
        self.target, self.limits = port, {"down": down, "up": up}
        self.cuts_left, self.cuts_made, self.before_cut = cuts, 0, before_cut
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            for direction, source, sink in (("up", near, far), ("down", far, near)):
                threading.Thread(target=self.pump, args=(direction, source, sink), daemon=True).start()

    def may_cut(self):
        with self.lock:
            if self.cuts_left == 0:
                return False
            self.cuts_left = None if self.cuts_left is None else self.cuts_left - 1
            self.cuts_made += 1
        if self.before_cut:
            self.before_cut()
        return True

    def pump(self, direction, source, sink):
        passed, limit = 0, self.limits[direction]
        try:
            while chunk := source.recv(1 << 14):
                passed += len(chunk)
                if limit is not None and passed > limit and self.may_cut():
                    break
                sink.sendall(chunk)
        except OSError:
            pass
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
