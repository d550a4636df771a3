"""Runs that are stopped or lose a process: the cluster is clean afterwards, and every case has a verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from tests.selftest.plugin.conftest import ENDLESS
from tests.selftest.plugin.live import REAL_SECONDS, Live

Start = Callable[..., "subprocess.Popen[str]"]
MODEL = ENDLESS
SERVICE = ENDLESS.lower()
OTHER = "SmolLM-135M"
"""Shorter, so it is handed out later, unless its download is over first."""


@pytest.fixture
def start(campaign: pytest.Pytester, live: Live) -> Iterator[Start]:
    """Starts pytest and comes back when the service of the first model is there."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pytest", f"--modelrt-kubeconfig={live.kubeconfig}", "--modelrt-run-id=cut"]
        process = subprocess.Popen(
            [*command, *arguments], cwd=campaign.path, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        live.await_service(SERVICE)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()
    live.await_nothing_of_ours()


def verdicts(project: pytest.Pytester) -> dict[str, str | None]:
    """Model -> cause of its verdict."""
    found = read_run(find_run(project.path / "pages")).verdicts
    return {case.rpartition("/")[2]: verdict.cause for case, verdict in found.items()}


def worker_of(project: pytest.Pytester, case: str) -> int:
    """Process id of the worker that runs ``case``: the one whose journal speaks about it."""
    run_dir = find_run(project.path / "pages")
    (name,) = {
        trace.worker for trace in read_run(run_dir).traces if trace.case.endswith(case) and trace.worker != "main"
    }
    return int((Path(project.path) / f"{name}.pid").read_text())


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]], ids=["alone", "xdist"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_nothing(
    campaign: pytest.Pytester, live: Live, start: Start, number: signal.Signals, arguments: list[str]
) -> None:
    process = start("-k", MODEL, *arguments)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=REAL_SECONDS)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert live.ours() == []
    assert verdicts(campaign) == {MODEL: "suite-interrupted"}


def test_cases_that_never_started_are_named(campaign: pytest.Pytester, start: Start) -> None:
    process = start("-k", f"{MODEL} or {OTHER}", "-n", "1", "--modelrt-prefetch=0")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=REAL_SECONDS)
    assert f"never started (1): HuggingFaceTB/{OTHER}" in output.splitlines(), output
    assert verdicts(campaign) == {MODEL: "suite-interrupted", OTHER: None}


def test_a_killed_worker_leaves_nothing_and_its_case_is_an_error(
    campaign: pytest.Pytester, live: Live, start: Start
) -> None:
    campaign.makeconftest(PID_FILES)
    process = start("-k", f"{MODEL} or {OTHER}", "-n", "2")
    os.kill(worker_of(campaign, MODEL), signal.SIGKILL)
    output, _ = process.communicate(timeout=REAL_SECONDS)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert "1 passed, 1 error" in output
    assert live.ours() == []
    assert verdicts(campaign) == {MODEL: "suite-interrupted", OTHER: None}


def test_a_killed_controller_is_swept_up_after(campaign: pytest.Pytester, live: Live, start: Start) -> None:
    campaign.makeconftest(PID_FILES)
    process = start("-k", MODEL, "-n", "1")
    os.kill(worker_of(campaign, MODEL), signal.SIGKILL)
    process.kill()
    process.communicate(timeout=REAL_SECONDS)
    assert live.ours()
    modelrt = Path(sys.executable).with_name("modelrt")
    command = [str(modelrt), "sweep", f"--kubeconfig={live.kubeconfig}", "--run-id=cut"]
    swept = subprocess.run(command, capture_output=True, text=True, check=False)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert live.ours() == []
    events = read_run(find_run(campaign.path / "pages"))
    assert not events.complete


PID_FILES = """
import os, pathlib

def pytest_sessionstart(session):
    worker = getattr(session.config, "workerinput", {}).get("workerid")
    if worker:
        (pathlib.Path(__file__).parent / f"{worker}.pid").write_text(str(os.getpid()))
"""
