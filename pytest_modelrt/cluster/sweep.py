"""Find what runs of ours left in a cluster, and delete it in an order that cannot dead-lock.

The order is services, their pods, namespaces, runtimes, models, everything else: a model deleted before the service
that uses it leaves the service terminating for ever. Only objects that carry our labels are touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import (
    CASE,
    CLUSTER_BASE_MODEL,
    CLUSTER_SERVING_RUNTIME,
    INFERENCE_SERVICE,
    LLM_INFERENCE_SERVICE,
    MANAGED_BY,
    MANAGER,
    NAMESPACE,
    POD,
    RUN_ID,
    ApiError,
    NotOurs,
    Object,
    Ref,
    Resource,
    Selection,
)
from pytest_modelrt.cluster.ownership import has_expired, run_of
from pytest_modelrt.cluster.waiting import kubectl_line, why_still_there

PATIENCE = 300.0
"""Cluster seconds to wait for each group of objects to go."""
LEAST_REAL_SECONDS = 30.0
"""A namespace takes another API server some real seconds, however fast the simulated nodes are."""
_POD_LABELS = {INFERENCE_SERVICE.kind: "ome.io/inferenceservice", LLM_INFERENCE_SERVICE.kind: "app.kubernetes.io/name"}
_FIRST = (INFERENCE_SERVICE, LLM_INFERENCE_SERVICE, NAMESPACE, CLUSTER_SERVING_RUNTIME, CLUSTER_BASE_MODEL)
_FOLLOWERS = frozenset({"events", "endpoints", "endpointslices"})
"""Kinds that copy labels from their source and go with it."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose objects: one run's, the expired ones of any run, or all runs'."""

    run_id: str | None = None
    expired_at: datetime | None = None
    case: str | None = None
    """Only what belongs to this case (its label)."""

    @property
    def labels(self) -> str:
        """Label selector that finds them (expiry is an annotation and checked afterwards)."""
        run = f"{RUN_ID}={self.run_id}" if self.run_id else RUN_ID
        return f"{MANAGED_BY}={MANAGER},{run}" + (f",{CASE}={self.case}" if self.case else "")

    def covers(self, obj: Object) -> bool:
        """Whether the object is one of them."""
        run = run_of(obj)
        if run is None or (self.run_id and run != self.run_id):
            return False
        return self.expired_at is None or has_expired(obj, self.expired_at)


@dataclass(frozen=True, slots=True)
class Found:
    """One object of ours."""

    ref: Ref
    run_id: str
    uid: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """What could not be deleted, and how to look at it."""

    ref: Ref
    why: str

    @property
    def command(self) -> str:
        """The kubectl line that shows it."""
        return kubectl_line(self.ref)


@dataclass(slots=True)
class Swept:
    """What a sweep did."""

    deleted: list[Ref] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """Kinds we may not list: something of ours may hide there."""


def find(cluster: Cluster, wanted: Wanted, unseen: list[str] | None = None) -> list[Found]:
    """Everything of ours, in deletion order; kinds we may not list are added to ``unseen``."""
    found: dict[str, Found] = {}
    for resource in _kinds(cluster):
        try:
            objects = cluster.list_metadata(resource, labels=wanted.labels)
        except ApiError as error:
            if error.code == 403 and unseen is not None:
                unseen.append(f"{resource.plural}: {error.message}")
            if error.code in (403, 404, 405):
                continue
            raise
        for obj in objects:
            if wanted.covers(obj) and not _goes_with_its_owner(obj):
                metadata = obj["metadata"]
                ref = Ref(resource, metadata["name"], metadata.get("namespace"))
                found.setdefault(metadata["uid"], Found(ref, run_of(obj) or "", metadata["uid"]))
    return list(found.values())


def _kinds(cluster: Cluster) -> list[Resource]:
    """Every kind that can be listed and deleted, those with an order first; in its preferred version if it has one."""
    served: dict[tuple[str, str], Resource] = {}
    for api_version in cluster.kinds.groups():
        for resource in cluster.kinds.served(api_version, frozenset({"list", "delete"})):
            if resource.plural not in _FOLLOWERS:
                served.setdefault((resource.group, resource.plural), resource)
    first = [served.pop((item.group, item.plural), item) for item in _FIRST]
    return [*first, *served.values()]


def _goes_with_its_owner(obj: Object) -> bool:
    """Platforms copy labels to what they make; garbage collection removes that."""
    return any(owner.get("controller") for owner in obj["metadata"].get("ownerReferences") or [])


