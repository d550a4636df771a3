"""Several runs side by side, a run as it goes on, and what CI systems are told."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from junitparser import JUnitXml

from pytest_modelrt.cli import main
from pytest_modelrt.clock import rfc3339
from pytest_modelrt.journal.alive import hold
from pytest_modelrt.journal.model import EventKind, Outcome, Stage, StageEvent
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.resume import Carried, carried_verdict
from pytest_modelrt.journal.trace import BEGUN, COMPLETE
from pytest_modelrt.journal.writer import JournalWriter
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.reporting import junit
from pytest_modelrt.reporting.github import MOST_ANNOTATIONS, annotations_of, step_summary
from pytest_modelrt.reporting.live import Expected, LiveState, live_state
from pytest_modelrt.reporting.live_text import frame, plain, status_line
from pytest_modelrt.reporting.numbers import epoch
from pytest_modelrt.reporting.pages import RunPages
from pytest_modelrt.reporting.tracking_md import NOT_SUPPORTED
from tests.selftest.reporting.campaign import START, TROUBLES, Clockwork, some_troubles
from tests.selftest.reporting.conftest import CONFIG
from tests.selftest.reporting.junit_rules import problems

NASTY = "boom \x00\x1b[31m\ud83d \U0001f4a5 ]]> <b>&amp; " + "x" * 200_000


@pytest.fixture
def two_runs(tmp_path: Path, plan: Plan, campaign: Campaign) -> Path:
    """First: case 1 fails. Second: 1 passes, 2 fails."""
    cases = plan.cases[:4]
    for day, (run_id, unlucky) in enumerate((("run-a", cases[1]), ("run-b", cases[2]))):
        started = START + timedelta(days=day)
        run = Clockwork(tmp_path, cases, {unlucky.id: TROUBLES[1]}, run_id=run_id, started=started)
        run.write()
        run.finish()
        RunPages(tmp_path, plan, campaign, run.directory).update()
    return tmp_path


def test_two_runs_are_compared(two_runs: Path, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    fixed, broken = plan.cases[1].id, plan.cases[2].id
    assert main(["compare", "run-a", "run-b", "--reports", str(two_runs)]) == 1
    text = capsys.readouterr().out
    assert f"New failures (1): failed now, passed or undecided before\n  {broken}: passed -> failed cuda-oom" in text
    assert f"Fixed (1): passed now, failed before\n  {fixed}: failed cuda-oom -> passed" in text
    assert "Unchanged: 2 cases" in text
    assert main(["compare", "run-b", "run-b", "--reports", str(two_runs), "--format", "md"]) == 0
    assert f"| `{broken}` | failed cuda-oom | failed cuda-oom | - |" in capsys.readouterr().out
    assert main(["compare", "nope", "--reports", str(two_runs)]) == 4
    assert capsys.readouterr().err.startswith("modelrt compare: ")


def test_what_was_carried_over_was_not_lost(
    two_runs: Path, plan: Plan, campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    case = plan.cases[0]
    run = Clockwork(two_runs, [case], {}, run_id="run-c", started=START + timedelta(days=3))
    with JournalWriter(run.directory) as journal:
        now = rfc3339(run.started)
        journal.verdict(carried_verdict(case, Carried(case.id, "passed", "run-b", now, None, ""), "key", now))
    run.finish()
    assert main(["compare", "run-b", "run-c", "--reports", str(two_runs)]) == 0
    said = capsys.readouterr().out
    assert f"Carried over, not run again: 1 cases: {case.id}\nOnly before: 3 cases: " in said


def test_the_history_of_a_model_is_a_line_per_run(
    two_runs: Path, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    case = plan.cases[1]
    assert main(["history", case.name.lower().replace(".", "-"), "--reports", str(two_runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(case.id)
    assert [line.split()[0] for line in lines[1:4]] == ["run", "run-a", "run-b"]
    assert "fixed (had failed since run run-a)" in lines[3]
    assert main(["history", "no-such-model", "--reports", str(two_runs)]) == 1
    assert main(["history", "x", "--reports", str(two_runs / "nowhere")]) == 4


def test_pages_say_what_changed(two_runs: Path, plan: Plan) -> None:
    html = (two_runs / "index.html").read_text()
    assert 'data-value="new failure">1 new failure</button>' in html
    assert 'data-value="fixed">1 fixed</button>' in html
    assert "new failure (passed in run run-a)" in (two_runs / "failed-models.md").read_text()
    vendor = (two_runs / f"{plan.cases[1].vendor.lower()}-results.md").read_text()
    assert "**Since earlier runs**: fixed (had failed since run run-a)" in vendor


def test_rendering_again_gives_the_same_bytes(two_runs: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for form in ("json", "html", "junit"):
        command = ["report", "--config", str(CONFIG), "--reports", str(two_runs), "--run", "run-a", "--format", form]
        assert main(command) == 0
        first = capfdbinary.readouterr().out
        assert main(command) == 0
        assert capfdbinary.readouterr().out == first != b""


def test_the_tracking_page_adds_up(two_runs: Path, plan: Plan) -> None:
    page = (two_runs / "test-tracking.md").read_text()
    assert "**Total Models**: 157 | **Total Runtimes**: 157" in page
    assert "| ✅ Passed | 3 | 1.9% |" in page
    assert "| 🔲 Not Tested | 153 | 97.5% |" in page
    assert page.count("\n| ") > 157
    assert "| CUDA OOM | 1 | " in page
    tables = re.findall(r"^### (.*) \((\d+)\)$", page, re.MULTILINE)
    assert [title for title, _ in tables] == ["Text", "Vision", "Embedding, rerank, reward", NOT_SUPPORTED]
    architectures = {case.architecture for case in plan.cases}
    assert sum(int(count) for _, count in tables) == len(architectures)


def test_what_the_engine_cannot_load_has_a_table_of_its_own(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    phi = [case for case in plan.cases if case.architecture == "PhiForCausalLM"]
    run = Clockwork(tmp_path, phi, {case.id: TROUBLES[0] for case in phi})
    run.write()
    RunPages(tmp_path, plan, campaign, run.directory).update()
    table = (tmp_path / "test-tracking.md").read_text().split(f"### {NOT_SUPPORTED} (1)")[1].split("---\n\n##")[0]
    assert "| PhiForCausalLM | 2 | 0 | 2 | crashloop-missing-module |" in table


def snapshot(run: Clockwork, plan: Plan, campaign: Campaign, seconds: float = 20.0) -> LiveState:
    view = read_run(run.directory)
    now = epoch(view.last_time) + seconds
    return live_state(view, plan.by_id(), campaign, now=now, alive=True, expected=Expected({}, 600.0))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 8)])
def test_the_status_block_fits(tmp_path: Path, plan: Plan, campaign: Campaign, width: int, height: int) -> None:
    run = Clockwork(tmp_path, plan.cases, {plan.cases[0].id: TROUBLES[0]})
    run.write(20)
    moment = StageEvent("2026-01-31T12:09:00.000Z", EventKind.CASE_STARTED)
    with JournalWriter(run.directory, "gw0") as worker:
        for case in plan.cases[30:55]:
            worker.record(replace(moment, case=case.id))
            worker.record(replace(moment, kind=EventKind.STAGE_STARTED, case=case.id, stage=Stage.MODEL))
    state = snapshot(run, plan, campaign)
    lines = [plain(line) for line in frame(state, width, height, datetime.now(UTC))]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "modelrt 20260131-120000-abcdef  running" in lines[0]
    assert status_line(state).startswith("20260131-120000-abcdef running: 20 of 157 (19 passed, 1 failed), 25 running")
    if height >= 24:
        assert "Running (25)" in lines
        assert any("more" in line for line in lines) is (height < 60)


def test_the_counts_are_whole_in_a_narrow_terminal(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    run = Clockwork(tmp_path, plan.cases, some_troubles(plan.cases))
    run.write()
    bar = plain(frame(snapshot(run, plan, campaign), 80, 24, datetime.now(UTC))[2])
    assert bar.endswith(" 157/157  135 passed  12 failed  5 no verdict  5 skipped")


def test_downloads_ahead_are_shown_until_they_are_there(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    run = Clockwork(tmp_path, plan.cases, {})
    first, second = plan.cases[0], plan.cases[1]
    moment = StageEvent("2026-01-31T12:09:00.000Z", EventKind.OBSERVATION, data={"what": BEGUN})
    with JournalWriter(run.directory) as controller:
        for case in (first, second):
            controller.record(replace(moment, case=case.id))
        controller.record(replace(moment, case=first.id, data={"what": COMPLETE}))
    view = read_run(run.directory)
    expected = Expected({second.id: 2000.0})
    state = live_state(view, plan.by_id(), campaign, now=epoch(view.last_time) + 5, alive=True, expected=expected)
    assert [(item.case, item.ahead, item.eta) for item in state.downloads] == [(second.id, True, 1700.0)]
    assert any(second.name in line and "ahead  28 min left" in line for line in block(state))
    assert state.running == ()


def block(state: LiveState) -> list[str]:
    return [plain(line) for line in frame(state, 120, 40, datetime.now(UTC))]


def test_downloads_have_a_speed_and_an_end(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    case = plan.cases[0]
    run = Clockwork(tmp_path, [case], {})
    size = case.weights_bytes
    with JournalWriter(run.directory, "gw0") as worker:
        for kind, second, data in (
            (EventKind.CASE_STARTED, 0, {}),
            (EventKind.STAGE_STARTED, 0, {}),
            (EventKind.OBSERVATION, 1, {"what": "download-progress", "updating": 2, "completed_bytes": 0}),
            (EventKind.OBSERVATION, 2, {"what": "download-progress", "updating": 2, "completed_bytes": size}),
            (EventKind.BREAKER, 2, {"state": "open", "cause": "hub-away"}),
        ):
            stage = None if kind in (EventKind.CASE_STARTED, EventKind.BREAKER) else Stage.MODEL
            case_id = None if kind is EventKind.BREAKER else case.id
            worker.record(StageEvent(f"2026-01-31T12:00:0{second}.000Z", kind, case_id, 1, stage, None, data))
    state = snapshot(run, plan, campaign)
    (download,) = state.downloads
    assert download.speed == pytest.approx(size / 60)
    assert download.eta == pytest.approx(60.0)
    assert state.breaker == "open: hub-away since 12:00:02 UTC"


def test_watch_tells_running_from_killed_and_finished(
    tmp_path: Path, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Clockwork(tmp_path, plan.cases[:3], {})
    run.write(2)
    command = ["watch", "--once", "--config", str(CONFIG), "--reports", str(tmp_path)]
    with hold(run.directory):
        assert main(command) == 0
        assert "running" in capsys.readouterr().out.splitlines()[0]
    assert main(command) == 0
    assert "killed" in capsys.readouterr().out.splitlines()[0]
    run.finish()
    assert main(command[:1] + command[2:]) == 0
    assert "finished: 2 of 3 (2 passed), 0 running" in capsys.readouterr().out


def test_annotations_point_at_the_manifest(tmp_path: Path, plan: Plan) -> None:
    case = plan.cases[0]
    trouble = replace(TROUBLES[1], summary="CUDA: out, of\nmemory 100%")
    run = Clockwork(tmp_path, [case], {case.id: trouble})
    run.write()
    (verdict,) = read_run(run.directory).verdicts.values()
    verdict = replace(verdict, facts={"files": {"runtime": "runtimes/x-rt.yaml"}})
    (mark,) = annotations_of([verdict], "config", lambda path: "a:\n- --mem-fraction-static\n- nvidia.com/gpu: 1\n")
    assert mark.command().startswith(
        f"::error file=config/runtimes/x-rt.yaml,line=2,title={case.id}%3A cuda-oom::CUDA: out, of%0Amemory 100%25"
    )
    many = [replace(verdict, case=f"v/{number}") for number in range(25)]
    marks = annotations_of(many, "config", lambda path: "")
    assert len(marks) == MOST_ANNOTATIONS
    assert marks[-1].title == "16 more"
    named = replace(verdict, cause="config-invalid", summary="config/models/a.yaml:7: spec: no such field")
    assert (annotations_of([named], "", lambda path: "")[0].file, 7) == ("config/models/a.yaml", 7)
    summary = step_summary(run.info, [*many, verdict], {}, "")
    assert "| failed |\n| --- |\n| 26 |" in summary
    assert "CUDA: out, of memory 100%" in summary


def test_junit_is_accepted_whatever_an_engine_says(tmp_path: Path, plan: Plan) -> None:
    cases = plan.cases[:4]
    trouble = replace(TROUBLES[0], summary=NASTY, hint=NASTY, source=NASTY)
    ends = (Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED)
    run = Clockwork(
        tmp_path, cases, {case.id: replace(trouble, outcome=end) for case, end in zip(cases, ends, strict=False)}
    )
    run.write()
    data = junit.render(read_run(run.directory), plan.by_id())
    assert len(data) < 200_000
    assert problems(data) == []
    (suite,) = list(JUnitXml.fromstring(data))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 1, 1)
    assert "\U0001f4a5" in data.decode()
    assert all(str(test.get("classname")).startswith("modelrt.") for test in ET.fromstring(data).iter("testcase"))


def test_the_rules_of_junit_are_rules() -> None:
    text = """<testsuites><testsuite name="a" tests="2" failures="0" errors="1" timestamp="2026-01-31T12:00:00+00:00">
        <testcase name="b" time="1e-3" file="x.py"><properties/></testcase><testcase name="b"><failure/></testcase>
        </testsuite></testsuites>"""
    assert problems(text.encode()) == [
        "timestamp 2026-01-31T12:00:00+00:00",
        "<testcase file>",
        "<properties> in <testcase>",
        "time 1e-3",
        "<failure> without text: GitLab shows nothing else",
        "failures 0 of 1",
        "errors 1 of 0",
        "skipped None of 0",
        "GitLab shows only the first of (None, 'b')",
    ]
