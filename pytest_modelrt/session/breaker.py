"""The circuit breaker of a run: fed with verdicts, asked before each case, shared by all workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_modelrt.clock import Clock
from pytest_modelrt.diagnosis.breaker import INFRASTRUCTURE, Breaker, FamilyMemo, Policy, State, Transition
from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.journal.model import EventKind, Outcome, Verdict
from pytest_modelrt.scheduling.jobs import Job, case_of
from pytest_modelrt.scheduling.reports import report_not_run
from pytest_modelrt.session.controller import CLUSTER_FAILED
from pytest_modelrt.session.families import Families
from pytest_modelrt.session.notes import note
from pytest_modelrt.session.run import Run

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

INTERRUPTED = "suite-interrupted"
UNSUPPORTED = "crashloop-unsupported-architecture"
ONE_BY_ONE = 3 * 3600.0
"""Window of a run without workers, in cluster seconds: three verdicts about stuck downloads take longer than the usual
one, and any case that gets through between them closes it anyhow."""
LEAST_WINDOW = 30.0
"""Real seconds of the window at least: no wait of ours is shorter than some real seconds, however fast the cluster."""
MEANING = {
    State.OPEN: "nothing new starts but a canary now and then",
    State.HALF_OPEN: "one case at a time",
    State.CLOSED: "everything may start again",
    State.GIVEN_UP: "what has not started is not run",
}
"""Said as it happens: a run that waits looks like one that hangs."""
LEAST_WAIT = 0.05
"""Real seconds between two looks at the clock."""


class BreakerGate:
    """Hooks of the controller, and the scheduler's ``Gate``."""

    def __init__(self, config: pytest.Config, run: Run, clock: Clock, withdraw: Callable[[], None]) -> None:
        """Take what the breaker acts on; ``withdraw`` deletes models that were downloaded ahead of waiting cases."""
        self._config = config
        self._run = run
        self._clock = clock
        self._withdraw = withdraw
        self._cases = run.plan.by_id()
        self._alone = (config.getoption("numprocesses", None) or 1) == 1
        window = ONE_BY_ONE if self._alone else max(Policy().window, LEAST_WINDOW * clock.speed)
        self._breaker = Breaker(Policy(window=window), on_change=self._changed)
        self._memo = FamilyMemo()
        self._families: Families | None = None
        self._running: set[str] = set()
        self._history: list[Transition] = []
        self._began: float | None = None
        self._wake: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything but everything is let through."""
        return self._breaker.state is not State.CLOSED

    # ---------------------------------------------------------------------------------------- what is learnt

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A case runs."""
        case = case_of(nodeid, self._cases)
        if case is not None:
            self._began = self._now if self._began is None else self._began
            self._running.add(case.id)

    def pytest_modelrt_verdict(self, verdict: Verdict) -> None:
        """A case ended: it got through, met trouble of the cluster, or proves nothing."""
        self._running.discard(verdict.case)
        cause = CAUSES.get(verdict.cause or "")
        trouble = verdict.outcome is Outcome.ERROR and cause is not None and cause.scope in INFRASTRUCTURE
        if verdict.outcome in (Outcome.PASSED, Outcome.FAILED):
            self._breaker.record(verdict.case, None, self._now, in_flight=self._in_flight)
        elif trouble and verdict.cause != INTERRUPTED:
            self._breaker.record(verdict.case, cause, self._now, in_flight=self._in_flight)
        else:
            self._breaker.withdrawn(verdict.case)
        if verdict.cause == UNSUPPORTED and verdict.case in self._cases:
            self._families = self._families or Families(self._run)
            for image, architecture in self._families.of(self._cases[verdict.case]):
                self._memo.record(verdict.case, image, architecture, cause)

    # ----------------------------------------------------------------------------------------- what may start

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when a canary is due."""
        self._wake = wake

    def admitted(self, waiting: Sequence[Job], running: int) -> list[Job] | None:
        """All; or tests that are no cases, and the smallest case when a canary is due."""
        may = self._breaker.may_start(self._now, running=running)
        if self._breaker.state is State.CLOSED:
            return None
        found = [job for job in waiting if job.case is None]
        smallest = min((job for job in waiting if job.case is not None), key=self._size, default=None)
        if may and smallest is not None:
            found.append(smallest)
        elif smallest is not None:
            self._look_again()
        return found

    def barred(self, waiting: Sequence[Job]) -> list[tuple[Job, str]]:
        """Everything once the breaker has given up; before that, families known not to work."""
        return [(job, why) for job in waiting if job.case is not None and (why := self._why_barred(job.case))]

    def started(self, job: Job) -> None:
        """A case was let through: the canary, if the breaker is open."""
        if job.case is not None:
            self._breaker.started(job.case, self._now)

    def put_back(self, job: Job) -> None:
        """Another run has its slot: it is no canary yet."""
        if job.case is not None:
            self._breaker.withdrawn(job.case)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Without xdist: a case waits for its turn as the canary, or is not run."""
        case = case_of(item.nodeid, self._cases)
        if case is None:
            return None
        while not self._breaker.may_start(self._now, running=0) and self._breaker.state is not State.GIVEN_UP:
            due = self._breaker.next_change(self._now) or 0.0
            self._clock.wait(self._run.interrupted, max(due, LEAST_WAIT * self._clock.speed))
            if self._run.interrupted.is_set():
                return None
        why = self._why_barred(case.id)
        if why is None:
            self._breaker.started(case.id, self._now)
            return None
        report_not_run(self._config, item.nodeid, why)
        return True

    # --------------------------------------------------------------------------------------------------- end

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A campaign that was given up has an exit status of its own."""
        if self._timer is not None:
            self._timer.cancel()
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if self._breaker.state is State.GIVEN_UP and ended:
            session.exitstatus = CLUSTER_FAILED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """What the breaker did, if anything, and when."""
        for change in self._history:
            minutes = (change.now - (self._began or change.now)) / 60
            terminalreporter.write_line(
                f"modelrt: circuit breaker {change.state} at {minutes:.0f} min: {change.reason}"
            )

    # ------------------------------------------------------------------------------------------------- inner

    @property
    def _in_flight(self) -> int:
        """Cases that run; alone, one after the other, the next one counts, or two in a row would speak for all."""
        return 1 if self._alone else len(self._running)

    @property
    def _now(self) -> float:
        return self._clock.monotonic()

    def _size(self, job: Job) -> tuple[int, float, int]:
        case = self._cases.get(job.case or "")
        return (job.gpus, case.parameters if case is not None else 0.0, job.index)

    def _why_barred(self, case_id: str) -> str | None:
        if self._breaker.state is State.GIVEN_UP:
            return f"the circuit breaker gave up: {self._history[-1].reason}"
        if self._families is None:
            return None
        reasons = (self._memo.blocks(*family) for family in self._families.of(self._cases[case_id]))
        return next((why for why in reasons if why), None)

    def _look_again(self) -> None:
        """When the next canary is due, or the time to give up has come."""
        due = self._breaker.next_change(self._now)
        if due is None or self._wake is None or (self._timer is not None and self._timer.is_alive()):
            return
        self._timer = threading.Timer(due / self._clock.speed + LEAST_WAIT, self._wake)
        self._timer.daemon = True
        self._timer.start()

    def _changed(self, change: Transition) -> None:
        self._history.append(change)
        said = {"state": str(change.state), "reason": change.reason, "cause": self._breaker.reason}
        note(self._config, "breaker", said, kind=EventKind.BREAKER)
        terminal: TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            if terminal._tw.width_of_current_line:  # ensure_newline knows nothing of dots without a path, as xdist's
                terminal.write_line("")
            text = f"modelrt: circuit breaker {change.state}: {change.reason}; {MEANING[change.state]}"
            terminal.write_line(text, yellow=change.state is not State.CLOSED)
        if change.state is State.OPEN:
            self._withdraw()
