"""A port-forward as an httpx transport: requests to a pod travel through the API server, no local port involved.

One WebSocket (``v4.channel.k8s.io``) per HTTP connection: each message is a channel byte and data. Channel 0 carries
the connection and channel 1 the cluster's words about it; both start with the port as two bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpcore
import httpx
import websocket

from pytest_modelrt.cluster.api import api_error
from pytest_modelrt.cluster.connection import CONNECT_TIMEOUT, Connection
from pytest_modelrt.cluster.model import POD, Ref
from pytest_modelrt.cluster.objects import path
from pytest_modelrt.redaction import redact

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_CHUNK = 64 * 1024


class PodStream(httpcore.NetworkStream):
    """One forwarded TCP connection."""

    def __init__(self, socket: websocket.WebSocket, target: str) -> None:
        self._socket = socket
        self._target = target
        self._buffer = b""
        self._greeted: set[int] = set()
        self._received = False
        self._ended = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to ``max_bytes``; empty at the end of the connection."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._buffer and not self._ended:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise httpcore.ReadTimeout(f"{self._target}: no bytes for {timeout:.0f} s")
            self._receive(left)
        taken, self._buffer = self._buffer[:max_bytes], self._buffer[max_bytes:]
        return taken

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send everything."""
        self._socket.settimeout(timeout)
        try:
            for start in range(0, len(buffer), _CHUNK):
                self._socket.send_binary(bytes([_DATA]) + buffer[start : start + _CHUNK])
        except websocket.WebSocketTimeoutException as error:
            raise httpcore.WriteTimeout(f"{self._target}: {error}") from error
        except (websocket.WebSocketException, OSError) as error:
            raise httpcore.WriteError(f"{self._target}: {error}") from error

    def close(self) -> None:
        """Close the WebSocket; its other end closes the connection in the pod."""
        self._ended = True
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def get_extra_info(self, info: str) -> Any:
        """Nothing but "a connection once used is not used again"."""
        return self._ended or bool(self._buffer) if info == "is_readable" else None

    def _receive(self, timeout: float | None) -> None:
        self._socket.settimeout(timeout)
        try:
            opcode, data = self._socket.recv_data()
        except websocket.WebSocketTimeoutException:
            return
        except websocket.WebSocketConnectionClosedException:
            self._ended = True
            return
        except (websocket.WebSocketException, OSError) as error:
            raise httpcore.ReadError(f"{self._target}: {error}") from error
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self._ended = True
        elif opcode == websocket.ABNF.OPCODE_BINARY and data:
            self._accept(data[0], data[1:])

    def _accept(self, channel: int, data: bytes) -> None:
        if channel not in self._greeted:
            self._greeted.add(channel)
            data = data[2:]  # the port
        if channel == _ERROR and data:
            words = f"{self._target}: {redact(data.decode('utf-8', 'replace')).strip()}"
            raise httpcore.ReadError(words) if self._received else httpcore.ConnectError(words)
        if channel == _DATA and data:
            self._received = True
            self._buffer += data


class _Backend(httpcore.NetworkBackend):
    """Opens port-forwards where httpcore asks for TCP connections."""

    def __init__(self, connection: Connection, namespace: str, pod: str, port: int) -> None:
        self._connection = connection
        self._ref = Ref(POD, pod, namespace)
        self._port = port

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A new port-forward; host and port of the URL do not matter. Raises httpcore.ConnectError."""
        patience = CONNECT_TIMEOUT if timeout is None else timeout
        target = f"port-forward to {self._ref} port {self._port}"
        url = f"{self._connection.server}{path(self._ref, 'portforward')}?{urlencode({'ports': self._port})}"
        socket = websocket.WebSocket()
        try:
            socket.connect(  # type: ignore[no-untyped-call]
                "ws" + url.removeprefix("http"),
                header=[f"{name}: {value}" for name, value in self._connection.authorization().items()],
                subprotocols=[_PROTOCOL],
                suppress_origin=True,
                timeout=patience,
                redirect_limit=0,
                **self._connection.websocket_options(patience),
            )
        except websocket.WebSocketBadStatusException as error:
            refusal = api_error(error.status_code, error.resp_body or b"")
            raise httpcore.ConnectError(f"{target}: {refusal.code} {refusal.message}") from error
        except (websocket.WebSocketTimeoutException, TimeoutError) as error:
            raise httpcore.ConnectTimeout(f"{target}: no answer from the API server for {patience:.0f} s") from error
        except (websocket.WebSocketException, OSError) as error:
            raise httpcore.ConnectError(f"{target}: {redact(str(error))}") from error
        return PodStream(socket, target)


class _Body(httpx.SyncByteStream):
    """An answer's body, in httpx's exceptions."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._stream

    def close(self) -> None:
        """Close the connection behind it."""
        if close := getattr(self._stream, "close", None):
            close()


class TunnelTransport(httpx.BaseTransport):
    """HTTP over port-forwards to one port of one pod; every request opens its own, so a restarted pod is no trouble."""

    def __init__(self, connection: Connection, namespace: str, pod: str, port: int) -> None:
        self._pool = httpcore.ConnectionPool(
            max_keepalive_connections=0, network_backend=_Backend(connection, namespace, pod, port)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send through the tunnel; raises httpx.ConnectError and its relatives."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("the tunnel serves httpx.Client, not httpx.AsyncClient")
        url = httpcore.URL(
            scheme=b"http", host=request.url.raw_host, port=request.url.port or 80, target=request.url.raw_path
        )
        with _as_httpx():
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        assert isinstance(response.stream, Iterable)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close what is still open."""
        self._pool.close()


_SAME_NAME = (
    "ConnectTimeout",
    "ReadTimeout",
    "WriteTimeout",
    "PoolTimeout",
    "ConnectError",
    "ReadError",
    "WriteError",
    "RemoteProtocolError",
    "LocalProtocolError",
    "UnsupportedProtocol",
)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Exceptions of httpcore as those of httpx, whose names are the same."""
    try:
        yield
    except Exception as error:
        for kind in type(error).__mro__:
            if kind.__module__.startswith("httpcore") and kind.__name__ in _SAME_NAME:
                raise getattr(httpx, kind.__name__)(str(error)) from error
        raise
