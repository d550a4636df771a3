"""One pod on its node: address, containers, conditions, status writes, and its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import aiohttp

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.nodes.container import Container
from pytest_modelrt.simulator.nodes.events import timestamp
from pytest_modelrt.simulator.nodes.surroundings import Surroundings
from pytest_modelrt.simulator.resources import PODS

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_WRITE_PAUSE = 0.02
"""Real seconds a status write waits for further changes."""


class PodWorker:
    """Runs a pod from binding to removal."""

    def __init__(self, around: Surroundings, pod: Object, host_address: str) -> None:
        self.pod = pod
        self.name: str = pod["metadata"]["name"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.uid: str = pod["metadata"]["uid"]
        self.address = around.network.join(self.namespace, self.name)
        self._around = around
        self._host_address = host_address
        self._start_time = timestamp()
        self._since: dict[str, tuple[str, str]] = {}
        self._dirty = asyncio.Event()
        self._ending = asyncio.Event()
        self._orphaned = False
        self._reachable = asyncio.Event()
        self._reachable.set()
        known = {**pod, "status": {**(pod.get("status") or {}), "podIP": self.address, "hostIP": host_address}}
        specs = pod["spec"].get("initContainers") or []
        self.init_containers = [
            Container(around, known, spec, self.address, self._dirty.set, init=True) for spec in specs
        ]
        self.containers = [
            Container(around, known, spec, self.address, self._dirty.set) for spec in pod["spec"]["containers"]
        ]

    def container(self, name: str) -> Container | None:
        """A container by name, init containers included."""
        return next((c for c in [*self.containers, *self.init_containers] if c.name == name), None)

    def end(self, *, gone: bool = False) -> None:
        """Deletion was requested; ``gone``: the object is away already (forced deletion)."""
        self._orphaned = self._orphaned or gone
        self._ending.set()

    def set_reachable(self, reachable: bool) -> None:
        """Whether the node's kubelet reaches the API."""
        if reachable:
            self._reachable.set()
        else:
            self._reachable.clear()
        self._dirty.set()

    async def run(self) -> None:
        """Until the pod is gone from the node."""
        writer = asyncio.create_task(self._write_changes(), name=f"{self.name}-status")
        running = asyncio.create_task(self._run_containers(), name=f"{self.name}-containers")
        self._dirty.set()
        try:
            await self._ending.wait()
            if not self._orphaned:
                await self._reachable.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        finally:
            for task in (running, writer):
                task.cancel()
            await asyncio.gather(running, writer, return_exceptions=True)
            self._around.network.leave(self.address)
        if not self._orphaned:
            await self._remove()

    async def _run_containers(self) -> None:
        for container in self.init_containers:
            await container.run()
        async with asyncio.TaskGroup() as group:
            for container in self.containers:
                group.create_task(container.run(), name=f"{self.name}/{container.name}")

    async def _write_changes(self) -> None:
        written: Object = {}
        while True:
            await self._dirty.wait()
            if not self._reachable.is_set():
                written = {}  # others write meanwhile
                await self._reachable.wait()
            await asyncio.sleep(_WRITE_PAUSE)
            self._dirty.clear()
            status = self.status()
            if status != written and await self._write(status):
                written = status

    async def _write(self, status: Object) -> bool:
        try:
            await self._around.client.patch_status(PODS, self.name, status, self.namespace)
        except ApiStatusError as error:
            if error.not_found:
                return True
            log.warning("status of pod %s/%s not written: %s", self.namespace, self.name, error)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.debug("status of pod %s/%s not written: %s", self.namespace, self.name, error)
        else:
            return True
        await asyncio.sleep(_RETRY_SECONDS)
        self._dirty.set()
        return False

    async def _remove(self) -> None:
        """The containers have ended: say so and take the object away."""
        await self._write(self.status())
        while True:
            try:
                await self._around.client.delete(PODS, self.name, self.namespace, grace_period_seconds=0, uid=self.uid)
                return
            except ApiStatusError as error:
                if error.not_found or error.conflict:
                    return
                log.warning("pod %s/%s not removed: %s", self.namespace, self.name, error)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("pod %s/%s not removed: %s", self.namespace, self.name, error)
            await asyncio.sleep(_RETRY_SECONDS)

    def status(self) -> Object:
        """The pod's status as it is now."""
        ready = bool(self.containers) and all(c.ready and "running" in c.state for c in self.containers)
        initialized = all(c.finished for c in self.init_containers)
        unready = [c.name for c in self.containers if not (c.ready and "running" in c.state)]
        why = (
            {}
            if ready
            else {"reason": "ContainersNotReady", "message": f"containers with unready status: {_go_list(unready)}"}
        )
        status = {
            "phase": self._phase(),
            "hostIP": self._host_address,
            "hostIPs": [{"ip": self._host_address}],
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": self._start_time,
            "conditions": [
                self._condition("PodReadyToStartContainers", True),
                self._condition("Initialized", initialized),
                self._condition("Ready", ready, **why),
                self._condition("ContainersReady", ready, **why),
                self._condition("PodScheduled", True),
            ],
            "containerStatuses": [container.status() for container in self.containers],
        }
        if self.init_containers:
            status["initContainerStatuses"] = [container.status() for container in self.init_containers]
        return status

    def _phase(self) -> str:
        if any(container.output is None for container in self.containers):
            return "Pending"
        if not all(container.finished for container in self.containers):
            return "Running"
        codes = [container.state.get("terminated", {}).get("exitCode", 0) for container in self.containers]
        return "Failed" if any(codes) else "Succeeded"

    def _condition(self, kind: str, value: bool, **why: str) -> Object:
        status = "True" if value else "False"
        before, since = self._since.get(kind, ("", ""))
        if before != status:
            since = timestamp()
            self._since[kind] = (status, since)
        return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since, **why}


def _go_list(names: Iterable[str]) -> str:
    return f"[{' '.join(names)}]"
