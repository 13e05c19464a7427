"""A server on this machine that speaks the hub's paths and misbehaves as it is told."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"
NAME = "some-body/tiny-clip"


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    address: str = ""
    cuts: list[int] = field(default_factory=list)  # bytes after which the next answers with weights break off
    asked: list[tuple[str, str]] = field(default_factory=list)  # path and range
    wrong_hash: bool = False
    ranges: bool = True
    missing: str = ""
    below: str = ""  # the path that a mirror lies below
    hosts: list[str] = field(default_factory=list)  # those asked for through it as a proxy
    piece: int = 0  # bytes of weights that are sent at a time; each but the first waits for `more`
    more: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    silent: list[int] = field(default_factory=list)  # bytes after which the next answers say no more
    over: threading.Event = field(default_factory=threading.Event)

    def ranges_of(self, name: str) -> list[str]:
        return [asked for path, asked in self.asked if path.endswith(name) and path.startswith("/store/")]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_arguments: object) -> None: ...

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("http://"):  # as a proxy is asked
            _scheme, _none, host, path = path.split("/", 3)
            self.hub.hosts.append(host)
            path = f"/{path}"
        path = path.removeprefix(self.hub.below)
        self.hub.asked.append((path, self.headers.get("Range", "")))
        if path == f"/api/models/{NAME}":
            self._answer(200, json.dumps(self._told()).encode())
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/") and not path.endswith(self.hub.missing or "\0"):
            self.send_response(302)  # as the hub does for large files
            self.send_header("Location", f"{self.hub.address}/store/{path.rpartition('/')[2]}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith("/store/"):
            self._store(path.rpartition("/")[2])
        else:
            self._answer(404, b'{"error": "Repository not found"}')

    def _told(self) -> dict[str, object]:
        siblings = []
        for name, content in self.hub.files.items():
            digest = hashlib.sha256(content + b"x" * self.hub.wrong_hash).hexdigest()
            lfs = {"sha256": digest, "size": len(content), "pointerSize": 130}
            entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
            siblings.append(entry | ({"lfs": lfs} if name.endswith((".safetensors", ".bin")) else {}))
        return {
            "id": NAME,
            "modelId": NAME,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": [],
            "private": False,
        }

    def _store(self, name: str) -> None:
        content, start = self.hub.files[name], 0
        if self.hub.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        content = content[start:]
        cut = self.hub.cuts.pop(0) if self.hub.cuts and name == WEIGHTS else len(content)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if name == WEIGHTS and (self.hub.silent or self.hub.piece):
            self._slowly(content)
            return
        self.wfile.write(content[:cut])
        if cut < len(content):
            self.close_connection = True

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _slowly(self, content: bytes) -> None:
        if self.hub.silent:
            self.wfile.write(content[: self.hub.silent.pop(0)])
            self.hub.over.wait(20)
            self.close_connection = True
            return
        piece = self.hub.piece
        for begin in range(0, len(content), piece):
            if begin and not self.hub.more.acquire(timeout=20):
                break
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has left
                self.wfile.write(content[begin : begin + piece])


@contextmanager
def serving(model: Path) -> Iterator[Hub]:
    """A hub that has one model, and strays beside it that nobody wants."""
    files = {file.name: file.read_bytes() for file in model.iterdir()}
    strays = {
        "pytorch_model.bin": b"pickle",
        "open_clip_model.safetensors": b"copy",
        "run.py": b"code",
        "LICENSE": b"MIT",
    }
    made = Hub(files | strays)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Told", (_Handler,), {"hub": made}))
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        made.more.release(1 << 16)
        server.shutdown()
        thread.join()
        server.server_close()
