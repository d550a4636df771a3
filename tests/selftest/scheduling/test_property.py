"""Ten thousand random runs: limits, budget, crashes, leaks, late and lost workers, judged by a ledger of their own."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from pytest_modelrt.plan.model import Tier
from pytest_modelrt.scheduling.books import Books
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order

RUNS = 10_000
PARTS = 4


@dataclass
class World:
    """A random run, and what it must not do."""

    rng: random.Random
    limits: Limits
    order: Order
    jobs: list[Job]
    downloaded: float = 1.0
    """Share of the jobs whose weights are on the nodes."""
    books: Books[int] = field(init=False)
    events: list[tuple[float, int, str, int | str]] = field(default_factory=list)
    held: dict[str, Job] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    now: float = 0.0
    serial: int = 0
    dirty: set[int] = field(default_factory=set)
    """Workers whose job has begun: what it made is on the cluster."""
    workers: int = 0

    def __post_init__(self) -> None:
        here = {job.key for job in self.jobs if self.rng.random() < self.downloaded}
        self.books = Books(self.limits, self.order, self.jobs, lambda job: 0.0 if job.key in here else job.seconds)
        for job, _ in self.books.refused:
            self.ended.update(job.tests)

    def at(self, delay: float, what: str, which: int | str) -> None:
        self.serial += 1
        heapq.heappush(self.events, (self.now + delay, self.serial, what, which))

    def take(self, job: Job) -> None:
        assert job.key not in self.held, "one case twice at once"
        self.held[job.key] = job
        for tier in self.limits.tiers:
            holders = [job for job in self.held.values() if self.in_tier(job, tier)]
            assert len(holders) <= tier.limit
        assert sum(job.gpus for job in self.held.values()) <= self.limits.gpu_budget
        assert job.gpus <= self.limits.gpus_per_test

    def in_tier(self, job: Job, tier: Tier) -> bool:
        return tier.min_gpus <= job.gpus and (tier.max_gpus is None or job.gpus <= tier.max_gpus)

    def could_start(self, job: Job) -> bool:
        """Judged from the ledger alone."""
        if job.key in self.held:
            return False
        tiers = [tier for tier in self.limits.tiers if self.in_tier(job, tier)] if job.gpus else []
        slots = all(sum(self.in_tier(other, tier) for other in self.held.values()) < tier.limit for tier in tiers)
        return slots and sum(other.gpus for other in self.held.values()) + job.gpus <= self.limits.gpu_budget

    def nobody_waits_in_vain(self) -> None:
        if len(self.books.running) == len(self.books.workers):
            return
        waiting = self.books.waiting
        if self.order is Order.STRICT:
            first = min(job.phase for job in [*waiting, *self.books.running.values()]) if waiting else 0
            waiting = [job for job in waiting if job.phase == first]
        assert not [job for job in waiting if self.could_start(job)]

    def play(self) -> None:
        for _ in range(self.rng.randint(1, 6)):
            self.at(self.rng.choice([0.0, 0.0, 5.0]), "worker", 0)
        steps = 0
        while self.events:
            steps += 1
            assert steps < 5000
            self.now, _, what, which = heapq.heappop(self.events)
            getattr(self, what)(which)
            for worker, job in self.books.assign():
                self.take(job)
                self.at(self.rng.expovariate(0.1), "step", worker)
            self.nobody_waits_in_vain()
            if self.books.dead_end() is not None:
                assert self.books.leaks
                for job in self.books.give_up():
                    self.ended.update(job.tests)
        assert self.books.finished
        assert self.ended == Counter(test for job in self.jobs for test in job.tests)

    def worker(self, _: int | str) -> None:
        self.workers += 1
        self.books.add_worker(self.workers)

    def step(self, worker: int | str) -> None:
        assert isinstance(worker, int)
        running = self.books.running[worker]
        test = self.books.next_test(worker)
        fate = self.rng.random()
        if fate > 0.03:
            self.books.begun(test)
            self.dirty.add(worker)
        if fate < 0.06:
            self.lose(worker, running, crashed=self.rng.random() < 0.8)
            return
        self.books.done(worker, test)
        self.dirty.add(worker)
        self.ended[test] += 1
        if worker in self.books.running:
            self.at(self.rng.expovariate(0.1), "step", worker)
        else:
            self.dirty.discard(worker)
            del self.held[running.key]

    def lose(self, worker: int, running: Job, crashed: bool) -> None:
        loss = self.books.lost(worker, crashed)
        assert (loss.quarantined is not None) == (crashed and worker in self.dirty and running.case is not None)
        if loss.blamed is not None:
            self.ended[loss.blamed] += 1
        if loss.quarantined is None:
            del self.held[running.key]
        else:
            self.at(self.rng.expovariate(0.05), "cleanup", running.key)
        self.at(1.0, "worker", 0)

    def cleanup(self, key: int | str) -> None:
        assert isinstance(key, str)
        if self.rng.random() < 0.2:
            self.books.leaked(key, "stays")
        else:
            self.books.cleaned(key)
            del self.held[key]


def world(seed: int) -> World:
    rng = random.Random(seed)
    edges = sorted(rng.sample(range(2, 17), rng.randint(0, 3)))
    starts, ends = [1, *edges], [*(edge - 1 for edge in edges), rng.choice([None, 20])]
    tiers = tuple(
        Tier(f"t{low}", low, high, rng.choice([0, 1, 1, 2, 3, 9])) for low, high in zip(starts, ends, strict=True)
    )
    limits = Limits(tiers, rng.choice([1, 8, 20, 112]), rng.choice([4, 16, 32]))
    jobs = []
    for number in range(rng.randint(0, 14)):
        key = f"k{rng.randint(0, 40)}" if rng.random() < 0.2 else f"k{100 + number}"
        gpus = rng.choice([0, 1, 1, 1, 2, 4, 8, 16, 32])
        tests = tuple(f"{number}-{part}" for part in range(rng.choice([1, 1, 1, 3])))
        case = key if gpus else None
        jobs.append(Job(key, tests, gpus, rng.expovariate(0.1), case, rng.randint(0, 4), rng.randint(1, 3), number))
    return World(rng, limits, rng.choice(list(Order)), jobs, rng.choice([0.0, 0.5, 1.0]))


@pytest.mark.parametrize("part", range(PARTS))
def test_random_runs(part: int) -> None:
    for seed in range(part, RUNS, PARTS):
        try:
            world(seed).play()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
