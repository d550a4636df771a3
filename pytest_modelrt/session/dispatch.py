"""The controller's traffic: which case starts when, what is downloaded ahead, and what became of the forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelrt.clock import ScaledClock
from pytest_modelrt.journal.model import EventKind, Verdict
from pytest_modelrt.scheduling.jobs import case_of
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.session.makespan import Makespan
from pytest_modelrt.session.notes import note
from pytest_modelrt.session.order import expected, in_order, predict
from pytest_modelrt.session.run import Run
from pytest_modelrt.session.status import StatusLine

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
            on_change=StatusLine(config),
        )
        return self._scheduling

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_auto_num_workers(self) -> int | None:
        """``-n auto``: as many as the limits let run at once; simulated, the processors count."""
        from pytest_modelrt.scheduling.xdist import auto_num_workers

        return None if self._run.simulated else auto_num_workers(self._run.campaign)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Without xdist the order of the run is the order of the items."""
        items[:] = in_order(items, self._run)

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Without xdist: the controller has begun the run, and the tests follow."""
        self._begin([item.nodeid for item in getattr(session, "items", ())])

    def _begin(self, nodeids: Sequence[str]) -> None:
        """The tests are known, nothing has started."""
        self._controller.begin(nodeids)
        if self.makespan is not None or self._controller.info is None:
            return
        prediction = predict(list(nodeids), self._run, self.workers)
        speed = self._controller.info.speed
        self.makespan = Makespan(prediction, ScaledClock(speed), Limits.of(self._run.campaign), self.workers)
        note(self._config, "forecast", prediction.as_data())

    def lines(self) -> list[str]:
        """What there is to say at the end."""
        return [line] if self.makespan is not None and (line := self.makespan.line()) else []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A case was handed out."""
        case = case_of(nodeid, self._run.plan.by_id())
        if case is not None and self.makespan is not None:
            self.makespan.begun(case.id)

    def pytest_modelrt_verdict(self, verdict: Verdict) -> None:
        """A case ended."""
        if self.makespan is not None:
            self.makespan.ended(verdict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Write down how the forecast did, and which objects a crash left for good."""
        if self.makespan is None:
            return
        note(self._config, "makespan", self.makespan.as_data())
        for case_id, why in self.leaks.items():
            said = {"text": f"its GPUs stayed taken: {why}"}
            note(self._config, "leak", said, case=case_id, kind=EventKind.WARNING)
