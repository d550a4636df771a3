"""One model of the overlay: its objects, their creation, and a deletion that is seen to be complete."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import POD, ApiError, NotOurs, Object, Ownership, Ref, WaitTimeout
from pytest_modelrt.cluster.ownership import is_ours, run_of, stamp
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.overlay import in_order, pick


class ServedModel:
    """``model-a``, ``model-b`` or a copy of one."""

    def __init__(self, cluster: Cluster, owner: Ownership, objects: Sequence[Object]) -> None:
        self.objects = in_order(list(objects))
        self.service = cluster.kinds.ref(pick(self.objects, "LLMInferenceService"))
        self._cluster = cluster
        self._owner = owner

    @property
    def name(self) -> str:
        """Name of the service, and of the model it serves."""
        return self.service.name

    @property
    def namespace(self) -> str:
        """Where it lives."""
        return str(self.service.namespace)

    def create(self) -> list[Ref]:
        """Create what is missing; returns what was created. Raises ApiError, ApiUnavailable."""
        return ensure(self._cluster, self._owner, self.objects)

    def everything(self) -> list[Ref]:
        """The overlay's objects and those KServe makes of them, without pods."""
        own = [self._cluster.kinds.ref(obj) for obj in self.objects]
        made = [
            make(self.name, self.namespace) for make in (names.workload, names.workload_service, names.certificates)
        ]
        return [*own, *made]

    def pods(self) -> list[Object]:
        """All its pods, going ones too."""
        return self._cluster.list(POD, self.namespace, labels=names.pod_labels(self.name))

    def delete(self, *, wait: float | None) -> list[str]:
        """Delete in an order that cannot dead-lock: route, service, pods, then claim and access.

        Args:
            wait: cluster seconds for each object to go; None: only ask for deletion.

        Returns what is still there, each with the reason, and what was not ours to delete.
        """
        trouble: list[str] = []
        first = [ref for ref in self.everything() if ref.resource in (names.HTTP_ROUTE, self.service.resource)]
        rest = [self._cluster.kinds.ref(obj) for obj in self.objects]
        trouble += self._remove(first, wait)
        if wait is not None:
            trouble += self._await_pods(wait)
        trouble += self._remove([ref for ref in rest if ref not in first], wait)
        if wait is not None:
            trouble += self._await_children(wait)
        return trouble

    def leftovers(self) -> list[Ref]:
        """What of it is still there: ours, or made by KServe for ours."""
        found = []
        for ref in self.everything():
            obj = self._cluster.get(ref)
            if obj is not None and (is_ours(obj, self._owner.run_id) or not run_of(obj)):
                found.append(ref)
        return found + [Ref(POD, pod["metadata"]["name"], self.namespace) for pod in self.pods()]

    def _remove(self, refs: Sequence[Ref], wait: float | None) -> list[str]:
        trouble, asked = [], []
        for ref in refs:
            try:
                if self._cluster.delete(ref):
                    asked.append(ref)
            except NotOurs as error:
                trouble.append(str(error))
        return trouble + ([] if wait is None else self._await_gone(asked, wait))

    def _await_gone(self, refs: Sequence[Ref], wait: float) -> list[str]:
        trouble = []
        for ref in refs:
            try:
                self._cluster.wait_gone(ref, Deadline(self._cluster.clock, wait))
            except WaitTimeout as error:
                trouble.append(str(error))
        return trouble

    def _await_pods(self, wait: float) -> list[str]:
        return self._await_gone([Ref(POD, pod["metadata"]["name"], self.namespace) for pod in self.pods()], wait)

    def _await_children(self, wait: float) -> list[str]:
        """What garbage collection removes by itself."""
        return self._await_gone([ref for ref in self.everything() if self._cluster.get(ref) is not None], wait)


def ensure(cluster: Cluster, owner: Ownership, objects: Sequence[Object]) -> list[Ref]:
    """Create the objects that are not there, with our labels; what is there stays as it is.

    A namespace that is still going away is waited for. Raises ApiError, ApiUnavailable, WaitTimeout.
    """
    created = []
    for obj in objects:
        ref = cluster.kinds.ref(obj)
        live = cluster.get(ref)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            cluster.wait_gone(ref, Deadline(cluster.clock, 180.0))
            live = None
        if live is None and _create(cluster, stamp(obj, owner)):
            created.append(ref)
    return created


def _create(cluster: Cluster, obj: Object) -> bool:
    try:
        cluster.create(obj)
    except ApiError as error:
        if error.reason == "AlreadyExists":
            return False
        raise
    return True
