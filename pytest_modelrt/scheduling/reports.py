"""Reports for tests that no worker will report."""

from __future__ import annotations

from typing import Literal

import pytest

NEVER = "it can never start"


def report_error(config: pytest.Config, nodeid: str, text: str) -> None:
    """Publish an error."""
    _publish(config, nodeid, "failed", text)


def report_not_run(config: pytest.Config, nodeid: str, why: str) -> None:
    """Publish a skip."""
    _publish(config, nodeid, "skipped", (nodeid.partition("::")[0], 0, f"Skipped: not run: {why}"))


def reason_of(report: pytest.TestReport) -> str:
    """Why a test that never started was not run, as its report says."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return str(text).removeprefix("Skipped: ")


def _publish(
    config: pytest.Config, nodeid: str, outcome: Literal["failed", "skipped"], longrepr: str | tuple[str, int, str]
) -> None:
    file = nodeid.partition("::")[0]
    report = pytest.TestReport(nodeid, (file, None, nodeid), {}, outcome, longrepr, "setup")
    config.hook.pytest_runtest_logreport(report=report)
