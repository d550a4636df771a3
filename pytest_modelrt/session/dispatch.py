"""The controller's traffic: which case starts when, what is downloaded ahead, and what became of the forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelrt.journal.model import EventKind, Verdict
from pytest_modelrt.journal.trace import WITHDRAWN
from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.ahead import AheadBooks
from pytest_modelrt.scheduling.gate import Gate
from pytest_modelrt.scheduling.jobs import Job, case_of
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order
from pytest_modelrt.scheduling.prefetch import DownloadTime, Room
from pytest_modelrt.scheduling.reports import NEVER, report_error, report_not_run
from pytest_modelrt.scheduling.status import SchedulerState
from pytest_modelrt.scheduling.worker import gpus_asked
from pytest_modelrt.session.leases import Leases
from pytest_modelrt.session.makespan import Makespan
from pytest_modelrt.session.notes import note
from pytest_modelrt.session.order import expected, in_order, predict
from pytest_modelrt.session.placement import Placement, write_placement
from pytest_modelrt.session.prefetch import Prefetch
from pytest_modelrt.session.resume import carried_cases
from pytest_modelrt.session.run import Run
from pytest_modelrt.session.status import StatusLine
from pytest_modelrt.session.surroundings import make_stack

if TYPE_CHECKING:
    from pytest_modelrt.scheduling.xdist import CaseScheduling
    from pytest_modelrt.session.controller import Controller


class Dispatch:
    """Hooks of the controller that decide about order and start."""

    def __init__(self, config: pytest.Config, run: Run, controller: Controller) -> None:
        self._config = config
        self._run = run
        self._controller = controller
        self._scheduling: CaseScheduling | None = None
        self.makespan: Makespan | None = None
        self.paused: Callable[[], bool] = lambda: False
        """Whether the circuit breaker is open: then nothing is downloaded ahead."""
        self.gate: Gate | None = None
        """Asked before a case starts."""
        self._status = StatusLine(config)
        self.leases = self._make_leases() if run.uses_leases else None
        self._prefetch: Prefetch | None = None
        self.downloads: dict[str, DownloadTime] = {}
        """Case id -> how much of its download was waited for, where it ran ahead."""
        self._never: dict[str, str] = {}
        """Without xdist: tests that are not run, and why."""
        self._jobs: list[Job] = []
        """Without xdist: what has not started."""
        self._placed: dict[str, tuple[str, ...]] = {}
        """Case id -> the nodes that shall download its model."""
        self._carried: frozenset[str] = frozenset()
        """Case ids that an earlier run speaks for."""
        self._left: dict[str, set[str]] = {}
        """Case id -> its tests that have not ended."""

    @property
    def workers(self) -> int:
        """Processes that run tests."""
        return int(self._config.getoption("numprocesses", None) or 1)

    @property
    def leaks(self) -> dict[str, str]:
        """Case id -> why what its crashed worker left could not be removed."""
        tiers = self._scheduling.tiers if self._scheduling is not None else None
        return dict(tiers.leaks) if tiers is not None else {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Hand out cases only when their GPUs are free."""
        from pytest_modelrt.scheduling.xdist import make_scheduler

        run = self._run
        self._scheduling = make_scheduler(
            config,
            log,
            plan=run.plan,
            campaign=run.campaign,
            order=run.settings.order,
            estimates=expected(run, ahead=run.window(self.workers) > 0).held,
            on_first_collection=self._begin,
            cleanup=self._controller.remove,
            on_change=self._changed,
            desk=self.leases,
            gate=self.gate,
            decline=lambda nodeid, why: report_not_run(config, nodeid, why),
            limits=lambda: self._limits,
            wait=lambda job: self._prefetch.wait(job.key) if self._prefetch is not None else 0.0,
        )
        return self._scheduling

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Without xdist the order of the run is the order of the items."""
        items[:] = in_order(items, self._run)

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Without xdist: the controller has begun the run, and the tests follow."""
        items: list[pytest.Item] = getattr(session, "items", [])
        asked = gpus_asked(items)
        self._never = {nodeid: f"not run: {text}" for nodeid, text in asked.items() if isinstance(text, str)}
        self._begin([item.nodeid for item in items], asked)

    def _begin(self, nodeids: Sequence[str], asked: Mapping[str, int | str]) -> None:
        """The tests are known, and what their markers ask for; nothing has started."""
        self._controller.begin(nodeids)
        if self.makespan is not None or self._controller.info is None:
            return
        cases = self._run.plan.by_id()
        self._carried = carried_cases(self._config, nodeids)
        weights = {nodeid: gpus for nodeid, gpus in asked.items() if isinstance(gpus, int)}
        usable = [nodeid for nodeid in nodeids if nodeid in weights or nodeid not in asked]
        fresh = [nodeid for nodeid in usable if not self._is_carried(case_of(nodeid, cases))]
        prediction = predict(fresh, self._run, self.workers, self._controller.capacity, weights)
        self._placed = dict(prediction.placed)
        if self._placed:
            write_placement(self._run.directory, self._placed)
        self.makespan = Makespan(prediction, self._controller.clock, self._limits, self.workers)
        note(self._config, "forecast", {**prediction.as_data(), "carried": sorted(self._carried)})
        for nodeid in fresh:
            if (case := case_of(nodeid, cases)) is not None:
                self._left.setdefault(case.id, set()).add(nodeid)
        if self.leases is not None:
            self.leases.start()
        self._jobs = [span.job for span in prediction.plan.spans]
        for job in prediction.plan.impossible:
            why = f"{NEVER}: {self._limits.refusal(job.gpus)}"
            self._never |= dict.fromkeys(job.tests, f"not run: {why}")
        if self._run.window(self.workers) and len(self._left) > 1:
            self._prefetch = self._start_prefetch(prediction.placed)
            self._prefetch.waiting(self._jobs)

    @property
    def _limits(self) -> Limits:
        """The campaign's, and what the cluster's nodes offer once that is known."""
        return Limits.of(self._run.campaign, self._controller.capacity.total)

    def _make_leases(self) -> Leases:
        run = self._run
        return Leases(
            self._controller.connected,
            run.run_id,
            run.plan.by_id(),
            Limits.of(run.campaign),
            lambda text: note(self._config, "leases", {"text": text}, kind=EventKind.WARNING),
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Without xdist: a test waits until no other run has its slot or its name, unless it can never start."""
        if item.nodeid in self._never:
            report_error(self._config, item.nodeid, self._never[item.nodeid])
            return True
        job = next((job for job in self._jobs if item.nodeid in job.tests), None)
        if self.leases is not None and self._scheduling is None and job is not None and job.gpus > 0:
            self.leases.keep(frozenset({job.key}))
            self.leases.await_leave(job, lambda: self._status.say(f"{job.key} waits for what other runs hold"))
        return None

    def _start_prefetch(self, placed: Placement) -> Prefetch:
        run, config = self._run, self._config
        books = AheadBooks(
            cases=run.plan.by_id(),
            limits=self._limits,
            order=Order(run.settings.order),
            workers=self.workers,
            room=Room(run.window(self.workers)),
            placed=placed,
        )
        prefetch = Prefetch(
            books,
            self._controller.connected,
            lambda cluster, case: make_stack(config, cluster, case, run.campaign, lambda what, data: None),
            run_id=run.run_id,
            seconds=expected(run, ahead=True).download,
            paused=lambda: self.paused(),  # noqa: PLW0108 - the breaker replaces it later
            told=self._tell,
            trouble=lambda text: note(config, "prefetch", {"text": text}, kind=EventKind.WARNING),
            seen=lambda case_id, what: note(config, what, {}, case=case_id),
            withdrawn=self._withdrawn,
            may_apply=self.leases.hold_name if self.leases is not None else lambda cluster, case: True,
        )
        prefetch.start()
        return prefetch

    def _tell(self, case_id: str, times: DownloadTime) -> None:
        """In the thread of the downloads: the journal takes lines from any thread."""
        self.downloads[case_id] = times
        said = {"waited": round(times.waited, 1), "hidden": round(times.hidden, 1)}
        note(self._config, "download-ahead", said, case=case_id)

    def _withdrawn(self, case_id: str, seconds: float, nodes: Sequence[str]) -> None:
        """In the thread of the downloads: whatever is wrong with those nodes, the case shall not be bound to them."""
        self._placed[case_id] = ()
        write_placement(self._run.directory, self._placed)
        note(self._config, WITHDRAWN, {"seconds": round(seconds, 1), "nodes": list(nodes)}, case=case_id)
        where = ", ".join(nodes)
        text = f"download-withdrawn: ahead of its case it stood still for {seconds:.0f} s on {where}; now on all nodes"
        note(self._config, "prefetch", {"text": text}, case=case_id, kind=EventKind.WARNING)

    def _changed(self, state: SchedulerState) -> None:
        """The scheduler started something, or something ended."""
        if self._controller.info is None:
            return  # nothing needs the cluster: there is no run, and no journal
        self._status(state)
        tiers = self._scheduling.tiers if self._scheduling is not None else None
        if self._prefetch is not None and tiers is not None:
            self._prefetch.waiting(job for job in tiers.waiting if job.key not in self._carried)

    def _is_carried(self, case: Case | None) -> bool:
        return case is not None and case.id in self._carried

    def withdraw(self) -> None:
        """Delete models that were downloaded ahead of cases that wait: their downloads may be what is in the way."""
        tiers = self._scheduling.tiers if self._scheduling is not None else None
        if self._prefetch is not None:
            for job in self._jobs if tiers is None else tiers.waiting:
                self._prefetch.ended(job.key)

    def lines(self) -> list[str]:
        """What there is to say at the end."""
        lines = [line] if self.makespan is not None and (line := self.makespan.line()) else []
        if self.downloads:
            waited = sum(times.waited for times in self.downloads.values()) / 60
            hidden = sum(times.hidden for times in self.downloads.values()) / 60
            count = len(self.downloads)
            models = f"{count} model{'s' * (count != 1)}"
            lines.append(f"{models} downloaded ahead: {hidden:.1f} minutes hidden, {waited:.1f} waited for")
        return lines

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A case was handed out."""
        case = case_of(nodeid, self._run.plan.by_id())
        if case is None or self.makespan is None:
            return
        self.makespan.begun(case.id)
        if self._prefetch is not None:
            self._prefetch.begun(case.id)
            if self.leases is not None:
                self.leases.name_begun(case.id)
            if self._scheduling is None:
                self._jobs = [job for job in self._jobs if job.key != case.id]
                self._prefetch.waiting(self._jobs)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test is over."""
        case = case_of(nodeid, self._run.plan.by_id())
        if case is None or self._prefetch is None or case.id not in self._left:
            return
        self._left[case.id].discard(nodeid)
        if not self._left[case.id]:
            self._prefetch.ended(case.id)

    def pytest_modelrt_verdict(self, verdict: Verdict) -> None:
        """A case ended."""
        if self.makespan is not None:
            self.makespan.ended(verdict)

    def pytest_keyboard_interrupt(self) -> None:
        """Nothing more is downloaded ahead."""
        if self._prefetch is not None:
            self._prefetch.stop(0.0)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Names and slots are given back after the sweep, or lapse."""
        if self.leases is not None:
            self.leases.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Download nothing more; write down how the forecast did, and which objects a crash left for good."""
        if self._prefetch is not None:
            self._prefetch.stop()
        if self.leases is not None:
            self.leases.closing = True
        if self.makespan is None:
            return
        note(self._config, "makespan", self.makespan.as_data())
        for case_id, why in self.leaks.items():
            said = {"text": f"its GPUs stayed taken: {why}"}
            note(self._config, "leak", said, case=case_id, kind=EventKind.WARNING)
