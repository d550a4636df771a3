"""All kubelets of the fleet: takes up pods bound to its nodes, ends those that are deleted."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.nodes.pod import PodWorker
from pytest_modelrt.simulator.nodes.quantities import is_finished
from pytest_modelrt.simulator.nodes.surroundings import COMPONENT_LABEL, MODEL_LABEL, Surroundings
from pytest_modelrt.simulator.scenario import PortForwardRule

log = logging.getLogger(__name__)


class Kubelet:
    """One worker per pod, whatever node it is on."""

    def __init__(self, around: Surroundings, pods: Informer, addresses: Mapping[str, str]) -> None:
        self._around = around
        self._addresses = addresses
        self._workers: dict[str, PodWorker] = {}
        self._unreachable: set[str] = set()
        self._dropped: Counter[str] = Counter()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        pods.on_change(self._pod_changed)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a pod by name."""
        for worker in self._workers.values():
            if worker.name == name and worker.namespace == namespace:
                return worker
        return None

    def port_forward_rule(self, pod: Object) -> PortForwardRule | None:
        """What goes wrong with this connection to the pod; asked once per connection."""
        labels = pod["metadata"].get("labels") or {}
        model, component = labels.get(MODEL_LABEL, ""), labels.get(COMPONENT_LABEL, "")
        rule = self._around.scenario.port_forward(model, component)
        if rule is None or (rule.times is not None and self._dropped[model] >= rule.times):
            return None
        self._dropped[model] += 1
        self._around.scenario.signals.note(model, "port-forward")
        return rule

    def set_reachable(self, node: str, reachable: bool) -> None:
        """Whether the node's kubelet reaches the API; its pods run on either way."""
        (self._unreachable.discard if reachable else self._unreachable.add)(node)
        for worker in self._workers.values():
            if worker.pod["spec"]["nodeName"] == node:
                worker.set_reachable(reachable)

    async def stop(self) -> None:
        """Stop all programs without touching the API objects."""
        for worker in self._workers.values():
            worker.end(gone=True)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _pod_changed(self, kind: str, pod: Object, _old: Object | None) -> None:
        node = pod["spec"].get("nodeName")
        if node not in self._addresses:
            return
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if kind == "DELETED":
            if worker is not None:
                worker.end(gone=True)
            self._around.events.forget(uid)
            return
        if worker is None and (not is_finished(pod) or "deletionTimestamp" in pod["metadata"]):
            worker = self._start(uid, pod)
        if worker is not None and "deletionTimestamp" in pod["metadata"]:
            worker.end()

    def _start(self, uid: str, pod: Object) -> PodWorker:
        worker = PodWorker(self._around, pod, self._addresses[pod["spec"]["nodeName"]])
        worker.set_reachable(pod["spec"]["nodeName"] not in self._unreachable)
        self._workers[uid] = worker
        task = asyncio.create_task(worker.run(), name=f"pod-{worker.name}")
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._ended(uid, done))
        return worker

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("worker of pod %s failed", uid, exc_info=task.exception())
