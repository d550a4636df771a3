"""The scheduler of a run with cases: one job at a time per worker, only when its GPUs are free."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

import pytest
from xdist.workermanage import WorkerController

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.books import Books, Loss
from pytest_modelrt.scheduling.forecast import upcoming
from pytest_modelrt.scheduling.gate import Gate
from pytest_modelrt.scheduling.jobs import Job, make_jobs, without_hopeless
from pytest_modelrt.scheduling.limits import Limits, Occupancy
from pytest_modelrt.scheduling.order import Order, Wait
from pytest_modelrt.scheduling.quarantine import Quarantine
from pytest_modelrt.scheduling.reports import NEVER, report_error
from pytest_modelrt.scheduling.status import SchedulerState, state_of

WAKE = -1
"""Item index of an event that a thread puts into the controller's queue: look again."""


class Desk(Protocol):
    """Where leave is asked to use what other runs use too. Every method returns at once."""

    def occupancy(self) -> Occupancy:
        """What other runs hold."""

    def request(self, job: Job, answer: Callable[[bool], None]) -> None:
        """Ask for a slot and for the name of the case; ``answer`` is called later, in any thread."""

    def keep(self, keys: frozenset[str]) -> None:
        """These run, or are about to be asked for: what was granted for any other key is given back."""

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, in any thread, whenever ``occupancy`` may have changed."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the scheduler needs to know about a run."""

    cases: Mapping[str, Case]
    limits: Limits
    order: Order
    estimates: Mapping[str, float]
    """Case id -> cluster seconds."""
    cleanup: Callable[[str], None]
    """Remove what a crashed case left; called in a thread, returns when it is gone, raises when it stays."""
    on_change: Callable[[SchedulerState], None] | None = None
    cleanup_seconds: float = 1800.0
    """Real seconds after which a clean-up that did not return counts as failed."""
    desk: Desk | None = None
    """None: no other run is reckoned with."""
    gate: Gate | None = None
    """None: every case may start."""
    decline: Callable[[str, str], None] | None = None
    """Publish, for a test, why it is not run."""
    wait: Wait = lambda job: 0.0
    """What is known of downloads: see ``order.choose``."""


