"""Who runs what, who waits, who is in quarantine: the state of a run over any kind of worker. No I/O, no threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Admission, Limits
from pytest_modelrt.scheduling.order import Backlog, Order, Wait, choose

W = TypeVar("W", bound=Hashable)

SENDS = 3
"""A test that was sent this often to workers that died before it started is blamed for it."""


@dataclass(slots=True)
class Running:
    """A job on a worker."""

    job: Job
    left: list[str]
    """Tests not finished; the first one is the one that runs or comes next."""
    begun: bool = False
    """Whether any test of the job has started: then there may be objects on the cluster."""
    current_begun: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """What a worker took with it."""

    blamed: str | None = None
    """The test that ran."""
    quarantined: Job | None = None
    """The job whose GPUs stay taken until somebody removed its objects."""


class Books(Generic[W]):
    """State of a run. Every method keeps the limits; none of them waits."""

    def __init__(self, limits: Limits, order: Order, jobs: Iterable[Job], wait: Wait = lambda job: 0.0) -> None:
        """Begin with everything waiting; ``wait``: see ``order.choose``."""
        self._wait = wait
        possible = list(jobs)
        self.limits = limits
        self.refused = [(job, reason) for job in possible if (reason := limits.refusal(job.gpus)) is not None]
        self._backlog = Backlog(limits, order, [job for job in possible if limits.refusal(job.gpus) is None])
        self._admission = Admission(limits)
        self._workers: dict[W, Running | None] = {}
        self._origin = {test: job for job in self._backlog for test in job.tests}
        self._sent = Counter[str]()
        self.leaks: dict[str, str] = {}
        """Key -> why its objects could not be removed; its slot stays taken."""

    @property
    def workers(self) -> tuple[W, ...]:
        """Living workers."""
        return tuple(self._workers)

    @property
    def admission(self) -> Admission:
        """What is held."""
        return self._admission

    @property
    def running(self) -> dict[W, Job]:
        """The job of each busy worker."""
        return {worker: running.job for worker, running in self._workers.items() if running is not None}

    def next_test(self, worker: W) -> str:
        """The test a busy worker runs or starts next; KeyError when it has none."""
        running = self._workers[worker]
        if running is None:
            raise KeyError(worker)
        return running.left[0]

    @property
    def waiting(self) -> list[Job]:
        """Jobs that have not started, in no particular order."""
        return list(self._backlog)

    @property
    def finished(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._backlog and all(running is None for running in self._workers.values())

    def add_worker(self, worker: W) -> None:
        """A worker is ready for jobs."""
        self._workers[worker] = None

    def assign(self, only: list[Job] | None = None) -> list[tuple[W, Job]]:
        """Start all that may start now (``only``: of these): pairs of worker and job, already booked as running."""
        idle = [worker for worker, running in self._workers.items() if running is None]
        assigned = []
        while idle and (job := self._next(only)) is not None:
            worker = idle.pop(0)
            self._admission.take(job.key, job.gpus)
            self._backlog.start(job)
            self._workers[worker] = Running(job, list(job.tests))
            assigned.append((worker, job))
        return assigned

    def _next(self, only: list[Job] | None) -> Job | None:
        if only is None:
            return choose(self._backlog, self._admission, len(self._workers), self._wait)
        waiting = set(self._backlog)
        return next((job for job in only if job in waiting and self._admission.fits(job.key, job.gpus)), None)

    def drop(self, job: Job) -> None:
        """A job that waits shall not be done."""
        self._backlog.discard(job)

    def put_back(self, worker: W) -> None:
        """A job that was assigned may not start after all: it waits again, and the worker is idle."""
        running = self._workers[worker]
        if running is None:
            return
        self._workers[worker] = None
        self._backlog.finish(running.job)
        self._backlog.add(running.job)
        self._admission.release(running.job.key)

    def begun(self, test: str) -> None:
        """A test has started somewhere."""
        for running in self._workers.values():
            if running is not None and running.left[0] == test:
                running.begun = running.current_begun = True

    def done(self, worker: W, test: str) -> None:
        """A worker finished a test, teardown included."""
        running = self._workers.get(worker)
        if running is None or test not in running.left:
            return
        running.left.remove(test)
        running.begun, running.current_begun = True, False
        if not running.left:
            self._workers[worker] = None
            self._backlog.finish(running.job)
            self._admission.release(running.job.key)

    def lost(self, worker: W, crashed: bool) -> Loss:
        """A worker is gone. What it had not started waits again.

        Args:
            worker: KeyError when it is unknown.
            crashed: it ran no teardown, so what its job deployed still holds GPUs.
        """
        running = self._workers.pop(worker)
        if running is None:
            return Loss()
        job, first = running.job, running.left[0]
        self._backlog.finish(job)
        self._sent[first] += not running.current_begun
        blamed = first if running.current_begun or self._sent[first] >= SENDS else None
        rest = tuple(running.left if blamed is None else running.left[1:])
        if rest:
            self._backlog.add(replace(job, tests=rest))
        if crashed and running.begun and job.case is not None:
            self._admission.quarantine(job.key)
            return Loss(blamed, job)
        self._admission.release(job.key)
        return Loss(blamed)

    def cleaned(self, key: str) -> None:
        """The objects of a quarantined job are gone: its slot is free."""
        self.leaks.pop(key, None)
        self._admission.release(key)

    def leaked(self, key: str, reason: str) -> None:
        """The objects of a quarantined job stay: so does its slot."""
        self.leaks[key] = reason

    def rerun(self, test: str) -> None:
        """A test is to be run once more, alone, when what it may have left behind is gone."""
        self._backlog.add(replace(self._origin[test], tests=(test,)))

    def dead_end(self) -> str | None:
        """Why nothing that waits will ever start, or None while it may.

        Something can still happen while a job runs, a clean-up is under way, or other runs on the cluster hold
        something. Otherwise only leaks hold anything, and what could not be assigned beside them never can.
        """
        cleaning = any(holder.quarantined and holder.key not in self.leaks for holder in self._admission.holders)
        if not self._backlog or not self._workers or cleaning or self.running or self._admission.others:
            return None
        held = "; ".join(f"{key}: {reason}" for key, reason in self.leaks.items())
        return f"its slot is held by what could not be removed ({held})"

    def give_up(self) -> list[Job]:
        """All that waits, which then no longer waits."""
        jobs = self.waiting
        for job in jobs:
            self._backlog.discard(job)
        return jobs
