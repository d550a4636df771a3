"""What a cluster does about a node that went silent: pods there are called not ready, later marked for deletion."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import aiohttp

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.nodes.events import EventRecorder, timestamp
from pytest_modelrt.simulator.nodes.kubelet import Kubelet
from pytest_modelrt.simulator.resources import PODS

log = logging.getLogger(__name__)

EVICTION_SECONDS = 300.0
"""How long pods tolerate an unreachable node by default."""


class NodeLoss:
    """The parts of the node controllers that matter when a node is lost and when it comes back."""

    def __init__(self, client: ApiClient, clock: Clock, pods: Informer, kubelet: Kubelet) -> None:
        self._client = client
        self._clock = clock
        self._pods = pods
        self._kubelet = kubelet
        self._events = EventRecorder(client, clock, "node-controller")
        self._silent: set[str] = set()

    def lost(self, node: str, group: asyncio.TaskGroup) -> None:
        """The node does not answer any more."""
        self._silent.add(node)
        self._kubelet.set_reachable(node, False)
        group.create_task(self._evict(node), name=f"evict-{node}")

    def found(self, node: str) -> None:
        """The node answers again; pods deleted meanwhile end now."""
        self._silent.discard(node)
        self._kubelet.set_reachable(node, True)

    async def _evict(self, node: str) -> None:
        for pod in self._on(node):
            await self._try(self._mark(pod))
        await self._clock.asleep(EVICTION_SECONDS)
        if node in self._silent:
            for pod in self._on(node):
                await self._try(self._delete(pod))

    def _on(self, node: str) -> list[Object]:
        return [pod for pod in self._pods.cache.values() if pod["spec"].get("nodeName") == node]

    async def _mark(self, pod: Object) -> None:
        """Ready is False from now on."""
        metadata = pod["metadata"]
        unready = {"status": "False", "lastTransitionTime": timestamp()}
        conditions = [
            {**condition, **(unready if condition["type"] == "Ready" else {})}
            for condition in (pod.get("status") or {}).get("conditions") or []
        ]
        await self._client.patch_status(PODS, metadata["name"], {"conditions": conditions}, metadata["namespace"])
        await self._events.record(pod, "Warning", "NodeNotReady", "Node is not ready")

    async def _delete(self, pod: Object) -> None:
        metadata = pod["metadata"]
        if any(t.get("operator") == "Exists" and not t.get("key") for t in pod["spec"].get("tolerations") or []):
            return
        message = f"Marking for deletion Pod {metadata['namespace']}/{metadata['name']}"
        await self._events.record(pod, "Normal", "TaintManagerEviction", message)
        await self._client.delete(PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"])

    @staticmethod
    async def _try(action: Coroutine[Any, Any, None]) -> None:
        try:
            await action
        except ApiStatusError as error:
            if not (error.not_found or error.conflict):
                log.warning("node loss: %s", error)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("node loss: %s", error)
