"""Deployment: rolls pods over through ReplicaSets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.owners import OwnerQueue
from pytest_modelrt.simulator.controllers.platform import (
    Platform,
    is_deleting,
    owner_reference,
    timestamp,
)
from pytest_modelrt.simulator.controllers.workloads.pods import OWNER_INDEX, index_by_owner, resolve, template_hash
from pytest_modelrt.simulator.informer import Key
from pytest_modelrt.simulator.resources import DEPLOYMENTS, REPLICA_SETS

_COMPONENT = "deployment-controller"
_HASH_LABEL = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(slots=True)
class _Progress:
    """The last state that counted as progress, and when (cluster seconds) it was reached."""

    state: tuple[int, ...]
    at: float


class DeploymentController:
    """Makes the newest ReplicaSet hold all replicas, within the limits of the rolling update."""

    def __init__(self, platform: Platform) -> None:
        self._client = platform.client.as_component(_COMPONENT)
        self._clock = platform.clock
        self._events = platform.events(_COMPONENT)
        self._deployments = platform.informers.of(DEPLOYMENTS)
        self._sets = platform.informers.of(REPLICA_SETS)
        index_by_owner(self._sets)
        self._progress: dict[str, _Progress] = {}
        self._queue = OwnerQueue(
            _COMPONENT,
            self._reconcile,
            platform.clock,
            self._deployments,
            [self._sets],
            workers=2,
            on_gone=self._forget,
        )

    async def run(self) -> None:
        """Reconcile until cancelled."""
        await self._queue.run()

    def _forget(self, uid: str) -> None:
        self._progress.pop(uid, None)

    async def _reconcile(self, key: Key) -> float | None:
        deployment = self._deployments.cache.get(key)
        if deployment is None or is_deleting(deployment):
            return None
        sets = self._sets.indexed(OWNER_INDEX, deployment["metadata"]["uid"])
        digest = template_hash(deployment["spec"]["template"])
        newest = next((s for s in sets if s["metadata"]["labels"].get(_HASH_LABEL) == digest), None)
        older = [s for s in sets if s is not newest]
        if newest is None:
            newest = await self._create_set(deployment, digest, older)
        await self._roll(deployment, newest, older)
        return await self._write_status(deployment, newest, older)

    async def _create_set(self, deployment: Object, digest: str, older: list[Object]) -> Object:
        metadata, spec = deployment["metadata"], deployment["spec"]
        revision = 1 + max((_revision(replica_set) for replica_set in older), default=0)
        labels = {**(spec["template"].get("metadata", {}).get("labels") or {}), _HASH_LABEL: digest}
        selector = spec.get("selector") or {}
        body: Object = {
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "labels": labels,
                "annotations": {_REVISION: str(revision)},
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": 0 if older else _wanted(deployment),
                "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), _HASH_LABEL: digest}},
                "template": {
                    **spec["template"],
                    "metadata": {**(spec["template"].get("metadata") or {}), "labels": labels},
                },
            },
        }
        try:
            created = await self._client.create(REPLICA_SETS, body, metadata["namespace"])
        except ApiStatusError as error:
            if error.reason != "AlreadyExists":
                raise
            return await self._client.get(REPLICA_SETS, body["metadata"]["name"], metadata["namespace"])
        if not older:
            await self._announce(deployment, created, 0, created["spec"]["replicas"])
        if (metadata.get("annotations") or {}).get(_REVISION) != str(revision):
            patch = {"metadata": {"annotations": {_REVISION: str(revision)}}}
            await self._client.patch(DEPLOYMENTS, metadata["name"], patch, metadata["namespace"])
        return created

    async def _roll(self, deployment: Object, newest: Object, older: list[Object]) -> None:
        wanted = _wanted(deployment)
        strategy = deployment["spec"].get("strategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        recreate = strategy.get("type") == "Recreate"
        surge = 0 if recreate else resolve(rolling.get("maxSurge"), wanted, "25%", round_up=True)
        slack = wanted if recreate else resolve(rolling.get("maxUnavailable"), wanted, "25%", round_up=False)
        if not surge and not slack:
            slack = 1
        held = sum(replica_set["spec"]["replicas"] for replica_set in older)
        running = sum((replica_set.get("status") or {}).get("replicas", 0) for replica_set in older)
        current = newest["spec"]["replicas"]
        room = wanted + surge - held - current
        if recreate and running:
            room = 0
        await self._scale(deployment, newest, min(wanted, current + max(0, room)) if current < wanted else wanted)
        available = sum((s.get("status") or {}).get("availableReplicas", 0) for s in [newest, *older])
        removable = held if recreate else max(0, min(held, available - max(0, wanted - slack)))
        for replica_set in sorted(older, key=_revision):
            replicas = replica_set["spec"]["replicas"]
            unhealthy = replicas - (replica_set.get("status") or {}).get("availableReplicas", 0)
            step = min(replicas, max(removable, unhealthy if newest["spec"]["replicas"] >= wanted else 0))
            removable = max(0, removable - step)
            if step:
                await self._scale(deployment, replica_set, replicas - step)

    async def _scale(self, deployment: Object, replica_set: Object, replicas: int) -> None:
        metadata = replica_set["metadata"]
        before = replica_set["spec"]["replicas"]
        if before == replicas:
            return
        # the version guards against a second step on a set whose first step the cache does not show yet
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"replicas": replicas}}
        await self._client.patch(REPLICA_SETS, metadata["name"], patch, metadata["namespace"])
        await self._announce(deployment, replica_set, before, replicas)

    async def _announce(self, deployment: Object, replica_set: Object, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        text = f"Scaled {direction} replica set {replica_set['metadata']['name']} from {before} to {after}"
        await self._events.record(deployment, "Normal", "ScalingReplicaSet", text)

    async def _write_status(self, deployment: Object, newest: Object, older: list[Object]) -> float | None:
        metadata = deployment["metadata"]
        every = [(replica_set.get("status") or {}) for replica_set in [newest, *older]]
        counts = {
            name: sum(status.get(name, 0) for status in every)
            for name in ("replicas", "readyReplicas", "availableReplicas")
        }
        counts["updatedReplicas"] = every[0].get("replicas", 0)
        counts["unavailableReplicas"] = max(0, _wanted(deployment) - counts["availableReplicas"])
        old = deployment.get("status") or {}
        progressing, again = self._progressing(deployment, newest, counts)
        wanted_conditions = [_available(deployment, counts), progressing, *_failure(newest)]
        conditions = _merge(old.get("conditions") or [], wanted_conditions)
        status: dict[str, Any] = {name: count or None for name, count in counts.items()}
        status |= {"observedGeneration": metadata["generation"], "conditions": conditions}
        if any(old.get(name) != value for name, value in status.items()):
            try:
                await self._client.patch_status(DEPLOYMENTS, metadata["name"], status, metadata["namespace"])
            except ApiStatusError as error:
                if not error.not_found:
                    raise
        return again

    def _progressing(self, deployment: Object, newest: Object, counts: dict[str, int]) -> tuple[Object, float | None]:
        """The Progressing condition, and when to look again for a missed deadline."""
        name, wanted = newest["metadata"]["name"], _wanted(deployment)
        if counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == wanted:
            return _condition("Progressing", "True", "NewReplicaSetAvailable", _progressed(name)), None
        uid, now = deployment["metadata"]["uid"], self._clock.monotonic()
        state = (deployment["metadata"]["generation"], counts["updatedReplicas"], counts["availableReplicas"])
        progress = self._progress.get(uid)
        if progress is None or progress.state != state:
            progress = self._progress[uid] = _Progress(state, now)
        left = deployment["spec"].get("progressDeadlineSeconds", 600) - (now - progress.at)
        if left <= 0:
            text = f'ReplicaSet "{name}" has timed out progressing.'
            return _condition("Progressing", "False", "ProgressDeadlineExceeded", text), None
        text = f'ReplicaSet "{name}" is progressing.'
        return _condition("Progressing", "True", "ReplicaSetUpdated", text), left + 1


def _progressed(name: str) -> str:
    return f'ReplicaSet "{name}" has successfully progressed.'


def _wanted(deployment: Object) -> int:
    return int(deployment["spec"].get("replicas", 1))


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))


def _available(deployment: Object, counts: dict[str, int]) -> Object:
    wanted = _wanted(deployment)
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    slack = resolve(rolling.get("maxUnavailable"), wanted, "25%", round_up=False)
    if counts["availableReplicas"] >= wanted - slack:
        return _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    text = "Deployment does not have minimum availability."
    return _condition("Available", "False", "MinimumReplicasUnavailable", text)


def _failure(newest: Object) -> list[Object]:
    conditions = (newest.get("status") or {}).get("conditions") or []
    return [
        _condition("ReplicaFailure", "True", condition["reason"], condition["message"])
        for condition in conditions
        if condition["type"] == "ReplicaFailure"
    ]


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _merge(old: list[Object], wanted: list[Object]) -> list[Object]:
    """``wanted`` with the times of those conditions that did not change."""
    known = {condition["type"]: condition for condition in old}
    merged = []
    for condition in wanted:
        before = known.get(condition["type"], {})
        if all(before.get(name) == value for name, value in condition.items()):
            merged.append(before)
            continue
        now = timestamp()
        same_status = before.get("status") == condition["status"]
        since = before["lastTransitionTime"] if same_status else now
        merged.append({**condition, "lastTransitionTime": since, "lastUpdateTime": now})
    return merged
