"""What pytest says about a case: failed for the model's fault, error for anybody else's, wherever it was found."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_modelrt.cluster.model import ClusterError
from pytest_modelrt.journal.model import Outcome, Verdict
from pytest_modelrt.redaction import redact
from pytest_modelrt.stages.life import CaseLife

LIFE = pytest.StashKey[CaseLife]()
VERDICT = pytest.StashKey[Verdict]()
REPORT_ATTRIBUTE = "modelrt_verdict"
"""On the teardown report: the verdict as plain data, for the controller."""


class Outcomes:
    """Adjusts the reports of cases."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put phase, location and verdict right."""
        report = yield
        life, verdict = item.stash.get(LIFE, None), item.stash.get(VERDICT, None)
        if call.when == "teardown" and verdict is not None:
            setattr(report, REPORT_ATTRIBUTE, verdict.as_data())
        if life is None and verdict is not None:
            _place(report, item, verdict.outcome)
        if life is None or call.when == "teardown":
            return report
        if life.record.ended is not None:
            _place(report, item, life.record.ended.outcome)
        elif call.excinfo is not None and not hasattr(report, "wasxfail"):
            _note_body(life, item, report, call)
        return report


def _place(report: pytest.TestReport, item: pytest.Item, outcome: Outcome) -> None:
    """pytest tells failure and error apart by phase only: a model's fault counts as found in the call."""
    if report.failed:
        report.when = "call" if outcome is Outcome.FAILED else "setup"
    elif report.skipped and isinstance(report.longrepr, tuple):
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, report.longrepr[2])


def _note_body(life: CaseLife, item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """The test's own code ended the case; what the cluster refused it says nothing about the model."""
    raised = call.excinfo.value if call.excinfo is not None else None
    blamed = Outcome.ERROR if call.when != "call" or isinstance(raised, ClusterError) else Outcome.FAILED
    outcome = Outcome.SKIPPED if report.skipped else blamed
    text = call.excinfo.exconly(tryshort=True) if call.excinfo is not None else ""
    life.note_body(outcome, " ".join(redact(text).split())[:500])
    if report.failed:
        _place(report, item, outcome)
