"""Runs that continue where others ended, also those that were killed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.journal.alive import await_writers
from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.results import ResultsStore
from pytest_modelrt.journal.resume import carried_of
from pytest_modelrt.journal.rundir import find_run, list_runs
from tests.selftest.plugin.conftest import CONFIG
from tests.selftest.plugin.live import REAL_SECONDS, Live
from tests.selftest.reporting.read_summary import read
from tests.selftest.reporting.test_html import Outline

KILLS = int(os.environ.get("MODELRT_TEST_KILLS", "2"))
MODELRT = str(Path(sys.executable).with_name("modelrt"))


@pytest.fixture
def tree(campaign: pytest.Pytester) -> Path:
    """A config tree of the project's own, with the files of the small models."""
    tree = campaign.path / "tree"
    for place in ("models/HuggingFaceTB", "runtimes/srt/HuggingFaceTB", "samples/isvc/HuggingFaceTB"):
        shutil.copytree(CONFIG / place, tree / place)
    for name in ("plan.yaml", "campaign.yaml"):
        shutil.copy(CONFIG / name, tree / name)
    return tree


def outcomes(project: pytest.Pytester) -> dict[str, Outcome]:
    """Model -> outcome in the latest run."""
    verdicts = read_run(find_run(project.path / "pages")).verdicts
    return {case.partition("/")[2]: verdict.outcome for case, verdict in verdicts.items()}


def test_only_what_changed_is_run_again(campaign: pytest.Pytester, live: Live, tree: Path) -> None:
    arguments = ["-k", "SmolLM-135M or SmolLM-1.7B", f"--modelrt-kubeconfig={live.kubeconfig}"]
    arguments += [f"--modelrt-config={tree}", "--modelrt-resume", "-n", "2"]
    campaign.runpytest_subprocess(*arguments, "--modelrt-run-id=first").assert_outcomes(passed=2)
    service = tree / "samples/isvc/HuggingFaceTB/smollm-135m.yaml"
    service.write_text(service.read_text() + "# looked at\n")
    result = campaign.runpytest_subprocess(*arguments, "--modelrt-run-id=second", "--junitxml=junit.xml")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["1 passed, 1 carried-over of 2", "carried over, not run again: 1 passed (run first)"], consecutive=True
    )
    assert outcomes(campaign) == {"SmolLM-135M": Outcome.PASSED, "SmolLM-1.7B": Outcome.CARRIED_OVER}
    second = read_run(campaign.path / "pages/runs/second")
    assert second.to_be_carried == {"HuggingFaceTB/SmolLM-1.7B"}
    result.stdout.fnmatch_lines("modelrt: 1 case in * cluster minutes*")
    result.stdout.no_fnmatch_line("*downloaded ahead*")
    carried = carried_of(second.verdicts["HuggingFaceTB/SmolLM-1.7B"])
    assert carried is not None
    assert (carried.run_id, carried.outcome) == ("first", "passed")
    assert f"carried over: passed in run first on {carried.finished[:10]}" in (campaign.path / "junit.xml").read_text()
    html = (campaign.path / "pages/index.html").read_text()
    assert f"Not run again for the same inputs: passed in run first on {carried.finished[:10]}." in html
    assert "Nothing failed, 1 of 2 passed" in html
    assert "not results of this run:</b> 1 passed (run first)" in html
    store = ResultsStore.open(campaign.path / "pages")
    assert [(item.run_id, item.name) for item in store.attempts[2:]] == [("second", "SmolLM-135M")]
    assert read(campaign.path / "pages/test-results-summary.md").stats["Passed"] == "2"


def test_what_failed_for_the_same_inputs_is_carried_over_and_an_error_is_not(campaign: pytest.Pytester) -> None:
    (campaign.path / "faults.yaml").write_text(
        "models:\n- {match: smollm-135m, hub: {gated: true, licence_accepted: false}}\n"
        "- {match: smollm-360m, download: stuck}\n"
    )
    arguments = ["-k", "SmolLM-135M or SmolLM-360M", "--modelrt-speed=240", "--modelrt-resume"]
    arguments += ["--modelrt-scenario=faults.yaml", "-n", "2"]
    campaign.runpytest_subprocess(*arguments).assert_outcomes(skipped=1, errors=1)
    campaign.runpytest_subprocess(*arguments).assert_outcomes(skipped=1, errors=1)
    assert outcomes(campaign) == {"SmolLM-135M": Outcome.CARRIED_OVER, "SmolLM-360M": Outcome.ERROR}


