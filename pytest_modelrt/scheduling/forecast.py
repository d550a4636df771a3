"""A run played through without a cluster: predicted makespan, its plan, and the lower bound. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice

from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Admission, Limits
from pytest_modelrt.scheduling.order import Backlog, Order, choose


@dataclass(frozen=True, slots=True)
class Span:
    """One job's stay on a worker, in cluster seconds from the run's start."""

    job: Job
    worker: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """A run as it will go when every estimate holds."""

    spans: tuple[Span, ...]
    """In order of their start."""
    impossible: tuple[Job, ...]
    """Jobs that can never start under the limits."""
    bound: float
    """No order can be faster: cluster seconds."""

    @property
    def makespan(self) -> float:
        """Cluster seconds from the first start to the last end."""
        return max((span.end for span in self.spans), default=0.0)


def forecast(
    jobs: Iterable[Job],
    limits: Limits,
    workers: int,
    order: Order,
    actual: Callable[[Job], float] = lambda job: job.seconds,
) -> Forecast:
    """Play a run through.

    Args:
        jobs: in the order of the collection.
        limits: tier limits and GPU budget.
        workers: how many jobs may run at once at most.
        order: the run's order.
        actual: what a job really takes; its estimate when left out.
    """
    every = list(jobs)
    possible = [job for job in every if limits.refusal(job.gpus) is None]
    impossible = [job for job in every if limits.refusal(job.gpus) is not None]
    spans = tuple(_play(possible, limits, workers, order, actual))
    return Forecast(spans, tuple(impossible), lower_bound(possible, limits, workers))


def _play(
    jobs: Iterable[Job], limits: Limits, workers: int, order: Order, actual: Callable[[Job], float]
) -> Iterator[Span]:
    backlog, admission = Backlog(limits, order, jobs), Admission(limits)
    idle, busy, now = list(range(workers)), list[tuple[float, int, Job]](), 0.0
    while backlog or busy:
        while idle and (job := choose(backlog, admission, workers)) is not None:
            backlog.start(job)
            admission.take(job.key, job.gpus)
            span = Span(job, heapq.heappop(idle), now, now + actual(job))
            heapq.heappush(busy, (span.end, span.worker, job))
            yield span
        if not busy:
            return
        now, worker, ended = heapq.heappop(busy)
        heapq.heappush(idle, worker)
        admission.release(ended.key)
        backlog.finish(ended)


def lower_bound(
    jobs: Iterable[Job], limits: Limits, workers: int, actual: Callable[[Job], float] = lambda job: job.seconds
) -> float:
    """No schedule within the limits can be shorter: the longest job, the work of any set of tiers over the slots
    it can use, and the GPU time over the budget."""
    chosen = [job for job in jobs if limits.refusal(job.gpus) is None]
    slots = {tier.name: float(tier.limit) for tier in limits.tiers}
    work: dict[str, float] = {}
    for job in chosen:
        tier = limits.tier_of(job.gpus)
        name = tier.name if tier else ""
        work[name] = work.get(name, 0.0) + actual(job)
    bounds = [actual(job) for job in chosen]
    bounds.append(sum(actual(job) * job.gpus for job in chosen) / max(limits.gpu_budget, 1))
    for size in range(1, len(work) + 1):
        for names in combinations(work, size):
            places = min(float(workers), sum(slots.get(name, float(workers)) for name in names))
            bounds.append(sum(work[name] for name in names) / places)
    return max(bounds)


def upcoming(jobs: Iterable[Job], limits: Limits, workers: int, order: Order, count: int) -> list[Job]:
    """The ``count`` jobs that will start next if all that is held now were free."""
    possible = [job for job in jobs if limits.refusal(job.gpus) is None]
    spans = _play(possible, limits, max(1, workers), order, lambda job: job.seconds)
    return [span.job for span in islice(spans, count)]


def describe(plan: Forecast, limits: Limits) -> list[str]:
    """The plan of a run as lines of text: start and end in ``hours:minutes``, tier, case."""
    lines = []
    for span in plan.spans:
        tier = limits.tier_of(span.job.gpus)
        lines.append(f"{_clock(span.start)} - {_clock(span.end)}  {tier.name if tier else '-':<8} {span.job.key}")
    lines += [f"never: {job.key} {limits.refusal(job.gpus)}" for job in plan.impossible]
    best = f"no order takes less than {_clock(plan.bound)}"
    return [*lines, f"predicted makespan {_clock(plan.makespan)} for {len(plan.spans)} jobs; {best}"]


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d}"
