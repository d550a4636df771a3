"""Binds pending pods to nodes, packing GPUs densely so that whole nodes stay free for large models."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

import aiohttp

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.nodes.claims import claim_trouble
from pytest_modelrt.simulator.nodes.events import EventRecorder, timestamp
from pytest_modelrt.simulator.nodes.fit import NodeState, best, failure_message, reasons_against
from pytest_modelrt.simulator.nodes.ledger import Ledger
from pytest_modelrt.simulator.nodes.quantities import Requests, add, is_finished, pod_requests
from pytest_modelrt.simulator.resources import PODS

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


class Scheduler:
    """The default scheduler, first come first served; a pod that fits nowhere does not hold up the next."""

    def __init__(
        self, client: ApiClient, clock: Clock, pods: Informer, nodes: Informer, claims: Informer, ledger: Ledger
    ) -> None:
        self._client = client
        self._pods = pods
        self._nodes = nodes
        self._claims = claims
        self._ledger = ledger
        self._events = EventRecorder(client, clock, "default-scheduler")
        self._changed = asyncio.Event()
        self._assumed: dict[str, tuple[Object, str]] = {}
        """Bound by us, not yet seen bound by the informer."""
        self._refused: dict[str, str] = {}
        pods.on_change(self._pod_changed)
        for informer in (nodes, claims):
            informer.on_change(lambda _kind, _node, _old: self._changed.set())

    async def run(self) -> None:
        """Schedule until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._pass()
            except (aiohttp.ClientError, ApiStatusError, TimeoutError) as error:
                log.warning("scheduling interrupted: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                self._changed.set()

    def _pod_changed(self, kind: str, pod: Object, _old: Object | None) -> None:
        uid = pod["metadata"]["uid"]
        if pod["spec"].get("nodeName"):
            self._assumed.pop(uid, None)
            self._refused.pop(uid, None)
            if kind == "DELETED" or is_finished(pod):
                self._ledger.release(pod)
            else:
                self._ledger.bind(pod, pod["spec"]["nodeName"])
        if kind == "DELETED":
            self._assumed.pop(uid, None)
            self._refused.pop(uid, None)
            self._events.forget(uid)
        self._changed.set()

    async def _pass(self) -> None:
        waiting = [pod for pod in self._pods.cache.values() if self._is_waiting(pod)]
        if not waiting:
            return
        states = self._states()
        for pod in sorted(waiting, key=_arrival):
            if pod["metadata"]["uid"] in self._assumed:
                continue
            trouble = claim_trouble(pod, self._claims.cache)
            chosen = None if trouble else best(pod, states.values())
            if chosen is None:
                await self._refuse(pod, states, trouble)
            elif await self._bind(pod, chosen.name):
                add(chosen.used, pod_requests(pod))

    def _is_waiting(self, pod: Object) -> bool:
        spec = pod["spec"]
        return (
            not spec.get("nodeName")
            and "deletionTimestamp" not in pod["metadata"]
            and spec.get("schedulerName", "default-scheduler") == "default-scheduler"
            and not spec.get("schedulingGates")
            and not is_finished(pod)
        )

    def _states(self) -> dict[str, NodeState]:
        taken: dict[str, Requests] = defaultdict(dict)
        for pod in self._pods.cache.values():
            node = pod["spec"].get("nodeName")
            if node and not is_finished(pod):
                add(taken[node], pod_requests(pod))
        for pod, node in self._assumed.values():
            add(taken[node], pod_requests(pod))
        return {
            node["metadata"]["name"]: NodeState(node, taken[node["metadata"]["name"]])
            for node in self._nodes.cache.values()
        }

    async def _bind(self, pod: Object, node: str) -> bool:
        metadata = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        path = PODS.path(metadata["namespace"], metadata["name"], "binding")
        self._assumed[metadata["uid"]] = (pod, node)
        try:
            await self._client.request("POST", path, body=binding)
        except ApiStatusError as error:
            self._assumed.pop(metadata["uid"], None)
            if error.not_found or error.conflict:
                log.debug("pod %s not bound: %s", metadata["name"], error)
                return False
            raise
        self._ledger.bind(pod, node)
        message = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}"
        await self._events.record(pod, "Normal", "Scheduled", message)
        return True

    async def _refuse(self, pod: Object, states: dict[str, NodeState], trouble: str) -> None:
        count = len(states)
        if trouble:
            useless = f"preemption: 0/{count} nodes are available: {count} Preemption is not helpful for scheduling."
            message = f"0/{count} nodes are available: {trouble}. {useless}"
        else:
            message = failure_message(count, {name: reasons_against(pod, state) for name, state in states.items()})
        metadata = pod["metadata"]
        if self._refused.get(metadata["uid"]) != message:
            self._refused[metadata["uid"]] = message
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastProbeTime": None,
                "lastTransitionTime": timestamp(),
            }
            try:
                await self._client.patch_status(
                    PODS, metadata["name"], {"conditions": [condition]}, metadata["namespace"], kind="strategic"
                )
            except ApiStatusError as error:
                if not (error.not_found or error.conflict):
                    raise
                return
        await self._events.record(pod, "Warning", "FailedScheduling", message)


def _arrival(pod: Object) -> tuple[int, str, str]:
    metadata = pod["metadata"]
    return -int(pod["spec"].get("priority") or 0), metadata["creationTimestamp"], metadata["name"]
