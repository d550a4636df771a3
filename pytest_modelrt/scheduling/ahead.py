"""The account of downloads ahead: which models are where, which come next, and who waited how long. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.forecast import upcoming
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order
from pytest_modelrt.scheduling.prefetch import Disk, DownloadTime, Room, download_time, next_downloads

LOOK_EVERY = 150.0
"""Cluster seconds between two looks at a download; most are over before the first one."""


@dataclass(slots=True)
class Copy:
    """One model on its way to the nodes; times are cluster seconds."""

    applied: float
    ahead: bool
    """It was applied before its case was handed out."""
    complete: float | None = None
    """When enough nodes had it."""
    begun: float | None = None
    """When its case was handed out."""
    told: bool = False
    moved: float = 0.0
    """When it was last seen to have moved."""
    mark: object = None
    """Changes whenever it moves."""
    looked: float = 0.0
    """When somebody last looked."""

    def __post_init__(self) -> None:
        self.moved = self.looked = self.applied

    @property
    def open(self) -> bool:
        """Whether it is on its way ahead of its case: nobody else looks after it."""
        return self.ahead and self.complete is None and self.begun is None


@dataclass(slots=True)
class AheadBooks:
    """Grows by what the scheduler and the cluster say."""

    cases: Mapping[str, Case]
    limits: Limits
    order: Order
    workers: int
    room: Room
    placed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Case id -> the nodes that download its model; whoever is not in it uses all."""
    token: bool = False
    copies: dict[str, Copy] = field(default_factory=dict)
    """Case id -> its model, while it is on the cluster."""
    _waiting: list[Job] = field(default_factory=list)
    _seen: dict[str, float] = field(default_factory=dict)
    _barred: set[str] = field(default_factory=set)
    _completed: float = 0.0
    """When a download last came to its end."""
    _coming: list[str] = field(default_factory=list)
    """Cases in the order in which they will start, as last worked out."""
    _worked_out: frozenset[str] = frozenset()
    """What waited then."""

    def wait(self, jobs: Iterable[Job]) -> None:
        """The jobs that have not started."""
        self._waiting = list(jobs)

    def begin(self, case_id: str, now: float) -> None:
        """A case was handed out: from here on it looks after its model itself."""
        self._seen.setdefault(case_id, now)
        if case_id in self.copies and self.copies[case_id].begun is None:
            self.copies[case_id].begun = now

    def applied(self, case_id: str, now: float) -> None:
        """A model is on the cluster, whoever applied it."""
        begun = self._seen.get(case_id)
        self.copies.setdefault(case_id, Copy(now, ahead=begun is None, begun=begun))

    def complete(self, case_id: str, now: float) -> bool:
        """Enough nodes hold a model; whether that is news about one that was applied ahead."""
        copy = self.copies.get(case_id)
        if copy is None or copy.complete is not None:
            return False
        copy.complete = self._completed = now
        return copy.ahead

    @property
    def ready(self) -> frozenset[str]:
        """Cases whose weights are on enough nodes."""
        return frozenset(case_id for case_id, copy in self.copies.items() if copy.complete is not None)

    def gone(self, case_id: str) -> None:
        """A model is no longer on the cluster."""
        self.copies.pop(case_id, None)

    def bar(self, case_id: str) -> None:
        """A model cannot be applied ahead: its case will say why."""
        self._barred.add(case_id)

    def next(self, *, paused: bool) -> list[Case]:
        """The models to apply now."""
        coming = [key for key in self._in_order() if key not in self._barred]
        running = frozenset(case_id for case_id, copy in self.copies.items() if copy.open)
        held = {case_id: self.cases[case_id].weights_bytes for case_id in self.copies}
        cases = [self.cases[key] for key in coming]
        return next_downloads(cases, Disk(held, running, self.placed), self.room, token=self.token, paused=paused)

    def due(self, now: float) -> list[str]:
        """Downloads ahead nobody has looked at for a while; from now on they count as looked at."""
        found = {key: copy for key, copy in self.copies.items() if copy.open and now - copy.looked >= LOOK_EVERY}
        for copy in found.values():
            copy.looked = now
        return list(found)

    def next_look(self, now: float) -> float | None:
        """Cluster seconds until something is ``due``; None: there is nothing to wait for."""
        left = [copy.looked + LOOK_EVERY - now for copy in self.copies.values() if copy.open]
        return max(0.0, min(left)) if left else None

    def looked(self, case_id: str, mark: object, patience: float, now: float) -> float | None:
        """Somebody looked at a download; returns for how long it has stood still if that is a stall.

        It is none while no other download comes to its end either: then the agents or the hub have trouble.

        Args:
            case_id: whose.
            mark: equal to the one before when nothing has moved; None: no node has begun.
            patience: cluster seconds without movement that mean a stall.
            now: cluster seconds, without those the API was away.
        """
        copy = self.copies.get(case_id)
        if copy is None or not copy.open:
            return None
        if mark is None or mark != copy.mark:
            copy.mark, copy.moved = mark, now
        still = now - copy.moved
        return still if mark is not None and still >= patience and self._completed > copy.moved else None

    def _in_order(self) -> list[str]:
        """Playing the run through costs the controller some of its time: half the workers may start meanwhile."""
        waiting = frozenset(job.key for job in self._waiting if job.case is not None and job.key not in self._seen)
        if waiting - self._worked_out or len(self._worked_out - waiting) > self.workers // 2:
            possible = [job for job in self._waiting if job.key in waiting]
            count = self.room.window + self.workers
            found = upcoming(possible, self.limits, self.workers, self.order, count)
            self._coming, self._worked_out = list(dict.fromkeys(job.key for job in found)), waiting
        return [key for key in self._coming if key in waiting]

    def times(self) -> dict[str, DownloadTime]:
        """What is known since the last call about cases whose model was downloaded ahead."""
        found = {}
        for case_id, copy in self.copies.items():
            if copy.ahead and not copy.told and copy.begun is not None and copy.complete is not None:
                copy.told = True
                found[case_id] = download_time(copy.applied, copy.complete, copy.begun)
        return found