def test_killed_at_any_moment(campaign: pytest.Pytester, live: Live) -> None:
    pages = campaign.path / "pages"
    dice = random.Random(20260131)
    command = [sys.executable, "-m", "pytest", f"--modelrt-kubeconfig={live.kubeconfig}", "--modelrt-resume", "-q"]
    command += ["-k", "SmolLM-135M or SmolLM-1.7B or Qwen2.5-0.5B or Qwen3-0.6B", "-n", "2"]
    for number in range(KILLS):
        run_id = f"killed-{number}"
        process = subprocess.Popen(
            [*command, f"--modelrt-run-id={run_id}"],
            cwd=campaign.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _await_lines(process, pages / "runs" / run_id, dice.randint(1, 80))
        with suppress(ProcessLookupError):  # it may have ended by itself
            if dice.random() < 0.5:
                os.kill(process.pid, signal.SIGKILL)  # workers live on for some seconds
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _check_pages(campaign, run_id)
    last = campaign.runpytest_subprocess(*command[3:], "--modelrt-run-id=last")
    assert last.ret == pytest.ExitCode.OK
    passed = Counter(
        case
        for run in list_runs(pages)
        for case, verdict in read_run(run).verdicts.items()
        if verdict.outcome is Outcome.PASSED
    )
    assert sorted(passed.values()) == [1, 1, 1, 1]
    assert live.ours() == []
    assert read(pages / "test-results-summary.md").stats["Passed"] == "4"


def _await_lines(process: subprocess.Popen[bytes], run_dir: Path, count: int) -> None:
    """Wait until the run's journals have so many lines, or the run has ended."""
    clock = ScaledClock()
    deadline = Deadline(clock, REAL_SECONDS)
    while process.poll() is None and not deadline.expired:
        if sum(path.read_bytes().count(b"\n") for path in run_dir.glob("events-*.jsonl")) >= count:
            return
        clock.sleep(0.02)


def _await_killed(run_dir: Path) -> None:
    """Wait until the page says so, or the run came to its end before it could be killed."""
    page, clock = run_dir / "index.html", ScaledClock()
    deadline = Deadline(clock, REAL_SECONDS)
    while not page.exists() or re.search("<b>Incomplete.</b> (?!The run was killed:)", page.read_text()):
        assert not deadline.expired, "nobody finished the page"
        clock.sleep(0.1)


def _check_pages(project: pytest.Pytester, run_id: str) -> None:
    """Without anybody's doing, page, Markdown and results are what the journal says, and say the same."""
    pages = project.path / "pages"
    _await_killed(pages / "runs" / run_id)
    assert await_writers(pages / "runs" / run_id, REAL_SECONDS)
    assert "up to date" in _modelrt(project, "report", "--run", run_id)
    for page in pages.glob("runs/*/index.html"):
        assert Outline(page.read_text()).stack == []
    assert not list(pages.rglob("*.tmp"))
    data = json.loads(_modelrt(project, "report", "--run", run_id, "--format", "json"))
    verdicts = {entry["case"]: entry["verdict"]["outcome"] for entry in data["cases"]}
    html = (pages / "runs" / run_id / "index.html").read_text()
    assert data["complete"] is ("<b>Incomplete.</b>" not in html)
    rows = re.findall(r'<tr data-o="([\w-]+)" data-v="([^"]*)".*?<a href="#[^"]*">([^<]*)</a>', html)
    assert {
        f"{vendor}/{name}": state for state, vendor, name in rows if state not in ("waiting", "running")
    } == verdicts
    summary = read(pages / "test-results-summary.md")
    summary.assert_adds_up()
    passed = {item.case for item in ResultsStore.open(pages).latest() if item.verdict.outcome is Outcome.PASSED}
    assert {case for case, outcome in verdicts.items() if outcome == "passed"} <= passed
    assert summary.stats["Passed"] == str(len(passed))
    assert _modelrt(project, "report", "--run", run_id, "--format", "html") == _modelrt(
        project, "report", "--run", run_id, "--format", "html"
    )


def _modelrt(project: pytest.Pytester, *arguments: str) -> str:
    command = [MODELRT, *arguments, "--config", str(CONFIG), "--reports", "pages"]
    return subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=True).stdout
