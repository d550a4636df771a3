"""Shares tier slots and model names with other runs on the same cluster, by leases; a thread of the controller.

A slot is a lease ``modelrt-slot-<tier>-<number>``, the name of a model is ``modelrt-model-<resource name>``. Whoever
holds one renews it; a lease that nobody renews for its duration is that of a dead run: what its case left is removed,
the lease with it, and the slot is free. Leases need no clocks that agree: what counts is how long *we* saw no renewal.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from pytest_modelrt.clock import Deadline, ScaledClock, rfc3339, utc_now
from pytest_modelrt.cluster import leases
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import (
    CASE,
    CLUSTER_BASE_MODEL,
    LEASE,
    MANAGED_BY,
    MANAGER,
    RUN_ID,
    ApiError,
    ClusterError,
    Ownership,
    Selection,
)
from pytest_modelrt.cluster.ownership import run_of
from pytest_modelrt.cluster.sweep import Wanted, sweep
from pytest_modelrt.plan.model import Case, Tier
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits, Occupancy
from pytest_modelrt.session.market import GPUS, MODEL, SECONDS, SLOT, Market, Seen, tier_of
from pytest_modelrt.session.surroundings import LIFETIME

NAMESPACE = "default"
RENEW_EVERY = SECONDS / 4
TICK = 1.0
FOR_EVER = 30 * 86400.0


@dataclass(slots=True)
class Grant:
    """What we hold for one key."""

    slot: leases.HeldLease | None = None
    model: leases.HeldLease | None = None
    name_lock: threading.Lock = field(default_factory=threading.Lock)
    """Of ``model``: a download ahead and the scheduler may want the same name at the same time."""

    def __iter__(self) -> Iterator[leases.HeldLease]:
        return (lease for lease in (self.slot, self.model) if lease is not None)


class Leases:
    """The desk of the scheduler (``scheduling.tiers.Desk``)."""

    def __init__(
        self,
        connect: Callable[[], Cluster],
        run_id: str,
        cases: dict[str, Case],
        limits: Limits,
        trouble: Callable[[str], None],
    ) -> None:
        """Take the run's cluster (asked for in the thread), and what to call with one line about trouble."""
        self._connect = connect
        self._run_id = run_id
        self._cases = cases
        self._case_of_label = {case.resource_name: case.id for case in cases.values()}
        self._limits = limits
        self._trouble = trouble
        self._clock = ScaledClock()
        self._market = Market()
        self._lock = threading.Lock()
        """Of the table of grants: downloads ahead take names, too."""
        self._grants: dict[str, Grant] = {}
        self._spare: list[leases.HeldLease] = []
        """Slots nobody needs since the last tick: a case that comes next takes one without a request."""
        self._chores = deque[Callable[[], None]]()
        """Requests nobody waits for, one by one: they are for when nobody asks for anything."""
        self._ahead: set[str] = set()
        """Cases whose name we hold because their model is downloaded ahead."""
        self._kept: frozenset[str] = frozenset()
        self._wakes: list[Callable[[], None]] = []
        self._inbox = SimpleQueue[Callable[[Cluster | None], None] | None]()
        """What to do with the cluster; with None once there is nothing to share limits by."""
        self._ended = threading.Event()
        self.closing = False
        """The run is at its end: its sweep removes leases, too."""
        self._broken = False
        self._renewed = self._clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="modelrt-leases", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, seconds: float = 10.0) -> None:
        """Give everything back; wait (real seconds at most) for that."""
        self._ended.set()
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(seconds)

    # ------------------------------------------------------------------------------------------ the desk's side

    def occupancy(self) -> Occupancy:
        """What other runs hold, as far as is known."""
        return self._market.occupancy(self._cases, self._case_of_label)

    def request(self, job: Job, answer: Callable[[bool], None]) -> None:
        """Ask for a slot of the job's tier and, for a case, for its name."""

        def ask(cluster: Cluster | None) -> None:
            granted = True  # trouble with leases, which ends this thread's work, holds nobody up
            try:
                granted = self._take(cluster, job)
            finally:
                answer(granted)

        self._inbox.put(ask)

    def await_leave(self, job: Job, refused: Callable[[], None]) -> None:
        """Without a scheduler: block until the job may start; ``refused`` is called once if that takes a while."""
        answers = SimpleQueue[bool]()
        self.request(job, answers.put)
        if answers.get():
            return
        refused()
        while True:
            self._clock.sleep(TICK)
            self.request(job, answers.put)
            if answers.get():
                return

    def keep(self, keys: frozenset[str]) -> None:
        """Give back what was granted for other keys: with the next tick at the latest, names when the model is gone."""
        self._kept = keys
        self._inbox.put(self._clear_slots)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Whom to wake when others gave something back."""
        self._wakes.append(wake)

    def hold_name(self, cluster: Cluster, case: Case) -> bool:
        """For downloads ahead, in their thread: take the name of a case before its model is applied."""
        if self._broken:
            return True
        with self._lock:  # from here on the desk's own thread keeps the grant, empty as it may be
            self._ahead.add(case.id)
            grant = self._grants.setdefault(case.id, Grant())
        with grant.name_lock:
            try:
                if grant.model is None:
                    owner = self._owner(case.resource_name, {})
                    grant.model = self._acquire(cluster, f"{MODEL}{case.resource_name}", owner)
            finally:
                if grant.model is None:
                    self._ahead.discard(case.id)
            return grant.model is not None

    def name_begun(self, case_id: str) -> None:
        """The case of a name held for a download ahead was handed out, or gave its model up."""
        self._ahead.discard(case_id)

    # ------------------------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        try:
            cluster = self._connect()
            threading.Thread(target=self._follow, args=(cluster,), name="modelrt-lease-watch", daemon=True).start()
            ticked = self._clock.monotonic()
            while not self._ended.is_set():
                try:
                    message = self._inbox.get(timeout=0 if self._chores else TICK)
                except Empty:
                    if self._chores:
                        self._chores.popleft()()
                else:
                    if message is not None:
                        message(cluster)
                if self._clock.monotonic() - ticked >= TICK:
                    ticked = self._clock.monotonic()
                    self._tick(cluster)
            self._release_spare()
            for grant in list(self._grants.values()):
                for lease in grant:
                    lease.release()
        except Exception as error:  # whatever it is, nobody may wait for answers in vain
            self._fail(f"limits are not shared with other runs: {type(error).__name__}: {error}")
            while not self._ended.is_set() and (message := self._inbox.get()) is not None:
                message(None)

    def _fail(self, text: str) -> None:
        if not self._broken and not self._ended.is_set():
            self._broken = True
            self._trouble(text)

    def _take(self, cluster: Cluster | None, job: Job) -> bool:
        tier = self._limits.tier_of(job.gpus)
        if self._broken or tier is None or cluster is None:
            return True
        case = self._cases.get(job.case or "")
        grant = self._grants.setdefault(job.key, Grant())
        owner = self._owner(case.resource_name if case is not None else "none", {GPUS: str(job.gpus)})
        grant.slot = grant.slot or self._spare_slot(tier, owner)
        for number in range(tier.limit):
            if grant.slot is not None:
                break
            name = f"{SLOT}{tier.name}-{number}"
            if name not in self._market.seen and not self._holds(name):
                grant.slot = self._acquire(cluster, name, owner)
        if grant.slot is None:
            return self._refuse(job, tier.name)
        if case is not None and not self.hold_name(cluster, case):
            return self._refuse(job, case.id)
        self._ahead.discard(job.key)
        return True

    def _refuse(self, job: Job, what: str) -> bool:
        self._market.refuse(what)
        grant = self._grants[job.key]
        if grant.slot is not None:
            grant.slot.release()
            grant.slot = None
        return False

    def _spare_slot(self, tier: Tier, owner: Ownership) -> leases.HeldLease | None:
        """A slot of the tier that nobody needs any more; that it is somebody else's now is said afterwards."""
        found = next((lease for lease in self._spare if tier_of(lease.ref.name) == tier.name), None)
        if found is not None:
            self._spare.remove(found)
            self._chores.append(partial(self._hand_over, found, owner))
        return found

    def _holds(self, name: str) -> bool:
        held = [lease for grant in list(self._grants.values()) for lease in grant]
        return any(lease.ref.name == name for lease in [*held, *self._spare])

    def _owner(self, label: str, extra: dict[str, str]) -> Ownership:
        return Ownership(self._run_id, label, rfc3339(utc_now() + LIFETIME), extra)

    def _acquire(self, cluster: Cluster, name: str, owner: Ownership) -> leases.HeldLease | None:
        try:
            return leases.acquire(cluster, name, owner, namespace=NAMESPACE, seconds=SECONDS)
        except ApiError as error:
            self._fail(f"limits are not shared with other runs: {error}")
            return None

    def _clear_slots(self, cluster: Cluster | None) -> None:
        """Slots nobody needs are spare; where other runs are about, they are theirs at once."""
        if cluster is None:
            return
        for key, grant in list(self._grants.items()):
            if key not in self._kept and grant.slot is not None:
                self._spare.append(grant.slot)
                grant.slot = None
        if self._market.seen:
            self._release_spare()

    def _hand_over(self, lease: leases.HeldLease, owner: Ownership) -> None:
        if self._is_held(lease):
            self._check(lease, lease.hand_over(owner))

    def _renew(self, lease: leases.HeldLease) -> None:
        if self._is_held(lease):
            self._check(lease, lease.renew())

    def _is_held(self, lease: leases.HeldLease) -> bool:
        return any(lease is held for grant in list(self._grants.values()) for held in grant)

    def _release_spare(self) -> None:
        while self._spare:
            self._spare.pop().release()

    def _release_if_spare(self, lease: leases.HeldLease) -> None:
        if lease in self._spare:
            self._spare.remove(lease)
            lease.release()

    def _give_back_names(self, cluster: Cluster) -> None:
        over = {key: grant for key, grant in list(self._grants.items()) if self._is_over(key)}
        models = self._models(cluster) if any(grant.model is not None for grant in over.values()) else frozenset()
        for key, grant in over.items():
            if grant.model is None or self._cases[key].resource_name not in models:
                self._chores.append(partial(self._forget, key, grant))

    def _is_over(self, key: str) -> bool:
        return key not in self._kept and key not in self._ahead

    def _forget(self, key: str, grant: Grant) -> None:
        """A case is over and its model gone, unless it is to be run once more meanwhile."""
        if not grant.name_lock.acquire(blocking=False):
            return  # somebody is just taking it
        try:
            if grant.model is not None and self._is_over(key):
                grant.model.release()
                grant.model = None
        finally:
            grant.name_lock.release()
        with self._lock:
            if grant.slot is None and grant.model is None and self._is_over(key):
                self._grants.pop(key, None)

    def _models(self, cluster: Cluster) -> frozenset[str]:
        """Cases of this run, by label, whose models are still there."""
        try:
            found = cluster.list_metadata(CLUSTER_BASE_MODEL, labels=f"{RUN_ID}={self._run_id}")
        except ApiError as error:
            served = error.code != 404  # else a platform without this kind
            return frozenset(case.resource_name for case in self._cases.values() if served)
        return frozenset((model["metadata"].get("labels") or {}).get(CASE, "") for model in found)

    def _check(self, lease: leases.HeldLease, ours: bool) -> None:
        if not ours and not self.closing:
            self._trouble(f"lease {lease.ref.name} was lost: this process did not run for {SECONDS} s")

    def _tick(self, cluster: Cluster) -> None:
        """Once a second: renew, look for dead runs, give names back, and let the scheduler try again."""
        now = self._clock.monotonic()
        if now - self._renewed > RENEW_EVERY:
            self._renewed = now
            held = [lease for grant in list(self._grants.values()) for lease in grant]
            self._chores.extend(partial(self._renew, lease) for lease in held)
        if not self._chores:
            self._chores.extend(partial(self._release_if_spare, lease) for lease in self._spare)
            self._chores.append(lambda: self._give_back_names(cluster))
        for name, seen in self._market.newly_lapsed(now).items():
            arguments = (cluster, name, seen)
            threading.Thread(target=self._bury, args=arguments, name=f"modelrt-bury {name}", daemon=True).start()
        if self._market.forget_refusals():
            self._wake()

    def _bury(self, cluster: Cluster, name: str, seen: Seen) -> None:
        """Remove what the case of a dead run left; its leases are among that."""
        run, case = run_of(seen.lease), seen.labels.get(CASE)
        if run is not None and case is not None:
            self._trouble(f"{name} was not renewed for {SECONDS} s: removing what run {run} left of {case}")
            with contextlib.suppress(ClusterError):
                sweep(cluster.for_run(run), Wanted(run_id=run, case=case))
        self._market.buried(name)

    # ------------------------------------------------------------------------------------------ watching others

    def _follow(self, cluster: Cluster) -> None:
        selection = Selection(LEASE, NAMESPACE, labels=f"{MANAGED_BY}={MANAGER},{RUN_ID}")
        try:
            for _, event in cluster.watch_many([selection], Deadline(cluster.clock, FOR_EVER), self._ended):
                if self._market.note(event.type, event.object, self._run_id, self._clock.monotonic()):
                    self._wake()
        except ClusterError as error:
            self._fail(f"limits are not shared with other runs: {error}")
            self._wake()

    def _wake(self) -> None:
        for wake in self._wakes:
            wake()
