"""Which job starts next: the rule of ``docs/scheduling.md``. Pure: backlog, held slots and workers in, one job out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Admission, Limits


class Order(StrEnum):
    """What the order of a run aims at (``--modelrt-order``)."""

    PLAN = "plan"
    """The plan's phases, vendors together; a tier that decides when the run ends does not wait for its phase."""
    FAST = "fast"
    """The shortest run; the first cases are small ones that validate the set-up."""
    STRICT = "strict"
    """The plan's phases, each finished before the next one begins, whatever idles."""


TIGHT = 0.8
"""A set of tiers is tight when its work fills this share of the time that is left."""
LONG = 0.4
"""A single job of this share of the time that is left goes before the run's own order."""
CANARIES = 3
"""In ``fast``: how many cases of the first phase, each of another vendor, go before everything else."""

Rank = tuple[float, ...]
Admissible = dict[str | None, list[Job]]
Wait = Callable[[Job], float]
"""Cluster seconds a job would probably hold its GPUs before its weights are on the nodes; 0: they are there."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is left to do in one tier."""

    tier: str | None
    slots: float
    """Jobs of this tier that may run at once."""
    seconds: float
    longest: float


class Backlog:
    """The jobs that have not started, per tier and in the run's order, and those that run."""

    def __init__(self, limits: Limits, order: Order, jobs: Iterable[Job]) -> None:
        self.limits = limits
        self.order = order
        self.running: dict[str, Job] = {}
        waiting = list(jobs)
        self._canaries = canaries(waiting) if order is Order.FAST else frozenset()
        self._tiers: dict[str | None, list[Job]] = {}
        for job in waiting:
            self._tiers.setdefault(self.tier(job), []).append(job)
        for of_tier in self._tiers.values():
            of_tier.sort(key=self.rank)

    def __len__(self) -> int:
        return sum(map(len, self._tiers.values()))

    def __iter__(self) -> Iterator[Job]:
        return (job for jobs in self._tiers.values() for job in jobs)

    def tier(self, job: Job) -> str | None:
        """Name of the tier a job belongs to; None for a job without GPUs."""
        found = self.limits.tier_of(job.gpus)
        return found.name if found else None

    def rank(self, job: Job) -> Rank:
        """The run's own order: smallest first."""
        if self.order is Order.FAST:
            return (job.key not in self._canaries, job.phase > 0, -job.seconds, job.index)
        return (job.phase, job.group, -job.seconds, job.index)

    def urgent(self, job: Job) -> bool:
        """Whether a job goes before everything else: tests without GPUs, and canaries."""
        return job.key in self._canaries or job.phase == 0

    def waiting(self, tier: str | None) -> Sequence[Job]:
        """The jobs of a tier that have not started, in the run's order."""
        return self._tiers.get(tier, ())

    @property
    def tiers(self) -> tuple[str | None, ...]:
        """Tiers in which something waits."""
        return tuple(tier for tier, jobs in self._tiers.items() if jobs)

    def add(self, job: Job) -> None:
        """A job is to be done (again)."""
        jobs = self._tiers.setdefault(self.tier(job), [])
        jobs.append(job)
        jobs.sort(key=self.rank)

    def start(self, job: Job) -> None:
        """A job that waited now runs."""
        self._tiers[self.tier(job)].remove(job)
        self.running[job.key] = job

    def finish(self, job: Job) -> None:
        """A running job ended, well or badly."""
        del self.running[job.key]

    def discard(self, job: Job) -> None:
        """A job that waited is given up."""
        self._tiers[self.tier(job)].remove(job)


def canaries(jobs: Iterable[Job]) -> frozenset[str]:
    """Keys of the shortest case of each vendor of the first phase, at most ``CANARIES``."""
    cases = [job for job in jobs if job.case is not None]
    first = min((job.phase for job in cases), default=0)
    shortest: dict[int, Job] = {}
    for job in sorted(cases, key=lambda job: (job.seconds, job.index)):
        if job.phase == first:
            shortest.setdefault(job.group, job)
    return frozenset(job.key for job in list(shortest.values())[:CANARIES])


