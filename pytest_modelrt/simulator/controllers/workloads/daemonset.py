"""DaemonSet: one pod on every node it selects."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.owners import OwnerQueue
from pytest_modelrt.simulator.controllers.placement import selects_node, tolerates_node
from pytest_modelrt.simulator.controllers.platform import Platform, is_deleting, owner_reference
from pytest_modelrt.simulator.controllers.workloads.pods import PodControl, is_active, is_ready, template_hash
from pytest_modelrt.simulator.informer import Key
from pytest_modelrt.simulator.resources import DAEMON_SETS, NODES, PODS

_COMPONENT = "daemonset-controller"
_HASH_LABEL = "controller-revision-hash"


class DaemonSetController:
    """Creates one pod per selected node, bound to it, and replaces pods of an older template one by one."""

    def __init__(self, platform: Platform) -> None:
        self._client = platform.client.as_component(_COMPONENT)
        self._sets = platform.informers.of(DAEMON_SETS)
        self._nodes = platform.informers.of(NODES)
        pods = platform.informers.of(PODS)
        self._control = PodControl(self._client, pods)
        self._queue = OwnerQueue(_COMPONENT, self._reconcile, platform.clock, self._sets, [pods])
        self._nodes.on_change(self._on_node)

    async def run(self) -> None:
        """Reconcile until cancelled."""
        await self._queue.run()

    def _on_node(self, _kind: str, node: Object, old: Object | None) -> None:
        """Labels and taints decide; heartbeats and the labels of models do not."""
        if old is not None and _placement_facts(node) == _placement_facts(old):
            return
        self._queue.add_all()

    async def _reconcile(self, key: Key) -> float | None:
        daemon_set = self._sets.cache.get(key)
        if daemon_set is None or is_deleting(daemon_set):
            return None
        uid = daemon_set["metadata"]["uid"]
        if self._control.unseen(uid):
            return None
        template = daemon_set["spec"]["template"]
        digest = template_hash(template)
        wanted = {
            node["metadata"]["name"]
            for node in self._nodes.cache.values()
            if selects_node(template["spec"], node) and tolerates_node(template["spec"], node)
        }
        pods = self._control.owned(uid)
        await self._remove(pods, wanted, digest)
        taken = {pod["spec"].get("nodeName") for pod in pods if is_active(pod)}
        for node in sorted(wanted - taken):
            await self._control.create(uid, _pod(daemon_set, node, digest), daemon_set["metadata"]["namespace"])
        await self._write_status(daemon_set, pods, wanted, digest)
        return None

    async def _remove(self, pods: list[Object], wanted: set[str], digest: str) -> None:
        """Delete pods that ended or run on the wrong node, and one of an old template while all others are ready."""
        outdated: list[Object] = []
        for pod in pods:
            if is_deleting(pod):
                continue
            if not is_active(pod) or pod["spec"].get("nodeName") not in wanted:
                await self._control.delete(pod)
            elif pod["metadata"]["labels"].get(_HASH_LABEL) != digest:
                outdated.append(pod)
        if outdated and all(is_ready(pod) and not is_deleting(pod) for pod in pods):
            await self._control.delete(outdated[0])

    async def _write_status(self, daemon_set: Object, pods: list[Object], wanted: set[str], digest: str) -> None:
        metadata = daemon_set["metadata"]
        active = [pod for pod in pods if is_active(pod) and pod["spec"].get("nodeName") in wanted]
        ready = sum(map(is_ready, active))
        updated = sum(pod["metadata"]["labels"].get(_HASH_LABEL) == digest for pod in active)
        status: dict[str, Any] = {
            "currentNumberScheduled": len(active),
            "desiredNumberScheduled": len(wanted),
            "numberAvailable": ready or None,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "numberUnavailable": len(wanted) - ready or None,
            "observedGeneration": metadata["generation"],
            "updatedNumberScheduled": updated or None,
        }
        old = daemon_set.get("status") or {}
        if any(old.get(name) != value for name, value in status.items()):
            try:
                await self._client.patch_status(DAEMON_SETS, metadata["name"], status, metadata["namespace"])
            except ApiStatusError as error:
                if not error.not_found:
                    raise


def _placement_facts(node: Object) -> tuple[Any, ...]:
    labels = node["metadata"].get("labels") or {}
    kept = {name: value for name, value in labels.items() if not name.startswith("models.ome.io/")}
    return kept, (node.get("spec") or {}).get("taints")


def _pod(daemon_set: Object, node: str, digest: str) -> Object:
    template = daemon_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    return {
        "metadata": {
            "generateName": f"{daemon_set['metadata']['name']}-",
            "labels": {**(metadata.get("labels") or {}), _HASH_LABEL: digest},
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [owner_reference(daemon_set)],
        },
        "spec": {**template["spec"], "nodeName": node},
    }
