"""The gateway's port on this machine: known from the start, listened on while a gateway runs.

Like a NodePort that Kind maps to the host. Before a gateway listens, connections are refused.
"""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

_HOST = "127.0.0.1"
_FIRST, _LAST = 30000, 32767
"""Kubernetes' range of NodePorts; systems do not hand these out to outgoing connections."""
_TRIES = 50


class HostPort:
    """One reserved port: bound, so that nobody else gets it, but not listening."""

    def __init__(self) -> None:
        self._socket = _reserve()
        self.port: int = self._socket.getsockname()[1]
        self._taken = False

    @property
    def url(self) -> str:
        """Where clients find the gateway; by this name, since its listeners look at the Host header."""
        return f"http://localhost:{self.port}"

    @property
    def taken(self) -> bool:
        """Whether a gateway listens."""
        return self._taken

    @asynccontextmanager
    async def listening(self, runner: web.AppRunner) -> AsyncIterator[None]:
        """Serve on the port; afterwards it is reserved again."""
        self._taken = True
        site = web.SockSite(runner, self._socket, backlog=512)
        try:
            await site.start()
            yield
        finally:
            await site.stop()
            self._socket = _bound(self.port, reuse=True)
            self._taken = False

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _reserve() -> socket.socket:
    chooser = random.SystemRandom()
    for _ in range(_TRIES):
        try:
            return _bound(chooser.randint(_FIRST, _LAST), reuse=False)
        except OSError:
            continue
    return _bound(0, reuse=False)


def _bound(port: int, *, reuse: bool) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if reuse:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((_HOST, port))
    except OSError:
        made.close()
        raise
    return made
