"""The platform of a run: what is missing of the overlay is created once, everything is waited for, one way leads in.

Several processes of a run share it. Each asks for it; a lease lets them do so one after the other, so the first creates
and the others find. Nobody removes it: everything created carries the run's labels, and the run's sweep takes it away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pytest_modelrt.clock import Clock, Deadline, ScaledClock
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.leases import HeldLease, acquire
from pytest_modelrt.cluster.model import POD, Object, Ownership, Ref, WaitTimeout
from pytest_modelrt.cluster.ownership import is_ours, run_of
from pytest_modelrt.stacks.kserve import gateway, names
from pytest_modelrt.stacks.kserve.accounts import Accounts
from pytest_modelrt.stacks.kserve.calls import Caller
from pytest_modelrt.stacks.kserve.installed import Installed, Missing, look
from pytest_modelrt.stacks.kserve.model import ServedModel, ensure
from pytest_modelrt.stacks.kserve.overlay import Overlay, in_order, pick, renamed
from pytest_modelrt.stacks.kserve.waiting import conditions_of, explain, is_true, ready_pods, wait_healthy, wait_ready
from pytest_modelrt.stacks.protocol import StackFailure

READY_SECONDS = 300.0
"""Cluster seconds for the platform and its models together; image pulls are most of it."""
LEAST_REAL_SECONDS = 30.0
START_SECONDS = 60.0
START_REAL_SECONDS = 5.0
_LEASE = "modelrt-maas"
_LEASE_SECONDS = 120
_PAUSE = 0.25
"""Real seconds between two tries for the lease."""


class NotInstalled(Exception):
    """The cluster lacks something only its administrator can bring; the text names the command."""


class NotDeployed(Exception):
    """The overlay did not become ready; the text names object and condition."""


@dataclass(slots=True)
class MaasPlatform:
    """A platform that is ready, and the ways to talk to it."""

    cluster: Cluster
    owner: Ownership
    overlay: Overlay
    installed: Installed
    way: gateway.Way
    gateway: Caller
    accounts: Accounts
    clock: Clock
    """Time as the limiter and the models count it. The cluster's clock leaves out what a simulated cluster lags."""
    created: tuple[Ref, ...] = ()
    """What this process created; empty when it was all there."""
    seconds: float = 0.0
    """Cluster seconds until everything was ready, in the process that created it."""
    _open: list[httpx.Client] = field(default_factory=list)

    @property
    def tiers_by_user_name(self) -> bool:
        """Whether the tier map lists user names, as the platform's own overlay does: then everybody is free."""
        data = (self.cluster.get(names.TIER_MAP) or {}).get("data") or {}
        return "system:serviceaccount:" in str(data.get("tiers", ""))

    def model(self, name: str) -> ServedModel:
        """One of the overlay's models."""
        return ServedModel(self.cluster, self.owner, self.overlay.models[name])

    def copy(self, of: str, name: str) -> ServedModel:
        """A copy under another name, not created yet."""
        return ServedModel(self.cluster, self.owner, renamed(self.overlay.models[of], of, name))

    def direct(self, model: ServedModel) -> Caller:
        """Straight to a pod of the model, through a port-forward. Raises NotDeployed when none is ready."""
        pods = ready_pods(self.cluster, model.service)
        if not pods:
            raise NotDeployed(f"{model.service} has no ready pod")
        transport = self.cluster.tunnel(model.namespace, pods[0]["metadata"]["name"], names.PORT)
        client = httpx.Client(transport=transport, base_url=f"http://localhost:{names.PORT}", trust_env=False)
        self._open.append(client)
        return Caller(client, self.clock, f"port-forward to {pods[0]['metadata']['name']}")

    def close(self) -> None:
        """Remove the accounts made here and close connections."""
        self.accounts.delete_made()
        for client in (*self._open, self.gateway.client):
            client.close()