def choose(backlog: Backlog, admission: Admission, workers: int, wait: Wait = lambda job: 0.0) -> Job | None:
    """The job that starts next on an idle worker; None when nothing may start.

    Args:
        backlog: what waits and what runs.
        admission: what is held.
        workers: living workers, idle or not.
        wait: what is known of downloads; nobody is expected to wait when left out.
    """
    phase = _open_phase(backlog)
    admissible = {tier: jobs for tier in backlog.tiers if (jobs := _admissible(backlog, admission, tier, phase))}
    if not admissible:
        return None
    best = _first(backlog, admissible)
    if backlog.order is Order.STRICT or backlog.urgent(best):
        return best
    tight = _from_tight_tiers(backlog, admissible, workers, wait)
    if tight is not None:
        return tight
    admissible = _at_most(0.0, admissible, wait) or admissible
    return _overdue(backlog, admissible, workers) or _first(backlog, admissible)


def _first(backlog: Backlog, admissible: Admissible) -> Job:
    return min((jobs[0] for jobs in admissible.values()), key=backlog.rank)


def _at_most(seconds: float, admissible: Admissible, wait: Wait) -> Admissible:
    """The jobs that wait no longer for their weights."""
    found = {tier: [job for job in jobs if wait(job) <= seconds] for tier, jobs in admissible.items()}
    return {tier: jobs for tier, jobs in found.items() if jobs}


def _open_phase(backlog: Backlog) -> int | None:
    """In strict order: the phase that must be finished before any later one; else None."""
    if backlog.order is not Order.STRICT:
        return None
    phases = [job.phase for job in backlog] + [job.phase for job in backlog.running.values()]
    return min(phases, default=None)


def _admissible(backlog: Backlog, admission: Admission, tier: str | None, phase: int | None) -> list[Job]:
    """The jobs of a tier that may start now, in the run's order."""
    waiting = backlog.waiting(tier)
    if not admission.slot_free(waiting[0].gpus):
        return []
    return [job for job in waiting if (phase is None or job.phase == phase) and admission.fits(job.key, job.gpus)]


def loads(backlog: Backlog, workers: int) -> list[Load]:
    """What is left per tier, running jobs not counted."""
    limit = {tier.name: float(tier.limit) for tier in backlog.limits.tiers}
    result = []
    for tier in backlog.tiers:
        seconds = [job.seconds for job in backlog.waiting(tier)]
        result.append(Load(tier, limit.get(tier or "", float(workers)), sum(seconds), max(seconds)))
    return result


def _from_tight_tiers(backlog: Backlog, admissible: Admissible, workers: int, wait: Wait) -> Job | None:
    """The job to take from the tightest set of tiers that has an admissible one.

    A tight set whose slots are all busy is taken out, with its share of the workers, and the rest is looked at again.
    """
    left, places = loads(backlog, workers), float(workers)
    while left and places > 0:
        found = _tight(left, places)
        if found is None:
            return None
        jobs = {load.tier: admissible[load.tier] for load in found if load.tier in admissible}
        if jobs:
            # Its slots decide when the run ends: none of them should wait for weights longer than it must.
            jobs = _at_most(min(wait(job) for of_tier in jobs.values() for job in of_tier), jobs, wait)
            return _long(jobs, _level(found, places)) or _first(backlog, jobs)
        left = [load for load in left if load not in found]
        places -= sum(load.slots for load in found)
    return None


def _overdue(backlog: Backlog, admissible: Admissible, workers: int) -> Job | None:
    """The longest admissible job, when it is long against the time that is left for everything."""
    left = loads(backlog, workers)
    return _long(admissible, max(_level(left, float(workers)), *(load.longest for load in left)))


def _long(admissible: Admissible, horizon: float) -> Job | None:
    longest = max((job for jobs in admissible.values() for job in jobs), key=lambda job: job.seconds)
    return longest if longest.seconds >= LONG * horizon else None


def _tight(left: Sequence[Load], places: float) -> tuple[Load, ...] | None:
    sets = [group for size in range(1, len(left) + 1) for group in combinations(left, size)]
    level = {group: _level(group, places) for group in sets}
    horizon = max([*level.values(), *(load.longest for load in left)])
    slots = {group: sum(load.slots for load in group) for group in sets}
    tight = [group for group in sets if slots[group] < places and level[group] >= TIGHT * horizon]
    return min(tight, key=lambda group: slots[group], default=None)


def _level(group: Sequence[Load], places: float) -> float:
    return sum(load.seconds for load in group) / min(places, sum(load.slots for load in group))
