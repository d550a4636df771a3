"""What workload controllers ask about pods."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from pytest_modelrt.simulator.client import ApiClient, ApiStatusError, Object
from pytest_modelrt.simulator.controllers.platform import controller_uid, is_deleting
from pytest_modelrt.simulator.informer import Informer
from pytest_modelrt.simulator.resources import PODS

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
OWNER_INDEX = "owner"


def index_by_owner(informer: Informer) -> None:
    """Make the objects of an informer findable by the UID of their controller (once per informer)."""
    if not informer.has_index(OWNER_INDEX):
        informer.add_index(OWNER_INDEX, lambda obj: (controller_uid(obj),))


def is_ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is True."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def is_active(pod: Object) -> bool:
    """Whether the pod neither ended nor is being deleted."""
    return not is_deleting(pod) and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def restarts(pod: Object) -> int:
    """Container restarts of the pod, all containers together."""
    return sum(status.get("restartCount", 0) for status in (pod.get("status") or {}).get("containerStatuses") or [])


def template_hash(template: Any) -> str:
    """Ten characters that name a pod template in object names and labels."""
    number = int.from_bytes(hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, digit = divmod(number, len(_SAFE))
        letters.append(_SAFE[digit])
    return "".join(letters)


def resolve(value: int | str | None, total: int, default: int | str, *, round_up: bool) -> int:
    """An absolute count or a percentage of ``total``."""
    chosen = default if value is None else value
    if isinstance(chosen, int):
        return chosen
    if not chosen.endswith("%"):
        return int(chosen)
    scaled = int(chosen[:-1]) * total
    return -(-scaled // 100) if round_up else scaled // 100


class PodControl:
    """Creates and deletes pods, and remembers what the informer has not seen yet."""

    def __init__(self, client: ApiClient, pods: Informer) -> None:
        self._client = client
        self._pods = pods
        self._created: dict[str, set[str]] = {}
        self._deleted: set[str] = set()
        index_by_owner(pods)
        pods.on_change(self._seen)

    def owned(self, uid: str) -> list[Object]:
        """Pods of an owner, without those whose deletion was requested by this controller."""
        pods = self._pods.indexed(OWNER_INDEX, uid)
        return sorted(
            (pod for pod in pods if pod["metadata"]["uid"] not in self._deleted),
            key=lambda p: str(p["metadata"]["name"]),
        )

    def unseen(self, uid: str) -> int:
        """Pods created for an owner that its informer does not hold yet."""
        return len(self._created.get(uid, ()))

    async def create(self, owner_uid: str, pod: Object, namespace: str) -> Object:
        """Create a pod that ``owner_uid`` controls."""
        created = await self._client.create(PODS, pod, namespace)
        metadata = created["metadata"]
        if (namespace, metadata["name"]) not in self._pods.cache:
            self._created.setdefault(owner_uid, set()).add(metadata["uid"])
        return created

    async def delete(self, pod: Object) -> None:
        """Delete a pod gracefully; one that is gone already is fine."""
        metadata = pod["metadata"]
        self._deleted.add(metadata["uid"])
        try:
            await self._client.delete(PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except ApiStatusError as error:
            if not (error.not_found or error.conflict):
                self._deleted.discard(metadata["uid"])
                raise

    def _seen(self, kind: str, pod: Object, _old: Object | None) -> None:
        uid = pod["metadata"]["uid"]
        owner = controller_uid(pod)
        expected = self._created.get(owner)
        if expected is not None:
            expected.discard(uid)
            if not expected:
                del self._created[owner]
        if kind == "DELETED":
            self._deleted.discard(uid)


def worst_first(pods: Iterable[Object]) -> list[Object]:
    """Pods in the order in which a scale-down deletes them: unscheduled, not ready, then youngest."""
    return sorted(
        pods,
        key=lambda pod: (
            bool(pod["spec"].get("nodeName")),
            is_ready(pod),
            _reversed_text(pod["metadata"]["creationTimestamp"]),
        ),
    )


def _reversed_text(text: str) -> tuple[int, ...]:
    return tuple(-ord(character) for character in text)
