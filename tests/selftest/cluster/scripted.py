"""An API server that answers by script: real HTTP on a loopback port, and a record of what was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from pytest_modelrt.clock import SIMULATOR_EXTENSION

Json = dict[str, Any]
VERSION = {"gitVersion": "v1.36.0"}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def watching(self) -> bool:
        return self.query.get("watch") == "true"


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Json | str = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """A chunked answer: pieces, then a clean end, a cut connection, or silence until the server stops."""

    pieces: Sequence[Json | str]
    then: str = "silence"


class Cut:
    """Drop the connection instead of answering."""


Script = Callable[[Asked], Answer | Stream | Cut]


class ScriptedApi:
    """Runs ``script`` for every request; ``down`` refuses connections by not listening."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.quiet = threading.Event()
        self.connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.up()

    def up(self) -> None:
        api = self

        class Handler(_Handler):
            owner = api

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.quiet.set()
        self.down()

    def watches(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.watching]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ScriptedApi

    def setup(self) -> None:
        super().setup()
        self.owner.connections.add(self.connection)

    def finish(self) -> None:
        self.owner.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        return

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(raw) if raw else None,
        )
        self.owner.asked.append(asked)
        answer = Answer(body=VERSION) if asked.path == "/version" else self.owner.script(asked)
        if isinstance(answer, Cut):
            self.close_connection = True
        elif isinstance(answer, Stream):
            self._stream(answer)
        else:
            self._whole(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _whole(self, answer: Answer) -> None:
        content = answer.body.encode() if isinstance(answer.body, str) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, answer: Stream) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in answer.pieces:
            content = piece.encode() if isinstance(piece, str) else json.dumps(piece).encode() + b"\n"
            self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()
        if answer.then == "end":
            self.wfile.write(b"0\r\n\r\n")
            return
        self.close_connection = True
        if answer.then == "silence":
            self.owner.quiet.wait(60)


@contextmanager
def serving(script: Script) -> Iterator[ScriptedApi]:
    api = ScriptedApi(script)
    try:
        yield api
    finally:
        api.close()


def kubeconfig(directory: Path, server: str, *, speed: float | None = None, name: str = "config") -> Path:
    """A kubeconfig for one context called ``test``; with a speed it claims to be a simulator."""
    cluster: Json = {"server": server}
    if speed is not None:
        extension = {"speed": speed, "directory": str(directory)}
        cluster["extensions"] = [{"name": SIMULATOR_EXTENSION, "extension": extension}]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": "a-token-nobody-may-see"}}],
    }
    path = directory / name
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def status(code: int, reason: str, message: str, **details: Any) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return Answer(code, {**body, "reason": reason, "message": message, "details": details})


def missing(name: str) -> Answer:
    return status(404, "NotFound", f'"{name}" not found', name=name, kind="widgets")


def listing(*items: Json, version: str = "10", more: str = "") -> Answer:
    return Answer(body={"metadata": {"resourceVersion": version, "continue": more}, "items": list(items)})
