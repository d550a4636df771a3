"""LeaderWorkerSet: groups of one leader and its workers that live and die together."""

from __future__ import annotations

import copy
from typing import Any

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.owners import OwnerQueue
from pytest_modelrt.simulator.controllers.platform import (
    Platform,
    is_deleting,
    owner_reference,
    timestamp,
)
from pytest_modelrt.simulator.controllers.workloads.pods import (
    PodControl,
    is_active,
    is_ready,
    restarts,
    template_hash,
)
from pytest_modelrt.simulator.informer import Key
from pytest_modelrt.simulator.resources import LEADER_WORKER_SETS, PODS, SERVICES

_COMPONENT = "leaderworkerset-controller"
_LABEL = "leaderworkerset.sigs.k8s.io"
_NAME, _GROUP, _WORKER = f"{_LABEL}/name", f"{_LABEL}/group-index", f"{_LABEL}/worker-index"
_HASH, _SIZE = f"{_LABEL}/template-revision-hash", f"{_LABEL}/size"


class LeaderWorkerSetController:
    """Keeps ``replicas`` groups of ``size`` pods; a restart anywhere in a group recreates the group."""

    def __init__(self, platform: Platform) -> None:
        self._client = platform.client.as_component(_COMPONENT)
        self._events = platform.events(_COMPONENT)
        self._sets = platform.informers.of(LEADER_WORKER_SETS)
        pods = platform.informers.of(PODS)
        self._control = PodControl(self._client, pods)
        self._queue = OwnerQueue(_COMPONENT, self._reconcile, platform.clock, self._sets, [pods])

    async def run(self) -> None:
        """Reconcile until cancelled."""
        await self._queue.run()

    async def _reconcile(self, key: Key) -> float | None:
        worker_set = self._sets.cache.get(key)
        if worker_set is None or is_deleting(worker_set):
            return None
        metadata, spec = worker_set["metadata"], worker_set["spec"]
        await self._ensure_service(worker_set)
        pods = self._control.owned(metadata["uid"])
        if self._control.unseen(metadata["uid"]):
            return None
        digest = template_hash(spec["leaderWorkerTemplate"])
        ready = 0
        for group in range(spec.get("replicas", 1)):
            members = [pod for pod in pods if pod["metadata"]["labels"].get(_GROUP) == str(group)]
            ready += await self._ensure_group(worker_set, group, members, digest)
        for pod in pods:
            if int(pod["metadata"]["labels"].get(_GROUP, 0)) >= spec.get("replicas", 1) and not is_deleting(pod):
                await self._control.delete(pod)
        await self._write_status(worker_set, ready)
        return None

    async def _ensure_service(self, worker_set: Object) -> None:
        metadata = worker_set["metadata"]
        body = {
            "metadata": {"name": metadata["name"], "ownerReferences": [owner_reference(worker_set)]},
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": {_NAME: metadata["name"]},
            },
        }
        if (worker_set.get("status") or {}).get("conditions"):
            return
        try:
            await self._client.create(SERVICES, body, metadata["namespace"])
        except ApiStatusError as error:
            if error.reason != "AlreadyExists":
                raise

    async def _ensure_group(self, worker_set: Object, group: int, members: list[Object], digest: str) -> bool:
        """Whether the group is complete and ready."""
        spec = worker_set["spec"]
        size = spec["leaderWorkerTemplate"].get("size", 1)
        if any(_needs_recreation(pod, digest, spec["leaderWorkerTemplate"]) for pod in members):
            for pod in members:
                if not is_deleting(pod):
                    await self._control.delete(pod)
            name = worker_set["metadata"]["name"]
            await self._events.record(worker_set, "Normal", "RecreateGroup", f"Recreating group {name}-{group}")
            return False
        if any(is_deleting(pod) for pod in members):
            return False
        present = {int(pod["metadata"]["labels"][_WORKER]) for pod in members}
        metadata = worker_set["metadata"]
        for worker in range(size):
            if worker not in present:
                body = _pod(worker_set, group, worker, size, digest)
                await self._control.create(metadata["uid"], body, metadata["namespace"])
        return len(members) == size and all(map(is_ready, members))

    async def _write_status(self, worker_set: Object, ready: int) -> None:
        metadata = worker_set["metadata"]
        wanted = worker_set["spec"].get("replicas", 1)
        old = worker_set.get("status") or {}
        status: dict[str, Any] = {
            "replicas": wanted,
            "readyReplicas": ready,
            "updatedReplicas": wanted,
            "observedGeneration": metadata["generation"],
            "conditions": _conditions(old.get("conditions") or [], available=ready >= wanted),
        }
        if any(old.get(name) != value for name, value in status.items()):
            try:
                await self._client.patch_status(LEADER_WORKER_SETS, metadata["name"], status, metadata["namespace"])
            except ApiStatusError as error:
                if not error.not_found:
                    raise


def _needs_recreation(pod: Object, digest: str, template: Object) -> bool:
    if pod["metadata"]["labels"].get(_HASH) != digest or (not is_active(pod) and not is_deleting(pod)):
        return True
    recreates = template.get("restartPolicy", "RecreateGroupOnPodRestart") in ("RecreateGroupOnPodRestart", "Default")
    return recreates and not is_deleting(pod) and restarts(pod) > 0


def _pod(worker_set: Object, group: int, worker: int, size: int, digest: str) -> Object:
    name, namespace = worker_set["metadata"]["name"], worker_set["metadata"]["namespace"]
    template = worker_set["spec"]["leaderWorkerTemplate"]
    chosen = template.get("leaderTemplate") if worker == 0 else None
    chosen = copy.deepcopy(chosen or template["workerTemplate"])
    metadata, spec = chosen.get("metadata") or {}, chosen["spec"]
    pod_name = f"{name}-{group}" if worker == 0 else f"{name}-{group}-{worker}"
    variables = [
        {"name": "LWS_LEADER_ADDRESS", "value": f"{name}-{group}.{name}.{namespace}"},
        {"name": "LWS_GROUP_SIZE", "value": str(size)},
        {"name": "LWS_WORKER_INDEX", "value": str(worker)},
    ]
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        own = [entry for entry in container.get("env") or [] if not entry["name"].startswith("LWS_")]
        container["env"] = [*variables, *own]
    labels = {
        _NAME: name,
        _GROUP: str(group),
        _WORKER: str(worker),
        _HASH: digest,
        f"{_LABEL}/group-key": f"{name}-{group}",
    }
    return {
        "metadata": {
            "name": pod_name,
            "labels": {**(metadata.get("labels") or {}), **labels},
            "annotations": {
                **(metadata.get("annotations") or {}),
                _SIZE: str(size),
                f"{_LABEL}/leader-name": f"{name}-{group}",
            },
            "ownerReferences": [owner_reference(worker_set)],
        },
        "spec": {**spec, "hostname": pod_name, "subdomain": name},
    }


def _conditions(old: list[Object], *, available: bool) -> list[Object]:
    wanted = {
        "Progressing": (not available, "GroupsProgressing", "Replicas are progressing"),
        "Available": (available, "AllGroupsReady", "All replicas are ready"),
    }
    known = {condition["type"]: condition for condition in old}
    conditions = []
    for kind, (holds, reason, message) in wanted.items():
        status = "True" if holds else "False"
        if known.get(kind, {}).get("status") == status:
            conditions.append(known[kind])
        elif holds or kind in known or kind == "Available":
            now = timestamp()
            texts = {"reason": reason, "message": message}
            conditions.append({"type": kind, "status": status, **texts, "lastTransitionTime": now})
    return conditions
