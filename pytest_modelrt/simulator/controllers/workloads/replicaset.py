"""ReplicaSet: keeps a number of pods."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.owners import OwnerQueue
from pytest_modelrt.simulator.controllers.platform import (
    Platform,
    is_deleting,
    owner_reference,
    timestamp,
)
from pytest_modelrt.simulator.controllers.workloads.pods import PodControl, is_active, is_ready, worst_first
from pytest_modelrt.simulator.informer import Key
from pytest_modelrt.simulator.resources import PODS, REPLICA_SETS

_COMPONENT = "replicaset-controller"


class ReplicaSetController:
    """Creates and deletes pods until as many are active as the ReplicaSet wants."""

    def __init__(self, platform: Platform) -> None:
        self._client = platform.client.as_component(_COMPONENT)
        self._events = platform.events(_COMPONENT)
        self._sets = platform.informers.of(REPLICA_SETS)
        pods = platform.informers.of(PODS)
        self._control = PodControl(self._client, pods)
        self._queue = OwnerQueue(_COMPONENT, self._reconcile, platform.clock, self._sets, [pods], workers=2)

    async def run(self) -> None:
        """Reconcile until cancelled."""
        await self._queue.run()

    async def _reconcile(self, key: Key) -> float | None:
        replica_set = self._sets.cache.get(key)
        if replica_set is None:
            return None
        uid = replica_set["metadata"]["uid"]
        failure: ApiStatusError | None = None
        if not is_deleting(replica_set):
            try:
                await self._scale(replica_set, uid)
            except ApiStatusError as error:
                failure = error
        await self._write_status(replica_set, uid, failure)
        if failure is not None and not failure.not_found:
            raise failure
        return None

    async def _scale(self, replica_set: Object, uid: str) -> None:
        wanted = replica_set["spec"].get("replicas", 1)
        active = [pod for pod in self._control.owned(uid) if is_active(pod)]
        missing = wanted - len(active) - self._control.unseen(uid)
        for _ in range(missing):
            try:
                pod = await self._control.create(uid, _pod(replica_set), replica_set["metadata"]["namespace"])
            except ApiStatusError as error:
                await self._events.record(replica_set, "Warning", "FailedCreate", f"Error creating: {error}")
                raise
            created = f"Created pod: {pod['metadata']['name']}"
            await self._events.record(replica_set, "Normal", "SuccessfulCreate", created)
        for pod in worst_first(active)[: max(0, -missing)]:
            await self._control.delete(pod)
            deleted = f"Deleted pod: {pod['metadata']['name']}"
            await self._events.record(replica_set, "Normal", "SuccessfulDelete", deleted)

    async def _write_status(self, replica_set: Object, uid: str, failure: ApiStatusError | None) -> None:
        metadata = replica_set["metadata"]
        active = [pod for pod in self._control.owned(uid) if is_active(pod)]
        ready = sum(map(is_ready, active))
        old = replica_set.get("status") or {}
        status: dict[str, Any] = {
            "replicas": len(active),
            "fullyLabeledReplicas": len(active) or None,
            "readyReplicas": ready or None,
            "availableReplicas": ready or None,
            "observedGeneration": metadata["generation"],
            "conditions": _conditions(old.get("conditions") or [], failure) or None,
        }
        if all(old.get(name) == value for name, value in status.items()):
            return
        try:
            await self._client.patch_status(REPLICA_SETS, metadata["name"], status, metadata["namespace"])
        except ApiStatusError as error:
            if not error.not_found:
                raise


def _conditions(old: list[Object], failure: ApiStatusError | None) -> list[Object]:
    if failure is None:
        return []
    for condition in old:
        if condition.get("message") == str(failure):
            return old
    return [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": str(failure),
            "lastTransitionTime": timestamp(),
        }
    ]


def _pod(replica_set: Object) -> Object:
    template = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    return {
        "metadata": {
            "generateName": f"{replica_set['metadata']['name']}-",
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [owner_reference(replica_set)],
        },
        "spec": template["spec"],
    }
