"""Terminal table, JSON, JUnit, and the command that renders them again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_modelrt.cli import main
from pytest_modelrt.journal.model import Outcome, Stage, Verdict
from pytest_modelrt.plan.model import Plan
from pytest_modelrt.reporting.markdown import cell, cells_of, code, row, with_cell
from pytest_modelrt.reporting.terminal import outcome_table
from tests.selftest.reporting.campaign import Clockwork, some_troubles
from tests.selftest.reporting.conftest import CONFIG

PASSED = Verdict("Qwen/a", Outcome.PASSED, "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:10.500Z")
FAILED = replace(
    PASSED,
    case="Qwen/b",
    outcome=Outcome.FAILED,
    cause="cuda-oom",
    stage=Stage.SERVICE,
    owner="config",
    summary="CUDA out of memory. " + "x" * 100,
    hint="Ask for more GPUs.",
)


def test_the_terminal_table_fits_and_names_causes() -> None:
    many = [replace(FAILED, case=f"Qwen/{number}") for number in range(9)]
    skipped = replace(FAILED, case="meta/c", outcome=Outcome.SKIPPED, cause="download-gated", summary="\x1b[31m403\x07")
    warned = replace(PASSED, warnings=("router-no-workers: silent",))
    lines = outcome_table([warned, *many, skipped])
    assert all(len(line) <= 80 and line.isprintable() for line in lines)
    assert lines[0] == "1 passed, 9 failed (1 cause), 1 skipped (1 cause) of 11"
    assert lines[1] == "failed   cuda-oom (9), owner config"
    assert lines[8] == "    ... and 3 more"
    assert "    next: Ask for more GPUs." in lines
    assert lines[-1] == "warnings in 1 case: router-no-workers (1)"


def test_what_was_not_run_says_why_and_is_no_unknown_cause() -> None:
    why = "not run: the circuit breaker gave up: 3 canaries failed: platform-webhook-unavailable"
    spared = [replace(PASSED, case=f"Qwen/{n}", outcome=Outcome.NOT_RUN, summary=why) for n in range(30)]
    other = replace(spared[0], case="meta/x", summary="not run: same architecture (X) failed on meta/y")
    lines = outcome_table([*spared, other])
    assert lines[1:3] == [
        "not run (30): the circuit breaker gave up: 3 canaries failed:",
        "    platform-webhook-unavailable",
    ]
    assert lines[4:] == ["not run (1): same architecture (X) failed on meta/y", "    meta/x"]
    assert all(len(line) <= 80 for line in lines)
    assert outcome_table([other], quiet=True) == ["not run (1) same architecture (X) failed on meta/y: meta/x"]


def test_quiet_is_quiet() -> None:
    assert outcome_table([PASSED], quiet=True) == []
    assert outcome_table([], quiet=False) == []
    assert outcome_table([PASSED, FAILED], quiet=True) == ["failed   cuda-oom (1) Qwen/b"]


@pytest.fixture
def reports(tmp_path: Path, plan: Plan) -> Path:
    cases = plan.cases[:30]
    run = Clockwork(tmp_path / "reports", cases, some_troubles(cases))
    run.write(28)
    return tmp_path / "reports"


def report(capsys: pytest.CaptureFixture[str], reports: Path, *arguments: str) -> tuple[int, str, str]:
    status = main(["report", "--config", str(CONFIG), "--reports", str(reports), *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_json_is_whole_and_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], reports: Path, tmp_path: Path
) -> None:
    target = tmp_path / "run.json"
    status, _, _ = report(capsys, reports, "--format", "json", "--output", str(target))
    data = json.loads(target.read_bytes())
    assert status == 0
    assert (data["kind"], data["schema"], data["complete"]) == ("pytest-modelrt run", 1, False)
    assert data["counts"] == {"error": 1, "failed": 2, "passed": 24, "skipped": 1}
    assert len(data["cases"]) == 28
    assert len(data["without_verdict"]) == 2
    assert [cause["count"] for cause in data["causes"]] == [1, 1, 1, 1]
    assert data["cases"][0]["verdict"]["stages"]["model"] > 0


def test_html_is_one_document(capsys: pytest.CaptureFixture[str], reports: Path) -> None:
    status, out, _ = report(capsys, reports, "--format", "html")
    assert status == 0
    assert out.startswith("<!doctype html>")
    assert out.rstrip().endswith("</html>")


def test_junit_counts_what_it_holds(capsys: pytest.CaptureFixture[str], reports: Path) -> None:
    for path in (reports / "runs").glob("*/events-*"):
        path.write_bytes(path.read_bytes().replace(b"CUDA out", b"\\u0000\\u001b\\ud83d CUDA out"))
    status = main(["report", "--config", str(CONFIG), "--reports", str(reports), "--format", "junit"])
    suite = ElementTree.fromstring(capsys.readouterr().out).find("testsuite")
    assert status == 0
    assert suite is not None
    tests = suite.findall("testcase")
    assert suite.attrib["tests"] == str(len(tests)) == "28"
    for tag, counter in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert len(suite.findall(f"testcase/{tag}")) == int(suite.attrib[counter]) > 0
    failure = suite.find("testcase/failure[@type='cuda-oom']")
    assert failure is not None
    assert "hint: Lower --mem-fraction-static" in str(failure.text)
    names = set(re.findall(r"\[\[PROPERTY\|(\w+)=", str(tests[0].findtext("system-out"))))
    assert {"vendor", "gpus", "model_seconds", "service_seconds", "outcome"} <= names


def test_markdown_is_written_where_wanted(capsys: pytest.CaptureFixture[str], reports: Path, tmp_path: Path) -> None:
    places = ("--summary", str(tmp_path / "s.md"), "--vendor-dir", str(tmp_path / "v"), "--vendor-case", "keep")
    status, out, _ = report(capsys, reports, *places)
    assert status == 0
    assert str(tmp_path / "s.md") in out
    assert (tmp_path / "v" / "BAAI-results.md").exists()
    assert "up to date" in report(capsys, reports, *places)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--run", "zzz"], "no run 'zzz'"),
        (["--reports", "/nonexistent"], "/nonexistent/runs: no runs yet"),
        (["--config", "/nonexistent"], "/nonexistent"),
        (["--format", "json", "--output", "/proc/nope/x"], "/proc/nope"),
    ],
)
def test_what_cannot_be_rendered_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], reports: Path, arguments: list[str], words: str
) -> None:
    status, out, err = report(capsys, reports, *arguments)
    assert status == 4
    assert out == ""
    assert err.startswith("modelrt report: ")
    assert words in err
    assert err.count("\n") == 1


def test_a_corrupt_results_store_is_said_in_one_line(capsys: pytest.CaptureFixture[str], reports: Path) -> None:
    (reports / "results.jsonl").write_text("nonsense\n")
    status, _, err = report(capsys, reports)
    assert status == 4
    assert "results.jsonl: line 1: not a results file" in err


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a | b", r"a \| b"),
        (r"a \| b", r"a \| b"),
        ("<think>x</think> 1 < 2", "&lt;think>x&lt;/think> 1 < 2"),
        ("two\nlines\r\n\tand \u2028 more\x00", "two lines and more"),
        ("🚀 ok", "🚀 ok"),
    ],
)
def test_cells_stay_one_cell(text: str, escaped: str) -> None:
    assert cell(text) == escaped
    assert cells_of(row([cell(text), "b"])) == [escaped, "b"]


def test_padding_is_kept_where_it_can_be() -> None:
    assert with_cell("| a   | 7     |\r", 1, "12") == "| a   | 12    |\r"
    assert with_cell("| a | 7 |", 1, "1234") == "| a | 1234 |"
    assert code("a `b` c") == "`` a `b` c ``"
