#!/usr/bin/env python3
"""Keeps runs of `finetune train` in a DVC remote, so that another machine goes on where this one was ended.

    runs.py push   --remote store --name run --out models/run
    runs.py follow --remote store --name run --out models/run --every 5 --trainer PID    a push every 5 minutes
    runs.py pull   --remote store --name run --out models/run    where the remote is further than what is here
    runs.py show   --remote store --name run                     how far the run in the remote is

A run lies in the remote as `runs/NAME/objects/SHA256`, one object a file, and `runs/NAME/manifest.json`, which names
them. The manifest is replaced last: a push that is ended on its way changes nothing. Files that did not change are not
uploaded again; what a manifest no longer names is removed after it.

A manifest names the box that wrote it (`--box`). A box that finds another's name stops its trainer and pushes no more.

It is a store of its own because `dvc push` shares finished outputs through git's history; this one is replaced every
few minutes by a machine that commits nothing. Transport, URLs and credentials are DVC's.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dvc.config import Config
from dvc.fs import get_cloud_fs

FORMAT = 1
# The trainer keeps the newest few, numbered by their steps.
STATES = "state/run-"
# Its last file: where it is, the run is done.
METRICS = "metrics.json"
# Belongs to the process that trains.
LOCK = "state/lock"
ATTEMPTS = 3


class TakenOver(Exception):
    """Another box goes on with this run."""


def say(text):
    """Print a line at once."""
    print(f"runs: {text}", flush=True)


def files_of(folder):
    """Return the files of a run by name, the states first.

    What is newer than a state does no harm, since a resumed run makes it again; what is older would. So the states are
    the first to be taken.
    """
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in names.items() if name != LOCK and path.suffix != ".tmp"}
    return {name: kept[name] for name in sorted(kept, key=lambda name: (not name.startswith(STATES), name))}


def snapshot(folder, into):
    """Take the files of a run as they are now; each is whole, since the trainer replaces and never rewrites them.

    Weights are linked, not copied, where the file system can; the rest is small, and a log grows while it is read.
    """
    for name, path in files_of(folder).items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if path.suffix == ".safetensors":
                with suppress(OSError):
                    target.hardlink_to(path)
                    continue
            shutil.copy2(path, target)


def sha256(path):
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def progress(folder):
    """Return how far a run is: whether it is done, and its steps; (False, -1) where there is no state."""
    done = (folder / METRICS).is_file()
    states = sorted(folder.glob(f"{STATES}*.safetensors"))
    if not states:
        return done, 0 if done else -1
    with states[-1].open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return done, json.loads(header["__metadata__"]["run"])["step"]


class Store:
    """The place of one run in a remote."""

    def __init__(self, remote, name, repository="."):
        """Open it; `remote` is the name of a DVC remote, or a URL."""
        config = Config(str(Path(repository, ".dvc").resolve()))
        place = {"name": remote} if remote in config["remote"] else {"url": remote}
        filesystem, settings, root = get_cloud_fs(config, **place)
        self.fs = filesystem(**settings)
        self.root = self.fs.join(root, "runs", name)

    def path(self, *parts):
        """Return a path in the store."""
        return self.fs.join(self.root, *parts)

    def manifest(self):
        """Return the manifest, or nothing where no box has pushed yet."""
        try:
            manifest = json.loads(self.fs.cat_file(self.path("manifest.json")))
        except FileNotFoundError:
            return None
        if manifest["format"] != FORMAT:
            sys.exit(f"runs: the manifest has format {manifest['format']}, this file knows {FORMAT}; update the clone")
        return manifest

    def replace_manifest(self, manifest):
        """Replace the manifest, at once."""
        with tempfile.NamedTemporaryFile("w") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            self.fs.makedirs(self.root, exist_ok=True)
            self.fs.put_file(file.name, self.path("manifest.json"))

    def push(self, folder, scratch, box):
        """Upload a run; return the bytes that travelled."""
        before = self.manifest() or {"box": box, "files": {}}
        if before["box"] != box:
            raise TakenOver(f"{before['box']} goes on with this run since {before['pushed']}")
        there = {entry["sha256"] for entry in before["files"].values()}
        sent = 0
        with tempfile.TemporaryDirectory(dir=scratch, prefix="push-") as temporary:
            taken = Path(temporary)
            snapshot(folder, taken)
            files = {}
            for name, path in files_of(taken).items():
                entry = files[name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
                if entry["sha256"] not in there:
                    self.fs.makedirs(self.path("objects"), exist_ok=True)
                    self.fs.put_file(str(path), self.path("objects", entry["sha256"]))
                    there.add(entry["sha256"])
                    sent += entry["bytes"]
            done, step = progress(taken)
        manifest = {"format": FORMAT, "box": box, "pushed": datetime.now(UTC).isoformat(timespec="seconds")}
        self.replace_manifest(manifest | {"step": step, "done": done, "files": files})
        # Objects of former states, and of a box that died while it was pushing.
        stored = {found.rsplit("/", 1)[-1] for found in self.fs.find(self.path("objects"))}
        for digest in stored - {entry["sha256"] for entry in files.values()}:
            with suppress(FileNotFoundError):
                self.fs.rm_file(self.path("objects", digest))
        what = "a run without a state yet" if step < 0 else f"step {step}{', done' if done else ''}"
        say(f"pushed {what}: {len(files)} files, {sent / 1e6:.1f} MB of them new")
        return sent

    def pull(self, folder, scratch, box=None):
        """Fetch a run where it is further than what is here; with `box`, it is that box's from now on."""
        for attempt in range(ATTEMPTS):
            manifest = self.manifest()
            if manifest is None:
                return say("the remote has no such run yet")
            if box:
                self.replace_manifest(manifest | {"box": box})
            here = progress(folder)
            if here >= (manifest["done"], manifest["step"]):
                return say(f"the remote (step {max(0, manifest['step'])}) is no further than what is here")
            try:
                return self.fetch(manifest, folder, scratch)
            except FileNotFoundError:
                # Its former box was just pushing: the manifest is another now.
                if attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(1)

    def fetch(self, manifest, folder, scratch):
        """Put a manifest's files into the folder; what was there moves aside."""
        fetched = Path(tempfile.mkdtemp(dir=scratch, prefix="pull-"))
        try:
            for name, entry in manifest["files"].items():
                target = fetched / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self.fs.get_file(self.path("objects", entry["sha256"]), str(target))
                if sha256(target) != entry["sha256"]:
                    sys.exit(f"runs: {name} arrived with another SHA-256 than the manifest's; pull again")
            if folder.exists():
                older = scratch / "older"
                shutil.rmtree(older, ignore_errors=True)
                folder.rename(older)
                say(f"what was in {folder} was behind, and lies in {older}")
            fetched.chmod(0o755)
            folder.parent.mkdir(parents=True, exist_ok=True)
            fetched.rename(folder)
        finally:
            shutil.rmtree(fetched, ignore_errors=True)
        say(f"pulled step {manifest['step']} of {manifest['pushed']} into {folder}")


