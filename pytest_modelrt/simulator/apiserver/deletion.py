"""Deleting objects: preconditions, grace, finalizers, propagation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_modelrt.simulator.apiserver.admission import AdmissionRequest
from pytest_modelrt.simulator.apiserver.errors import (
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_supported,
    uid_conflict,
)
from pytest_modelrt.simulator.apiserver.kinds.schemas import types
from pytest_modelrt.simulator.apiserver.pipeline import WriteOptions
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.schema.typed import check_types
from pytest_modelrt.simulator.apiserver.store import Changed, Snapshot
from pytest_modelrt.simulator.apiserver.values import JSON, copy, timestamp
from pytest_modelrt.simulator.apiserver.writer import NAMESPACES, Writer

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_POLICIES = ("Background", "Foreground", "Orphan")
_PROTECTED = frozenset({"default", "kube-system", "kube-public"})


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a deletion asks for."""

    policy: str = ""
    grace: int | None = None
    uid: str = ""
    resource_version: str = ""

    @classmethod
    def parse(cls, body: Any, query: dict[str, str]) -> DeleteOptions:
        """From the request body, else the query; raises 400 and 422."""
        body = {} if body is None else body
        check_types(body, types()["DeleteOptions"], "DeleteOptions", "v1")
        policy = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
        if not policy:
            orphan = body.get("orphanDependents", query.get("orphanDependents"))
            policy = "Orphan" if orphan in (True, "true", "True", "1") else ""
        if policy and policy not in _POLICIES:
            cause = not_supported("propagationPolicy", policy, [*_POLICIES, "nil"])
            raise invalid("DeleteOptions.meta.k8s.io", "", [cause])
        grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        if isinstance(grace, str) and not grace.lstrip("-").isdigit():
            raise bad_request(f'strconv.ParseInt: parsing "{grace}": invalid syntax')
        before = body.get("preconditions") or {}
        return cls(
            policy,
            None if grace is None else int(grace),
            str(before.get("uid") or ""),
            str(before.get("resourceVersion") or ""),
        )


class Deleter:
    """Deletes objects, or marks them for those who hold them."""

    def __init__(self, writer: Writer, speed: float = 1.0) -> None:
        self.writer = writer
        self.store = writer.store
        self.speed = speed

    async def delete(
        self, resource: Resource, namespace: str, name: str, wish: DeleteOptions, options: WriteOptions
    ) -> tuple[Snapshot, bool]:
        """Delete one object; returns its last or marked state and whether it is gone. Raises 403, 404, 409."""
        while True:
            current = self.writer.find(resource, namespace, name)
            self._check(resource, current, wish)
            await self._admit(resource, current, options)
            obj = self._marked(resource, current.object, wish)
            try:
                if obj is None:
                    if not options.dry_run:
                        return self.store.remove(resource.storage, current), True
                    return current, True
                if obj == current.object or options.dry_run:
                    return current, False
                return self.store.put(resource.storage, current.key, obj, current), False
            except Changed:
                continue

    def _check(self, resource: Resource, current: Snapshot, wish: DeleteOptions) -> None:
        meta = current.object["metadata"]
        if wish.uid and wish.uid != meta["uid"]:
            raise uid_conflict(resource, meta["name"], wish.uid, meta["uid"])
        if wish.resource_version and wish.resource_version != meta["resourceVersion"]:
            why = (
                f"the ResourceVersion in the precondition ({wish.resource_version}) does not match the ResourceVersion "
                f"in record ({meta['resourceVersion']}). The object might have been modified"
            )
            raise conflict(resource, meta["name"], why)
        if resource.storage == NAMESPACES and meta["name"] in _PROTECTED:
            raise forbidden(resource, meta["name"], "this namespace may not be deleted")

    async def _admit(self, resource: Resource, current: Snapshot, options: WriteOptions) -> None:
        for hook in self.writer.admission:
            await hook(
                AdmissionRequest(
                    "DELETE", resource, *current.key, None, current.object, options.user, "", options.dry_run
                )
            )

    def _marked(self, resource: Resource, old: JSON, wish: DeleteOptions) -> JSON | None:
        """The object with its deletion requested, or None when nothing holds it."""
        meta = old["metadata"]
        grace = resource.strategy.grace(old, wish.grace)
        finalizers = _finalizers(list(meta.get("finalizers") or []), wish.policy, bool(meta.get("deletionTimestamp")))
        keeper = resource.strategy.deletion_finalizer
        if keeper and not meta.get("deletionTimestamp"):
            finalizers.append(keeper)
        held = bool(finalizers) or resource.storage == NAMESPACES
        if resource.storage == NAMESPACES and not (finalizers or (old.get("spec") or {}).get("finalizers")):
            held = False
        if not held and grace <= 0:
            return None
        obj: JSON = copy(old)
        obj["metadata"].pop("finalizers", None)
        if finalizers:
            obj["metadata"]["finalizers"] = finalizers
        before = meta.get("deletionGracePeriodSeconds")
        if meta.get("deletionTimestamp") and (before is None or before <= grace):
            return obj
        ends = datetime.now(UTC) + timedelta(seconds=grace / self.speed)
        if "deletionTimestamp" not in meta and "generation" in meta:
            obj["metadata"]["generation"] += 1
        obj["metadata"]["deletionTimestamp"] = timestamp(ends)
        if resource.storage == NAMESPACES:
            obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        else:
            obj["metadata"]["deletionGracePeriodSeconds"] = grace
        return obj


def _finalizers(found: list[str], policy: str, terminating: bool) -> list[str]:
    """Finalizers that carry the propagation policy to the garbage collector."""
    if policy == "Orphan":
        return [*(item for item in found if item not in (FOREGROUND, ORPHAN)), ORPHAN]
    if policy == "Foreground":
        return [*(item for item in found if item not in (FOREGROUND, ORPHAN)), FOREGROUND]
    if policy == "Background" and not terminating:
        return [item for item in found if item not in (FOREGROUND, ORPHAN)]
    return found


def dry_run(values: list[str]) -> bool:
    """Whether the dryRun parameter asks for a dry run; raises 422 for unknown values."""
    if not values or values == [""]:
        return False
    if any(value != "All" for value in values):
        cause = not_supported("dryRun", values[0], ["All"])
        raise invalid("CreateOptions.meta.k8s.io", "", [cause])
    return True