def sweep(
    cluster: Cluster,
    wanted: Wanted,
    *,
    patience: float | None = None,
    at_most: float | None = None,
    strip_finalizers: bool = False,
    tell: Tell = lambda _: None,
) -> Swept:
    """Delete what ``find`` finds, wait until it is gone and say what stays.

    ``patience``: cluster seconds per group of objects (default: ``PATIENCE``, and 30 real seconds at least);
    ``at_most``: for all together. Raises ApiUnavailable, ApiError.
    """
    swept = Swept()
    found = find(cluster, wanted, swept.unseen)
    end = Deadline(cluster.clock, at_most) if at_most is not None else None
    each = max(PATIENCE, LEAST_REAL_SECONDS * cluster.clock.speed) if patience is None else patience
    broom = _Broom(cluster, wanted, swept, each, end, strip_finalizers, tell)
    services = [item for item in found if item.ref.resource.kind in _POD_LABELS]
    stuck = broom.remove(services)
    broom.wait_for_pods(services)
    namespaces = [item for item in found if item.ref.resource == NAMESPACE]
    gone_with = {item.ref.name for item in namespaces}
    broom.remove(namespaces)
    needed = _needed_by(cluster, stuck)
    rest = [
        item
        for item in found
        if item not in services and item not in namespaces and item.ref.namespace not in gone_with
    ]
    for _, group in groupby(rest, key=lambda item: item.ref.resource):
        items = list(group)
        for item in items:
            if item.ref in needed:
                swept.leftovers.append(Leftover(item.ref, "kept: a service that uses it is still being deleted"))
        broom.remove([item for item in items if item.ref not in needed])
    return swept


def _needed_by(cluster: Cluster, stuck: Iterable[Found]) -> set[Ref]:
    """Models and runtimes of services that are still there."""
    needed: set[Ref] = set()
    for item in stuck:
        spec = (cluster.get(item.ref) or {}).get("spec") or {}
        for key, resource in (("model", CLUSTER_BASE_MODEL), ("runtime", CLUSTER_SERVING_RUNTIME)):
            name = (spec.get(key) or {}).get("name")
            if name:
                needed.add(Ref(resource, name))
    return needed


@dataclass(slots=True)
class _Broom:
    """Deletes groups of objects and keeps the account."""

    cluster: Cluster
    wanted: Wanted
    swept: Swept
    patience: float
    end: Deadline | None
    strip_finalizers: bool
    tell: Tell

    def remove(self, items: Sequence[Found]) -> list[Found]:
        """Delete, wait, verify; returns what stays."""
        asked: list[Found] = []
        for item in items:
            try:
                if self.cluster.delete(item.ref, uid=item.uid, run_id=item.run_id):
                    self.tell(f"delete {item.ref}")
                asked.append(item)
            except NotOurs as error:
                self.swept.leftovers.append(Leftover(item.ref, str(error)))
            except ApiError as error:
                if error.code not in (403, 405, 409, 422, 500):
                    raise
                self.swept.leftovers.append(Leftover(item.ref, f"refused: {error.code} {error.message}"))
        left = self._wait(asked)
        if left and self.strip_finalizers:
            for item in left:
                self.tell(f"strip finalizers of {item.ref}")
                self._strip(item)
            left = self._wait(left)
        self.swept.deleted += [item.ref for item in asked if item not in left]
        for item in left:
            obj = self.cluster.get(item.ref)
            self.swept.leftovers.append(Leftover(item.ref, why_still_there(obj) if obj else "gone at the last moment"))
        return left

    def wait_for_pods(self, services: Sequence[Found]) -> None:
        """Wait until the pods of deleted services hold no GPU any more; those that stay are leftovers."""
        deadline = self._deadline()
        for item in services:
            label = f"{_POD_LABELS[item.ref.resource.kind]}={item.ref.name}"
            pods = self.cluster.list_metadata(POD, item.ref.namespace, labels=label)
            if not pods:
                continue
            uids = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods}
            left = wait_gone(self.cluster, Selection(POD, item.ref.namespace, labels=label), set(uids), deadline)
            for uid in left:
                ref = Ref(POD, uids[uid], item.ref.namespace)
                self.swept.leftovers.append(Leftover(ref, why_still_there(self.cluster.get(ref) or {})))

    def _deadline(self) -> Deadline:
        """For one group of objects."""
        seconds = self.patience if self.end is None else min(self.patience, self.end.remaining)
        return Deadline(self.cluster.clock, seconds)

    def _wait(self, items: Sequence[Found]) -> list[Found]:
        deadline = self._deadline()
        left: set[str] = set()
        for resource in dict.fromkeys(item.ref.resource for item in items):
            uids = {item.uid for item in items if item.ref.resource == resource}
            left |= wait_gone(self.cluster, Selection(resource, labels=self.wanted.labels), uids, deadline)
        return [item for item in items if item.uid in left]

    def _strip(self, item: Found) -> None:
        owner = self.cluster.for_run(item.run_id)
        obj = owner.get(item.ref)
        if obj and obj["metadata"].get("deletionTimestamp") and obj["metadata"].get("finalizers"):
            owner.patch(item.ref, {"metadata": {"finalizers": None, "uid": item.uid}})


def wait_gone(cluster: Cluster, selection: Selection, uids: set[str], deadline: Deadline) -> set[str]:
    """Wait until none of ``uids`` is left in the selection; returns those that are when the deadline passes."""
    present: set[str] = set()
    fair = cluster.fair(deadline)
    with cluster.changes([selection]) as changes:
        while not (changes.synced and not uids & present):
            if fair.remaining <= 0:
                return uids & present if changes.synced else uids
            change = changes.get(fair.remaining)
            if change is not None:
                event = change[1]
                uid = event.object["metadata"]["uid"]
                present.discard(uid) if event.type == "DELETED" else present.add(uid)
    return set()