def alive(process):
    """Return whether a process runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def follow(store, args):
    """Push every few minutes until the trainer is gone; what fails is tried again the next time."""
    due = time.monotonic() + 60 * args.every
    while alive(args.trainer):
        time.sleep(min(1, 60 * args.every))
        if time.monotonic() < due:
            continue
        try:
            store.push(args.out, args.scratch, args.box)
        except TakenOver:
            os.kill(args.trainer, signal.SIGTERM)
            raise
        except Exception as error:
            say(f"not pushed, next try in {args.every:g} minutes: {type(error).__name__}: {error}")
        due = time.monotonic() + 60 * args.every


def parse():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog="The module's text at its top tells more."
    )
    parser.add_argument("command", choices=["push", "follow", "pull", "show"])
    parser.add_argument("--remote", required=True, help="name of a DVC remote, or a URL")
    parser.add_argument("--name", default="run", help="the run's name in the remote")
    parser.add_argument("--out", type=Path, default=Path("models/run"), help="the run's directory")
    parser.add_argument("--box", help="this box's name; `pull` with it takes the run over")
    parser.add_argument("--scratch", type=Path, help="where files wait (default: beside the run's directory)")
    parser.add_argument("--every", type=float, default=5, metavar="MINUTES")
    parser.add_argument("--trainer", type=int, metavar="PID")
    args = parser.parse_args()
    if args.command == "follow" and not args.trainer:
        parser.error("follow needs --trainer")
    if args.command in ("push", "follow") and not args.box:
        args.box = f"{os.uname().nodename}-{os.getpid()}"
    args.scratch = args.scratch or args.out.parent / f".{args.out.name}.box.tmp"
    return args


def main():
    """Carry out a command."""
    args = parse()
    try:
        store = Store(args.remote, args.name)
        if args.command == "show":
            manifest = store.manifest() or sys.exit("runs: the remote has no such run")
            print(json.dumps({key: value for key, value in manifest.items() if key != "files"}, indent=1))
            return
        args.scratch.mkdir(parents=True, exist_ok=True)
        if args.command == "push":
            store.push(args.out, args.scratch, args.box)
        elif args.command == "follow":
            follow(store, args)
        else:
            store.pull(args.out, args.scratch, args.box)
    except Exception as error:
        sys.exit(f"runs: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
