"""The controller's side of a run: begins it when the first case is known, keeps the account, cleans up at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

import pytest

from pytest_modelrt import __version__
from pytest_modelrt.clock import Clock, ScaledClock, rfc3339, utc_now
from pytest_modelrt.cluster.model import ClusterError
from pytest_modelrt.journal.alive import hold
from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.model import EventKind, RunInfo, StageEvent, Verdict
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import create_run, finish_run
from pytest_modelrt.journal.trace import CLOCK
from pytest_modelrt.launcher import SimulatorError
from pytest_modelrt.reporting.pages import RunPages
from pytest_modelrt.scheduling.jobs import case_of
from pytest_modelrt.scheduling.reports import reason_of
from pytest_modelrt.scheduling.worker import uses_cluster
from pytest_modelrt.session.capacity import Capacity, read_capacity
from pytest_modelrt.session.guard import Guard
from pytest_modelrt.session.interrupt import STOP_SECONDS, say_deleted
from pytest_modelrt.session.ledger import Ledger
from pytest_modelrt.session.maas import REPORT_ATTRIBUTE as MAAS_ATTRIBUTE
from pytest_modelrt.session.maas import MaasAccount
from pytest_modelrt.session.outcomes import REPORT_ATTRIBUTE
from pytest_modelrt.session.resume import await_orphans, prepare
from pytest_modelrt.session.run import WORKER_INPUT, Run, simulator_directory
from pytest_modelrt.session.simulated import SimulatedCluster
from pytest_modelrt.session.surroundings import connect, journal_of, remove_case
from pytest_modelrt.session.target import Target, check_credentials

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_modelrt.cluster.cluster import Cluster
    from pytest_modelrt.cluster.sweep import Swept
    from pytest_modelrt.journal.history import Trend

CLUSTER_FAILED = 70
"""Exit status of a run in which the cluster, not the models, failed (EX_SOFTWARE of sysexits, outside pytest's 0-5)."""


class Controller:
    """Hooks of the process that sees every report: the only one, or xdist's controller."""

    def __init__(self, config: pytest.Config, run: Run, target: Target) -> None:
        self.ledger = Ledger(run.plan.by_id())
        self.maas = MaasAccount()
        self.swept: Swept | None = None
        self.sweep_trouble = ""
        self.page_trouble = ""
        self.info: RunInfo | None = None
        self.capacity = Capacity({})
        """What the cluster's nodes offer, once the run has begun."""
        self._config = config
        self._run = run
        self._target = target
        self._simulator = SimulatedCluster(run) if run.simulated else None
        self._pages: RunPages | None = None
        self._alive: IO[bytes] | None = None
        self._guard: Guard | None = None
        self._ticking: tuple[Clock, float] | None = None
        """The cluster's clock, and what it said when the run began."""
        self._cluster: Cluster | None = None

    # -------------------------------------------------------------------------------------------- beginning

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it is part of."""
        node.workerinput[WORKER_INPUT] = {"run_id": self._run.run_id, "directory": str(self._run.directory)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """The first worker knows its tests: the cluster can start while the others still collect."""
        from pytest_modelrt.scheduling.xdist import wants_cluster

        self.begin(ids, cluster=wants_cluster(node))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Without xdist: the tests are known, and will run unless collection had errors."""
        if not session.testsfailed or session.config.option.continue_on_collection_errors:
            items: list[pytest.Item] = getattr(session, "items", [])
            self.begin([item.nodeid for item in items], cluster=any(map(uses_cluster, items)))

    def begin(self, nodeids: Sequence[str], *, cluster: bool = False) -> None:
        """Start the run if a case is selected, or (``cluster``) another test that needs the cluster."""
        if self.info is not None or not (self.ledger.select(nodeids) or cluster):
            return
        check_credentials(self._run)
        self.maas.start()
        run, campaign = self._run, self._run.campaign
        self.info = RunInfo(
            run_id=run.run_id,
            started=rfc3339(utc_now()),
            cluster=self._target.text,
            simulated=self._target.simulated,
            speed=self._target.speed,
            version=__version__,
            selection=self.ledger.selected,
            workers=self._config.getoption("numprocesses", None) or 1,
            limits={**{tier.name: tier.limit for tier in campaign.tiers}, "gpu_budget": campaign.gpu_budget},
        )
        try:
            await_orphans(run)
            self._alive = hold(create_run(run.reports, self.info))
            self._pages = RunPages(run.reports, run.plan, campaign, run.directory)
            self._guard = Guard(
                run.directory, run.settings.config, simulator_directory(run.run_id) if run.simulated else None
            )
        except (JournalError, OSError) as error:
            self.info = None
            raise pytest.UsageError(str(error)) from None
        self._write(EventKind.RUN_STARTED)
        if self._simulator is not None:
            try:
                self._simulator.start()
            except SimulatorError as error:
                pytest.exit(str(error), returncode=CLUSTER_FAILED)
        self.info = self._look_at_the_nodes(self.info)
        self.info = prepare(run, self._target, self.info, self._pages.store, self.connected)
        clock = self.clock
        self._ticking = (clock, clock.monotonic())
        self._tell_time()

    def _look_at_the_nodes(self, info: RunInfo) -> RunInfo:
        """Say what they offer, and spend no more. A cluster that does not answer is the cases' to report."""
        budget = self._run.campaign.gpu_budget
        try:
            self.capacity = read_capacity(self.connected())
        except ClusterError:
            return info
        if self.capacity.total is None:
            return info
        self._say(self.capacity.text(budget))
        return replace(info, limits={**info.limits, "gpu_budget": min(budget, self.capacity.total)})

    def _say(self, text: str) -> None:
        terminal: TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and terminal.verbosity >= 0:
            terminal.ensure_newline()
            terminal.write_line(f"modelrt: {text}")

    # ---------------------------------------------------------------------------------------------- account

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test was handed out."""
        self.ledger.start(nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a verdict from the teardown report; of a case that never started only the scheduler reports."""
        data = getattr(report, REPORT_ATTRIBUTE, None)
        finding = getattr(report, MAAS_ATTRIBUTE, None)
        if finding is not None:
            self.maas.take(report.nodeid, finding)
        if data is not None:
            self._take(Verdict.from_data(data))
        elif not report.passed and self.info is not None:
            self._record(self.ledger.refused(report.nodeid, reason_of(report)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """A worker died: its case gets a verdict all the same, and counts as an error, not as the model's failure."""
        if case_of(crashitem, self.ledger.cases) is None:
            return
        report.when = "setup"
        self._record(self.ledger.lost(crashitem, str(getattr(getattr(report.node, "gateway", None), "id", "?"))))

    def _record(self, verdict: Verdict | None) -> None:
        """A verdict of our own."""
        if verdict is not None:
            journal_of(self._config).verdict(verdict)
            self._take(verdict)

    def _take(self, verdict: Verdict) -> None:
        self.ledger.verdicts[verdict.case] = verdict
        self._tell_time()
        self._update_pages(at_once=False)
        self._config.hook.pytest_modelrt_verdict(config=self._config, verdict=verdict)

    def _tell_time(self) -> None:
        """How much cluster time has passed: a simulated cluster that lags has less of it than its speed says."""
        clock, began = self._ticking or (ScaledClock(), 0.0)
        if clock.speed != 1:
            passed = {"what": CLOCK, "seconds": round(clock.monotonic() - began, 1)}
            journal_of(self._config).record(StageEvent(rfc3339(utc_now()), EventKind.OBSERVATION, data=passed))

    @property
    def trends(self) -> Mapping[str, Trend]:
        """Case id -> how it compares with earlier runs."""
        return self._pages.trends() if self._pages is not None else {}

    def _update_pages(self, *, at_once: bool = True) -> None:
        """Trouble with pages is said once and decides nothing."""
        if self._pages is None:
            return
        try:
            if at_once:
                self._pages.update()
            else:
                self._pages.update_soon()
        except (JournalError, OSError) as error:
            self._pages = None
            self.page_trouble = f"{error}; afterwards: modelrt report {self._run.run_id}"

    # --------------------------------------------------------------------------------------------------- end

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """All workers are gone: close the account, sweep, write the end of the run."""
        if self.info is None:
            return
        try:
            self._judge_the_rest(session)
            for verdict in self.maas.close():
                self._record(verdict)
            self._sweep()
            self._tell_time()
        finally:
            if self._simulator is not None:
                self._simulator.stop()
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and self.ledger.cluster_failed:
            session.exitstatus = CLUSTER_FAILED
        self._write(EventKind.RUN_FINISHED)
        self.info = finish_run(self._run.directory, self.info, int(session.exitstatus))
        self._update_pages()

    def pytest_unconfigure(self) -> None:
        """The last chance to stop what we started."""
        if self._guard is not None and self.info is not None and self.info.finished is not None:
            self._guard.dismiss()
        if self._simulator is not None:
            self._simulator.stop()

    def abandon(self) -> None:
        """The process is about to end without cleaning up: at least no process and no key of ours stays."""
        if self._simulator is not None:
            self._simulator.stop()

    def _judge_the_rest(self, session: pytest.Session) -> None:
        """Cases that were started and never came back, and those that were never handed out."""
        known = read_run(self._run.directory).verdicts
        why = str(session.shouldfail or session.shouldstop or "the run was stopped before it started")
        for verdict in [*self.ledger.unjudged(known), *self.ledger.left_out(why)]:
            if verdict.case not in known:
                journal_of(self._config).verdict(verdict)
            self._take(verdict)

    def remove(self, case_id: str) -> None:
        """Remove what a crashed case left on the cluster.

        Raises:
            ClusterError: something stays; says what.
        """
        remove_case(self._config, self.connected(), self._run.plan.by_id()[case_id])

    def _sweep(self) -> None:
        """Delete what carries our run id; what cannot be deleted is named at the end of the output."""
        from pytest_modelrt.cluster.sweep import Wanted, sweep

        if self._simulator is not None and not self._simulator.started:
            return
        stopped = self._run.interrupted.is_set()
        try:
            self.swept = sweep(
                self.connected(),
                Wanted(run_id=self._run.run_id),
                at_most=STOP_SECONDS if stopped else None,
                tell=say_deleted if stopped else lambda line: None,
            )
        except ClusterError as error:
            self.sweep_trouble = str(error)
        except KeyboardInterrupt:
            self.sweep_trouble = "stopped while sweeping"

    @property
    def clock(self) -> Clock:
        """The cluster's; real time at its speed when it does not answer."""
        try:
            return self.connected().clock
        except ClusterError:
            return ScaledClock(self._target.speed)

    def connected(self) -> Cluster:
        """The cluster of this run, as the controller uses it."""
        if self._cluster is None:
            self._cluster = connect(self._run)
        return self._cluster

    def _write(self, kind: EventKind) -> None:
        journal_of(self._config).record(StageEvent(time=rfc3339(utc_now()), kind=kind))
