"""Startup, readiness and liveness probes: really asked, over HTTP, of what listens in the pod."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import aiohttp

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.nodes.network import Network, container_port

_FASTEST_START = 0.1
_FASTEST_STEADY = 1.0
"""Real seconds between two probes at the least, before and after the container started: a fast clock must not flood."""
_SHORTEST_TIMEOUT = 2.0
"""Real seconds a probe may take at the least: this machine is slower than the clock pretends."""


class Probed(Protocol):
    """The container as the prober needs it."""

    async def probe_failed(self, kind: str, message: str) -> None:
        """A probe failed once."""

    def set_started(self) -> None:
        """The startup probe succeeded."""

    def set_ready(self, ready: bool) -> None:
        """The readiness probe changed its mind."""

    async def kill(self, kind: str) -> None:
        """The startup or liveness probe failed too often."""


class Prober:
    """Runs the probes of one run of one container until cancelled."""

    def __init__(
        self,
        clock: Clock,
        network: Network,
        session: aiohttp.ClientSession,
        pod: Object,
        container: Object,
        address: str,
    ) -> None:
        self._clock = clock
        self._network = network
        self._session = session
        self._pod = pod
        self._container = container
        self._address = address
        self._began = clock.monotonic()

    async def run(self, target: Probed) -> None:
        """Startup first; then readiness and liveness side by side."""
        startup = self._container.get("startupProbe")
        if startup and not await self._until_started(startup, target):
            await target.kill("startup")
            return
        target.set_started()
        loops: list[Awaitable[None]] = []
        readiness, liveness = self._container.get("readinessProbe"), self._container.get("livenessProbe")
        if readiness:
            loops.append(self._readiness(readiness, target))
        else:
            target.set_ready(True)
        if liveness:
            loops.append(self._liveness(liveness, target))
        if loops:
            await asyncio.gather(*loops)

    async def _until_started(self, probe: Object, target: Probed) -> bool:
        await self._initial_delay(probe)
        failures = 0.0
        while True:
            error = await self._ask(probe)
            if error is None:
                return True
            await target.probe_failed("Startup", error)
            pause = self._pause(probe, _FASTEST_START)
            failures += pause / _period(probe)
            if failures >= int(probe.get("failureThreshold") or 3):
                return False
            await self._clock.asleep(pause)

    async def _readiness(self, probe: Object, target: Probed) -> None:
        await self._initial_delay(probe)
        ready, count = False, 0.0
        thresholds = {True: int(probe.get("successThreshold") or 1), False: int(probe.get("failureThreshold") or 3)}
        while True:
            error = await self._ask(probe)
            if error is not None:
                await target.probe_failed("Readiness", error)
            pause = self._pause(probe, _FASTEST_STEADY if ready and error is None else _FASTEST_START)
            count = 0.0 if (error is None) == ready else count + pause / _period(probe)
            if count >= thresholds[not ready]:
                ready, count = not ready, 0.0
                target.set_ready(ready)
            await self._clock.asleep(pause)

    async def _liveness(self, probe: Object, target: Probed) -> None:
        await self._initial_delay(probe)
        failures = 0.0
        while True:
            error = await self._ask(probe)
            pause = self._pause(probe, _FASTEST_STEADY if error is None else _FASTEST_START)
            failures = failures + pause / _period(probe) if error is not None else 0.0
            if error is not None:
                await target.probe_failed("Liveness", error)
                if failures >= int(probe.get("failureThreshold") or 3):
                    await target.kill("liveness")
                    return
            await self._clock.asleep(pause)

    async def _initial_delay(self, probe: Object) -> None:
        """The delay counts from the start of the container, not from the end of the startup probe."""
        ran = self._clock.monotonic() - self._began
        await self._clock.asleep(float(probe.get("initialDelaySeconds") or 0) - ran)

    def _pause(self, probe: Object, fastest: float) -> float:
        return max(_period(probe), fastest * self._clock.speed)

    async def _ask(self, probe: Object) -> str | None:
        """None when the probe succeeds, else the kubelet's words for the failure."""
        action = probe.get("httpGet") or probe.get("tcpSocket") or probe.get("grpc")
        if action is None:
            return None
        port = container_port(self._pod, action["port"])
        metadata = self._pod["metadata"]
        local = None if port is None else self._network.local_port(metadata["namespace"], metadata["name"], port)
        where = f"{self._address}:{port}"
        if "httpGet" not in probe:
            return None if local else f"dial tcp {where}: connect: connection refused"
        url = f"{(action.get('scheme') or 'HTTP').lower()}://{where}{action.get('path') or '/'}"
        if local is None:
            return f'Get "{url}": dial tcp {where}: connect: connection refused'
        timeout = max(_SHORTEST_TIMEOUT, float(probe.get("timeoutSeconds") or 1) / self._clock.speed)
        return await self._get(f"http://127.0.0.1:{local}{action.get('path') or '/'}", url, timeout)

    async def _get(self, local_url: str, shown_url: str, timeout: float) -> str | None:
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._session.get(
                local_url, timeout=limit, headers={"User-Agent": "kube-probe/1.34"}
            ) as response:
                if 200 <= response.status < 400:
                    return None
                return f"HTTP probe failed with statuscode: {response.status}"
        except TimeoutError:
            return f'Get "{shown_url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        except aiohttp.ClientError:
            return f'Get "{shown_url}": EOF'


def _period(probe: Object) -> float:
    return float(probe.get("periodSeconds") or 10)
