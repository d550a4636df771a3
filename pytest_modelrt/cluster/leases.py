"""Leases: a name that one holder has at a time, across processes, runs and machines.

Two campaigns on one cluster share limits this way. A holder that dies stops renewing; after the lease's duration
anybody may take it over. Durations are real seconds on every cluster: they are about living processes, which do not
run faster because a simulated cluster does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pytest_modelrt.clock import utc_now
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import LEASE, ApiError, NotOurs, Object, Ownership, Ref
from pytest_modelrt.cluster.ownership import run_of, stamp


@dataclass(slots=True)
class HeldLease:
    """A lease we hold until ``renew`` says otherwise."""

    cluster: Cluster
    ref: Ref
    uid: str
    version: str

    def renew(self) -> bool:
        """Start the duration anew; False when the lease is lost (taken over, deleted), for good."""
        return self._patch(
            {"metadata": {"resourceVersion": self.version}, "spec": {"renewTime": _micro_time(utc_now())}}
        )

    def _patch(self, patch: Object) -> bool:
        try:
            patched = self.cluster.patch(self.ref, patch, known_ours=True)
        except ApiError as error:
            if error.code in (404, 409):
                return False
            raise
        self.version = patched["metadata"]["resourceVersion"]
        return True

    def hand_over(self, owner: Ownership) -> bool:
        """Say for whom it is held from now on; False when it is lost, as above."""
        mine = stamp({"metadata": {"resourceVersion": self.version}}, owner)
        spec = {"holderIdentity": _identity(owner), "renewTime": _micro_time(utc_now())}
        return self._patch({"metadata": mine["metadata"], "spec": spec})

    def release(self) -> None:
        """Give it back; harmless when it is lost already."""
        try:
            self.cluster.delete(self.ref, uid=self.uid)
        except NotOurs:
            return


def acquire(
    cluster: Cluster, name: str, owner: Ownership, *, namespace: str = "default", seconds: int = 60
) -> HeldLease | None:
    """Take the lease if nobody holds it, or its holder has not renewed for its duration; ``None`` when it is held.

    Raises ApiError (no permission), ApiUnavailable.
    """
    ref = Ref(LEASE, name, namespace)
    now = _micro_time(utc_now())
    spec = {
        "holderIdentity": _identity(owner),
        "leaseDurationSeconds": seconds,
        "acquireTime": now,
        "renewTime": now,
    }
    metadata = {"name": name, "namespace": namespace}
    wanted = stamp({"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}, owner)
    try:
        return _held(cluster, ref, cluster.create(wanted))
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    live = cluster.get(ref)
    if live is None or not has_lapsed(live, utc_now()):
        return None
    return _take_over(cluster, ref, live, wanted)


def has_lapsed(lease: Object, now: datetime) -> bool:
    """Whether a holder of ours has not renewed for the lease's duration; a stranger's lease never lapses for us."""
    spec = lease.get("spec") or {}
    try:
        renewed = datetime.fromisoformat(str(spec["renewTime"]).replace("Z", "+00:00"))
        duration = timedelta(seconds=int(spec["leaseDurationSeconds"]))
        return run_of(lease) is not None and renewed + duration < now
    except (KeyError, TypeError, ValueError):
        return False


def _take_over(cluster: Cluster, ref: Ref, live: Object, wanted: Object) -> HeldLease | None:
    """Write our name over a lapsed lease; the version makes sure that only one of several takers wins."""
    metadata = {**wanted["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
    try:
        taken = cluster.for_run(run_of(live)).patch(ref, {"metadata": metadata, "spec": wanted["spec"]})
    except NotOurs:
        return None
    except ApiError as error:
        if error.code in (404, 409):
            return None
        raise
    return _held(cluster, ref, taken)


def _held(cluster: Cluster, ref: Ref, lease: Object) -> HeldLease:
    return HeldLease(cluster, ref, lease["metadata"]["uid"], lease["metadata"]["resourceVersion"])


def _identity(owner: Ownership) -> str:
    return f"{owner.run_id}/{owner.case}"


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