def open_platform(
    cluster: Cluster,
    owner: Ownership,
    directory: Path,
    *,
    gateway_url: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> MaasPlatform:
    """The platform, ready to be asked.

    Args:
        cluster: where.
        owner: what created objects carry.
        directory: ``config/kind``.
        gateway_url: address of the gateway; None: found by itself.
        tell: told what was created.

    Raises:
        NotInstalled: KServe, the gateway or its policies are not there.
        NotDeployed: something did not become ready, or another run's platform is in the way.
        OverlayError: the overlay's files cannot be read.
        ClusterError: the API refused, or is away.
    """
    found = look(cluster)
    if isinstance(found, Missing):
        raise NotInstalled(str(found))
    overlay = Overlay.load(directory)
    deadline = Deadline(cluster.clock, max(READY_SECONDS, LEAST_REAL_SECONDS * cluster.clock.speed))
    started = cluster.clock.monotonic()
    lease = _lease(cluster, owner, deadline)
    try:
        _refuse_strangers(cluster, owner, overlay)
        created = ensure(cluster, owner, to_create(cluster, owner, overlay))
        if created:
            tell(f"created {len(created)} of {len(overlay.objects)} objects")
        _await_all(cluster, overlay, deadline)
        way = _await_way(cluster, gateway_url, deadline)
    except WaitTimeout as error:
        raise NotDeployed(str(error)) from error
    except StackFailure as error:
        raise NotDeployed(error.detail) from error
    finally:
        lease.release()
    seconds = cluster.clock.monotonic() - started
    clock = ScaledClock(cluster.clock.speed)
    caller = Caller(way.open(cluster), clock, f"gateway {way}", retries_auth=True)
    accounts = Accounts(cluster, owner)
    return MaasPlatform(cluster, owner, overlay, found, way, caller, accounts, clock, tuple(created), seconds)


def unhappy_policies(cluster: Cluster) -> list[str]:
    """Policies of the gateway that are not both accepted and enforced, with their own words."""
    found = []
    for ref in names.POLICIES:
        obj = cluster.get(ref)
        if obj is None or not (is_true(obj, "Accepted") and is_true(obj, "Enforced")):
            found.append(f"{ref}: {explain(obj)}")
    return found


def _lease(cluster: Cluster, owner: Ownership, deadline: Deadline) -> HeldLease:
    while True:
        lease = acquire(cluster, f"{_LEASE}-{owner.run_id}"[:63].rstrip("-."), owner, seconds=_LEASE_SECONDS)
        if lease is not None:
            return lease
        if deadline.expired:
            raise NotDeployed(f"another process of this run did not finish deploying within {deadline.seconds:.0f} s")
        cluster.clock.sleep(_PAUSE * cluster.clock.speed)


def _refuse_strangers(cluster: Cluster, owner: Ownership, overlay: Overlay) -> None:
    """Objects of another run go away when that run ends: no ground to stand on."""
    for obj in overlay.objects:
        ref = cluster.kinds.ref(obj)
        live = cluster.get(ref)
        other = run_of(live) if live else None
        if other not in (None, owner.run_id):
            hint = f"wait for it, or remove what it left: modelrt sweep --run-id {other}"
            raise NotDeployed(f"{ref} belongs to run {other}; {hint}")


def to_create(cluster: Cluster, owner: Ownership, overlay: Overlay) -> tuple[Object, ...]:
    """What may be missing: everything, or whole models where somebody else's platform stands, which stays as it is."""
    theirs = cluster.get(names.THE_GATEWAY)
    if theirs is None or is_ours(theirs, owner.run_id):
        return overlay.objects
    absent = [
        objects
        for objects in overlay.models.values()
        if cluster.get(cluster.kinds.ref(pick(objects, "LLMInferenceService"))) is None
    ]
    return in_order([obj for objects in absent for obj in objects])


def _await_all(cluster: Cluster, overlay: Overlay, deadline: Deadline) -> None:
    """Gateway, routes, policies, maas-api, models; each named with its conditions when it is late."""
    _await(cluster, names.THE_GATEWAY, lambda obj: is_true(obj, "Programmed"), deadline)
    _await(cluster, names.API, lambda obj: bool((obj.get("status") or {}).get("availableReplicas")), deadline)
    for label in names.KUADRANT_PODS:
        _give_time(cluster, label)
    for obj in overlay.objects:
        ref = cluster.kinds.ref(obj)
        if ref.resource == names.HTTP_ROUTE:
            _await(cluster, ref, _route_accepted, deadline)
    for ref in names.POLICIES:
        _await(cluster, ref, lambda obj: is_true(obj, "Accepted") and is_true(obj, "Enforced"), deadline)
    for objects in overlay.models.values():
        service = cluster.kinds.ref(pick(objects, "LLMInferenceService"))
        wait_ready(cluster, service, deadline)
        wait_healthy(cluster, service, deadline)


def _await(cluster: Cluster, ref: Ref, good: Callable[[Object], bool], deadline: Deadline) -> None:
    try:
        cluster.wait_until(ref, lambda obj: obj is not None and good(obj), deadline)
    except WaitTimeout as error:
        raise NotDeployed(f"{ref} is not ready after {deadline.seconds:.0f} s: {explain(error.last)}") from error


def _give_time(cluster: Cluster, label: str) -> None:
    """Wait for what the operator makes of the Kuadrant object, for a while: without it the tests can say more."""
    deadline = Deadline(cluster.clock, max(START_SECONDS, START_REAL_SECONDS * cluster.clock.speed))
    while not deadline.expired:
        pods = cluster.list(POD, names.KUADRANT_NAMESPACE, labels=label)
        if any(is_true(pod, "Ready") for pod in pods):
            return
        cluster.clock.sleep(1.0)


def _route_accepted(obj: Object) -> bool:
    parents = (obj.get("status") or {}).get("parents") or []
    conditions = [conditions_of({"status": parent}) for parent in parents]
    wanted = ("Accepted", "ResolvedRefs")
    return bool(conditions) and all(
        found.get(kind, {}).get("status") == "True" for found in conditions for kind in wanted
    )


def _await_way(cluster: Cluster, named: str | None, deadline: Deadline) -> gateway.Way:
    while True:
        way = gateway.find(cluster, named)
        if isinstance(way, gateway.Way):
            return way
        if deadline.expired:
            raise NotDeployed(f"the gateway cannot be reached: {way}; name its address with --modelrt-gateway")
        cluster.clock.sleep(1.0)
