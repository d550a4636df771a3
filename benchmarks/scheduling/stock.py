"""pytest-xdist's own schedulers in virtual time, with the gate a user would write: a lock per slot, taken by the test.

The scheduler classes are the real ones; only the workers are simulated: queue, look-ahead, steal, shutdown.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling, LoadScheduling, WorkStealingScheduling

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.limits import Limits

KINDS = {"load": LoadScheduling, "worksteal": WorkStealingScheduling, "loadgroup": LoadGroupScheduling}


@dataclass
class Stay:
    """One test on one worker: the gate is passed at ``start``."""

    case: str
    worker: int
    asked: float
    start: float
    end: float


@dataclass(eq=False)
class Worker:
    """What a scheduler sees of a worker, and the worker's queue."""

    number: int
    world: World
    queue: list[int] = field(default_factory=list)
    busy: bool = False
    shutting_down: bool = False

    def __post_init__(self) -> None:
        self.gateway = SimpleNamespace(id=f"gw{self.number}")

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.queue.extend(indices)
        self.world.look(self)

    def shutdown(self) -> None:
        self.shutting_down = True
        self.world.look(self)

    def send_steal(self, indices: Sequence[int]) -> None:
        # The first is held or runs, the second is parked behind it: neither can be taken back.
        free = self.queue[2:]
        stolen = [index for index in free if index in set(indices)] if set(indices) <= set(free) else []
        self.queue = [index for index in self.queue if index not in stolen]
        self.world.after(0.0, lambda: self.world.scheduler.remove_pending_tests_from_node(self, stolen))


class World:
    """A run in virtual time."""

    def __init__(
        self, kind: str, cases: Sequence[Case], limits: Limits, workers: int, actual: Mapping[str, float], seed: int
    ) -> None:
        self.cases = cases
        self.actual = actual
        self.limits = limits
        self.rng = random.Random(seed)
        self.stays: list[Stay] = []
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._slots = {tier.name: tier.limit for tier in limits.tiers}
        self._gate: list[tuple[Worker, int, float]] = []
        config: Any = SimpleNamespace(
            getvalue=lambda name: [f"{workers}*popen"],
            getoption=lambda name: None,
            option=SimpleNamespace(loadscopereorder=True),
        )
        self.scheduler = KINDS[kind](config, Producer("benchmark", enabled=False))
        self.workers = [Worker(number, self) for number in range(workers)]
        ids = [self._nodeid(kind, number) for number in range(len(cases))]
        for worker in self.workers:
            self.scheduler.add_node(worker)
            self.scheduler.add_node_collection(worker, ids)

    def run(self) -> list[Stay]:
        """Play it to the end."""
        self.scheduler.schedule()
        while self._events:
            self.now, _, action = heapq.heappop(self._events)
            action()
            if self.scheduler.tests_finished:
                for worker in self.scheduler.nodes:
                    if not worker.shutting_down:
                        worker.shutdown()
        assert len(self.stays) == len(self.cases)
        return self.stays

    def after(self, delay: float, action: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + delay, self._count, action))

    def look(self, worker: Worker) -> None:
        """A worker starts a test only when it holds the next one too, or the order to end."""
        if worker.busy or not worker.queue or (len(worker.queue) < 2 and not worker.shutting_down):
            return
        worker.busy = True
        self._gate.append((worker, worker.queue[0], self.now))
        self._open_gate()

    def _open_gate(self) -> None:
        self.rng.shuffle(self._gate)
        for waiting in list(self._gate):
            worker, index, asked = waiting
            tier = self.limits.tier_of(self.cases[index].gpus)
            assert tier is not None
            if self._slots[tier.name] > 0:
                self._slots[tier.name] -= 1
                self._gate.remove(waiting)
                seconds = self.actual[self.cases[index].id]
                self.stays.append(Stay(self.cases[index].id, worker.number, asked, self.now, self.now + seconds))
                self.after(seconds, lambda worker=worker, index=index, tier=tier.name: self._end(worker, index, tier))  # type: ignore[misc]

    def _end(self, worker: Worker, index: int, tier: str) -> None:
        self._slots[tier] += 1
        worker.queue.pop(0)
        worker.busy = False
        self.scheduler.mark_test_complete(worker, index, self.actual[self.cases[index].id])
        self.look(worker)
        self._open_gate()

    def _nodeid(self, kind: str, number: int) -> str:
        """With ``loadgroup``: as many groups per tier as it has slots, cases dealt in turn."""
        case = self.cases[number]
        nodeid = f"test_models.py::test_model[{case.id}]"
        if kind != "loadgroup":
            return nodeid
        tier = self.limits.tier_of(case.gpus)
        assert tier is not None
        place = sum(self.limits.tier_of(other.gpus) == tier for other in self.cases[:number])
        return f"{nodeid}@{tier.name}-{place % tier.limit}"
