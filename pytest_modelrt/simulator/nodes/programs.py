"""What runs in containers: a program is an async function that gets its container and returns an exit code.

The kubelet stops a program by cancelling it, once for SIGTERM; a program that needs time to stop takes it in a
``finally`` (bounded by the pod's grace period).
"""

from __future__ import annotations

import asyncio
import errno
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import ApiClient, Object
from pytest_modelrt.simulator.nodes.disk import Disk
from pytest_modelrt.simulator.nodes.logs import ContainerLog
from pytest_modelrt.simulator.nodes.network import Network

if TYPE_CHECKING:
    from pytest_modelrt.simulator.hub import Hub
    from pytest_modelrt.simulator.scenario import Scenario

SIGTERM_EXIT = 143
KILLED_EXIT = 137


@dataclass(slots=True)
class ProgramContext:
    """A running container as its program sees it."""

    pod: Object
    """The pod as it was when the container started; read-only."""
    container: Object
    node: str
    argv: tuple[str, ...]
    """Command and arguments with ``$(VAR)`` expanded."""
    env: Mapping[str, str]
    address: str
    """The pod's IP."""
    start: int
    """1 for the first start of this container, then 2, ..."""
    clock: Clock
    rng: random.Random
    """Depends on the scenario's seed and the pod's owner, not on time."""
    disk: Disk
    network: Network
    scenario: Scenario
    hub: Hub
    output: ContainerLog
    connect_api: Callable[[ProgramContext], Awaitable[ApiClient]]
    terminated_reason: str = ""
    """Set by a program before it returns: the reason of its terminated state, e.g. ``OOMKilled``."""
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def namespace(self) -> str:
        """Namespace of the pod."""
        return str(self.pod["metadata"]["namespace"])

    @property
    def pod_name(self) -> str:
        """Name of the pod."""
        return str(self.pod["metadata"]["name"])

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the pod."""
        return self.pod["metadata"].get("labels") or {}

    @property
    def gpus(self) -> int:
        """GPUs the container got."""
        resources = self.container.get("resources") or {}
        wanted = (resources.get("limits") or {}).get("nvidia.com/gpu") or (resources.get("requests") or {}).get(
            "nvidia.com/gpu"
        )
        return int(wanted or 0)

    def log(self, text: str) -> None:
        """Write to the container's log."""
        self.output.write(text)

    async def serve(self, port: int, app: web.Application) -> None:
        """Listen on ``port`` of the pod from now on; ends with the container.

        Raises:
            OSError: another container of the pod listens there.
        """
        if self.network.local_port(self.namespace, self.pod_name, port) is not None:
            raise OSError(errno.EADDRINUSE, f"listen tcp4 :{port}: bind: address already in use")
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        local_port: int = runner.addresses[0][1]
        self.network.listen(self.namespace, self.pod_name, port, local_port)
        self._closing.callback(self.network.unlisten, self.namespace, self.pod_name, port)

    def url(self, host: str, port: int) -> str:
        """Base URL of ``host:port`` inside the cluster (pod IP or service name).

        Raises:
            ConnectionRefusedError: nothing listens there.
        """
        return self.network.url(host, port)

    async def api(self) -> ApiClient:
        """The API with the token of the pod's service account."""
        return await self.connect_api(self)

    async def close(self) -> None:
        """Stop listening; called by the kubelet when the program has ended."""
        await self._closing.aclose()


Program = Callable[[ProgramContext], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Programs:
    """Which program a container runs: the first rule whose test says yes, else one that idles."""

    by_image: Mapping[str, Program]
    """Image prefix -> program; the longest prefix wins."""
    by_words: Sequence[tuple[str, Program]] = ()
    """Word in the command line -> program; outranks the image."""

    def find(self, image: str, argv: Sequence[str]) -> Program:
        """The program for a container."""
        line = " ".join(argv)
        for word, program in self.by_words:
            if word in line:
                return program
        for prefix in sorted(self.by_image, key=len, reverse=True):
            if image.startswith(prefix):
                return self.by_image[prefix]
        return idle


async def idle(context: ProgramContext) -> int:
    """A container of which nothing is known: it runs until it is stopped."""
    context.log(f"{context.container['name']} runs")
    await asyncio.Event().wait()
    return 0


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Server side TLS for HTTP/1.1; upgrades need that version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context
