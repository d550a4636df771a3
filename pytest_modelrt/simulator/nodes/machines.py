"""The machines as Node objects: registration, heartbeat, and what a scenario does to them."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable

import aiohttp

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.fleet import GPU_RESOURCE, Fleet, node_address
from pytest_modelrt.simulator.nodes.events import EventRecorder, timestamp
from pytest_modelrt.simulator.nodes.loss import NodeLoss
from pytest_modelrt.simulator.resources import LEASES, NODES
from pytest_modelrt.simulator.scenario import NodeRule, Scenario

log = logging.getLogger(__name__)

_LEASE_NAMESPACE = "kube-node-lease"
_HEARTBEAT_SECONDS = 10.0
"""Real seconds: whoever watches leases watches the wall clock."""
_RETRY_SECONDS = 10.0
_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_PRESSURE = "node.kubernetes.io/disk-pressure"
_KUBELET_VERSION = "v1.34.1"


class Machines:
    """Registers the fleet and keeps it alive."""

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        scenario: Scenario,
        fleet: Fleet,
        kubelet_port: int,
        loss: NodeLoss,
    ) -> None:
        self._client = client
        self._clock = clock
        self._scenario = scenario
        self._fleet = fleet
        self._port = kubelet_port
        self._loss = loss
        self._events = EventRecorder(client, clock, "kubelet")
        self._silent: set[str] = set()

    async def register(self) -> None:
        """Create or refresh all Node objects."""
        await asyncio.gather(*(self._register(index, name) for index, name in enumerate(self._fleet.names)))

    async def run(self) -> None:
        """Heartbeats and faults until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeats(), name="heartbeats")
            for name in self._fleet.names:
                for rule in self._scenario.node_faults(name):
                    group.create_task(self._fault(name, rule, group), name=f"fault-{name}")

    async def _register(self, index: int, name: str) -> None:
        body = self._node(index, name)
        status = body.pop("status")
        try:
            await self._client.create(NODES, body)
        except ApiStatusError as error:
            if not error.conflict:
                raise
            await self._client.patch(NODES, name, {"metadata": body["metadata"]})
        node = await self._client.patch_status(NODES, name, status)
        taints = node["spec"].get("taints") or []
        kept = [taint for taint in taints if taint["key"] != _NOT_READY]
        if kept != taints:  # an API server taints new nodes; a control plane without node controller leaves it at that
            await self._client.patch(NODES, name, {"spec": {"taints": kept}})

    def _node(self, index: int, name: str) -> Object:
        fleet = self._fleet
        resources = {
            "cpu": str(fleet.cpus),
            "memory": fleet.memory,
            "pods": str(fleet.pods),
            "ephemeral-storage": "14Ti",
            GPU_RESOURCE: str(fleet.gpus_per_node),
        }
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            GPU_RESOURCE: "true",
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": fleet.gpu_product,
            "nvidia.com/gpu.count": str(fleet.gpus_per_node),
            "nvidia.com/gpu.memory": str(fleet.gpu_memory_bytes // 2**20),
        }
        return {
            "metadata": {"name": name, "labels": labels},
            "spec": {"podCIDR": f"10.244.{index}.0/24", "providerID": f"simulated://{name}"},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "addresses": [
                    {"type": "Hostname", "address": "127.0.0.1"},
                    {"type": "InternalIP", "address": node_address(index)},
                ],
                "conditions": _conditions(),
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
                "nodeInfo": _node_info(name),
            },
        }

    async def _heartbeats(self) -> None:
        while True:
            for name in self._fleet.names:
                if name not in self._silent:
                    await self._renew(name)
                await asyncio.sleep(_HEARTBEAT_SECONDS / len(self._fleet.names))

    async def _renew(self, name: str) -> None:
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": timestamp().replace("Z", ".000000Z")}
        try:
            try:
                await self._client.patch(LEASES, name, {"spec": spec}, _LEASE_NAMESPACE)
            except ApiStatusError as error:
                if not error.not_found:
                    raise
                await self._client.create(LEASES, {"metadata": {"name": name}, "spec": spec}, _LEASE_NAMESPACE)
        except (ApiStatusError, aiohttp.ClientError, TimeoutError) as error:
            log.debug("lease of node %s not renewed: %s", name, error)

    async def _fault(self, name: str, rule: NodeRule, group: asyncio.TaskGroup) -> None:
        """Let a fault come and, when it does not last for ever, go."""
        await self._scenario.opening.until(self._clock, rule.at)
        self._scenario.signals.note("", f"node {name}")
        if rule.lost:
            self._silent.add(name)
            self._loss.lost(name, group)
        await self._insist(lambda: self._apply(name, rule))
        if rule.lasts is not None:
            await self._clock.asleep(rule.lasts)
            self._silent.discard(name)
            self._loss.found(name)
            await self._insist(lambda: self._heal(name))

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeat a write until the API takes it."""
        while True:
            try:
                return await write()
            except (ApiStatusError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("node not updated, trying again: %s", error)
                await self._clock.asleep(_RETRY_SECONDS)

    async def _heal(self, name: str) -> None:
        await self._client.patch(NODES, name, {"spec": {"unschedulable": None, "taints": None}})
        await self._client.patch_status(NODES, name, {"conditions": _conditions(), **self._gpus(0)})

    async def _apply(self, name: str, rule: NodeRule) -> None:
        spec: Object = {"unschedulable": True} if rule.cordoned else {}
        taints: list[Object] = []
        if rule.lost:
            taints += [{"key": _UNREACHABLE, "effect": effect} for effect in ("NoSchedule", "NoExecute")]
        if rule.disk_pressure:
            taints.append({"key": _PRESSURE, "effect": "NoSchedule"})
        if taints:
            spec["taints"] = taints
        if spec:
            await self._client.patch(NODES, name, {"spec": spec})
        status: Object = self._gpus(rule.broken_gpus) if rule.broken_gpus else {}
        if rule.lost or rule.disk_pressure:
            status["conditions"] = _conditions(lost=rule.lost, disk_pressure=rule.disk_pressure)
        if status:
            node = await self._client.patch_status(NODES, name, status)
            await self._events.record(node, "Normal", *_fault_event(name, rule))

    def _gpus(self, broken: int) -> Object:
        return {"allocatable": {GPU_RESOURCE: str(max(0, self._fleet.gpus_per_node - broken))}}


def _fault_event(name: str, rule: NodeRule) -> tuple[str, str]:
    if rule.lost:
        return "NodeNotReady", f"Node {name} status is now: NodeNotReady"
    if rule.disk_pressure:
        return "NodeHasDiskPressure", f"Node {name} status is now: NodeHasDiskPressure"
    return "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods"


def _conditions(*, lost: bool = False, disk_pressure: bool = False) -> list[Object]:
    now = timestamp()

    def condition(kind: str, status: str, reason: str, message: str) -> Object:
        if lost:
            status, reason, message = "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."
        stamps = {"lastHeartbeatTime": now, "lastTransitionTime": now}
        return {"type": kind, "status": status, "reason": reason, "message": message, **stamps}

    pressure = "True" if disk_pressure else "False"
    disk = ("KubeletHasDiskPressure", "kubelet has disk pressure")
    no_disk = ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")
    return [
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        condition("DiskPressure", pressure, *(disk if disk_pressure else no_disk)),
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]


def _node_info(name: str) -> Object:
    return {
        "architecture": "amd64",
        "bootID": f"boot-{name}",
        "containerRuntimeVersion": "containerd://2.1.4",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": _KUBELET_VERSION,
        "machineID": f"machine-{name}",
        "operatingSystem": "linux",
        "osImage": "modelrt simulator",
        "systemUUID": f"system-{name}",
    }