class TierScheduling:
    """pytest-xdist's ``Scheduling`` protocol from the moment the first workers have collected the same tests."""

    has_pending = True
    collection_is_completed = True

    def __init__(
        self, config: pytest.Config, run: Run, collection: Sequence[str], weights: Mapping[str, int | str], workers: int
    ) -> None:
        self.config = config
        self._run = run
        self._collection = list(collection)
        asked = {nodeid: gpus for nodeid, gpus in weights.items() if isinstance(gpus, int)}
        wrong = {nodeid: text for nodeid, text in weights.items() if isinstance(text, str)}
        usable = [nodeid for nodeid in self._collection if nodeid not in wrong]
        jobs = without_hopeless(make_jobs(usable, run.cases, run.estimates, asked, workers), run.limits, run.cases)
        self._books: Books[WorkerController] = Books(run.limits, run.order, jobs, run.wait)
        self._announced: dict[WorkerController, list[str]] = {}
        self._unusable: set[WorkerController] = set()
        self._coming = 0
        self._quarantine = Quarantine(run.cleanup, run.cleanup_seconds)
        self._answers = SimpleQueue[tuple[WorkerController, Job, bool]]()
        if run.desk is not None:
            run.desk.on_change(self._wake)
        if run.gate is not None:
            run.gate.on_change(self._wake)
        config.pluginmanager.register(_Starts(self._books))
        for nodeid, text in wrong.items():
            report_error(config, nodeid, f"not run: {text}")
        for job, reason in self._books.refused:
            self._give_up(job, f"{NEVER}: {reason}")

    @property
    def nodes(self) -> list[WorkerController]:
        """Workers that are alive, whether or not they can be used."""
        return list(self._announced)

    @property
    def state(self) -> SchedulerState:
        """What runs, waits and is held."""
        return state_of(self._books)

    @property
    def leaks(self) -> Mapping[str, str]:
        """Case id -> why what a crashed worker left could not be removed."""
        return self._books.leaks

    @property
    def never_started(self) -> list[str]:
        """Tests that still wait, in the order of the collection."""
        waiting = {test for job in self._books.waiting for test in job.tests}
        return [test for test in self._collection if test in waiting]

    @property
    def waiting(self) -> list[Job]:
        """Jobs that have not started, in no particular order."""
        return self._books.waiting

    def upcoming(self, count: int) -> list[str]:
        """Ids of the ``count`` cases that will probably start next, in that order."""
        jobs = (job for job in self._books.waiting if job.case is not None)
        found = upcoming(jobs, self._run.limits, len(self._books.workers), self._run.order, count)
        return list(dict.fromkeys(job.key for job in found))

    @property
    def tests_finished(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return self._books.finished

    def add_node(self, node: WorkerController) -> None:
        """A worker is there; it is used once it has collected."""
        self._announced[node] = []
        self._coming = max(0, self._coming - 1)

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """A worker has collected: it is used if it knows the same tests, in whatever order."""
        if sorted(collection) != sorted(self._collection):
            self._unusable.add(node)
            say(self.config, f"{node.gateway.id} collected other tests than the first worker: not used")
            node.shutdown()
            return
        self._announced[node] = list(collection)
        self._books.add_worker(node)

    def schedule(self) -> None:
        """Start all that may start now."""
        self._dispatch()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """A worker finished an item, or a thread wants the scheduler to look again."""
        announced = self._announced.get(node, [])
        if 0 <= item_index < len(announced):
            self._books.done(node, announced[item_index])
        self._dispatch()

    def mark_test_pending(self, item: str) -> None:
        """A test is to be run again: as soon as what it left behind is gone."""
        self._books.rerun(item)
        self._dispatch()

    def remove_pending_tests_from_node(self, node: WorkerController, indices: Sequence[int]) -> None:
        """Only ever an answer to stealing, and nothing is stolen here."""
        raise NotImplementedError

    def remove_node(self, node: WorkerController) -> str | None:
        """A worker is gone; returns the test it ran if it crashed, else None. KeyError: it never was there."""
        del self._announced[node]
        self._unusable.discard(node)
        crashed = not hasattr(node, "workeroutput")
        self._coming += crashed
        loss = self._books.lost(node, crashed) if node in self._books.workers else Loss()
        if loss.quarantined is not None:
            self._clean_up(node, loss.quarantined.key)
        if loss.blamed is not None and not crashed:
            report_error(self.config, loss.blamed, f"worker {node.gateway.id} ended while running {loss.blamed}")
        self._dispatch()
        return loss.blamed if crashed else None

    def _dispatch(self) -> None:
        if winding_up(self.config):
            return
        for case, error in self._quarantine.results():
            if error is None:
                self._books.cleaned(case)
            else:
                self._books.leaked(case, error)
        self._take_answers()
        if self._run.desk is not None:
            self._books.admission.others = self._run.desk.occupancy()
        only = self._gated()
        assigned = self._books.assign(only)
        if self._run.desk is not None:  # first, so that what ended makes room for what begins
            self._run.desk.keep(frozenset(holder.key for holder in self._books.admission.holders))
        for node, job in assigned:
            if self._run.gate is not None:
                self._run.gate.started(job)
            self._ask(node, job)
        dead_end = None if only is not None else self._books.dead_end()
        reason = dead_end if self._worker_in_sight() else "no worker is left"
        if reason is not None:
            for job in self._books.give_up():
                self._give_up(job, reason)
        if self._run.on_change is not None:
            self._run.on_change(self.state)

    def _gated(self) -> list[Job] | None:
        """What the gate lets through now, after dropping what it will never let through."""
        gate = self._run.gate
        if gate is None:
            return None
        running = sum(job.case is not None for job in self._books.running.values())
        only = gate.admitted(self._books.waiting, running)
        for job, why in gate.barred(self._books.waiting):
            self._books.drop(job)
            for test in job.tests:
                (self._run.decline or self._report)(test, why)
        return only

    def _report(self, test: str, why: str) -> None:
        report_error(self.config, test, f"not run: {why}")

    def _ask(self, node: WorkerController, job: Job) -> None:
        """Start a job: at once, or as soon as the desk has granted what other runs use too."""
        if self._run.desk is None or job.gpus <= 0:
            self._send(node, job)
            return

        def answer(granted: bool) -> None:
            self._answers.put((node, job, granted))
            self._wake()

        self._run.desk.request(job, answer)

    def _take_answers(self) -> None:
        while not self._answers.empty():
            node, job, granted = self._answers.get()
            if self._books.running.get(node) is not job:
                continue  # the worker died meanwhile
            if granted:
                self._send(node, job)
            else:
                self._books.put_back(node)
                if self._run.gate is not None:
                    self._run.gate.put_back(job)

    def _wake(self) -> None:
        """From any thread: let the controller's loop look again."""
        for node in list(self._announced)[:1]:
            node.notify_inproc("runtest_protocol_complete", node=node, item_index=WAKE, duration=0)

    def _worker_in_sight(self) -> bool:
        return self._coming > 0 or any(node not in self._unusable for node in self._announced)

    def _send(self, node: WorkerController, job: Job) -> None:
        announced = self._announced[node]
        index = {nodeid: number for number, nodeid in enumerate(announced)}
        idle = len(announced)
        # A closed channel: the crash event is on its way, and what never started waits again then.
        with contextlib.suppress(OSError):
            node.send_runtest_some([*(index[test] for test in job.tests), idle])

    def _clean_up(self, node: WorkerController, case: str) -> None:
        def wake() -> None:
            node.notify_inproc("runtest_protocol_complete", node=node, item_index=WAKE, duration=0)

        self._quarantine.begin(case, wake)

    def _give_up(self, job: Job, reason: str) -> None:
        for test in job.tests:
            self._report(test, reason)


class _Starts:
    """Tells the books which test has begun: the reports of a crash do not."""

    def __init__(self, books: Books[WorkerController]) -> None:
        self._books = books

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._books.begun(nodeid)


def winding_up(config: pytest.Config) -> bool:
    """Whether the run is being ended: then workers start nothing that is sent to them now."""
    return bool(getattr(config.pluginmanager.getplugin("dsession"), "shuttingdown", False))


def say(config: pytest.Config, text: str) -> None:
    """One line on the terminal, unless the run is quiet."""
    dsession = config.pluginmanager.getplugin("dsession")
    if dsession is not None:
        dsession.report_line(f"\n{text}")
