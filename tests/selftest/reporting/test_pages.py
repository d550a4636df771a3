from __future__ import annotations

import multiprocessing
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.results import ResultsStore
from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.reporting.pages import RunPages, write_pages
from tests.selftest.reporting.campaign import START, TROUBLES, Clockwork, some_troubles
from tests.selftest.reporting.conftest import CONFIG
from tests.selftest.reporting.read_summary import read

SUMMARY = "test-results-summary.md"


def markdown(reports: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in reports.glob("*.md")}


def test_nothing_tested_yet(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    write_pages(tmp_path, plan, campaign, ResultsStore.open(tmp_path), None)
    summary = read(tmp_path / SUMMARY)
    summary.assert_adds_up()
    assert summary.stats["Total Models"] == "157"
    assert summary.stats["Not Tested"] == "157"
    assert summary.stats["Pass Rate"] == "0.0%"
    assert len(summary.vendors) == 45
    rows = [row for rows in summary.vendors.values() for row in rows]
    assert all(row[1:] == ["⏳ Not Tested", "-", "-"] for row in rows)
    assert summary.headings[:8] == [
        "# Model Test Results Summary",
        "## Quick Stats",
        "## Results by Status",
        "### Passed Models",
        "### Failed Models",
        "### Skipped Models (Gated/Access Issues)",
        "## Results by Vendor",
        "### adept (0/1)",
    ]
    assert summary.headings[-3:] == ["## Status Legend", "## How to Update This Summary", "## Test Execution Log"]


def test_a_whole_campaign_adds_up_and_is_idempotent(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    run = Clockwork(tmp_path, plan.cases, some_troubles(plan.cases))
    run.write()
    run.finish()
    RunPages(tmp_path, plan, campaign, run.directory).update()
    summary = read(tmp_path / SUMMARY)
    summary.assert_adds_up()
    assert len(summary.log) == 157
    assert summary.stats["Passed"] == str(157 - len(some_troubles(plan.cases)))
    before = markdown(tmp_path)
    assert len(before) == 45 + 3
    assert RunPages(tmp_path, plan, campaign, run.directory).update() == []
    assert markdown(tmp_path) == before


def test_rendering_after_every_case_gives_the_same_bytes_as_once_at_the_end(
    tmp_path: Path, plan: Plan, campaign: Campaign
) -> None:
    cases = plan.cases[:40]
    whole, step = tmp_path / "whole", tmp_path / "step"
    run = Clockwork(whole, cases, some_troubles(cases))
    run.write()
    RunPages(whole, plan, campaign, run.directory).update()
    twin = Clockwork(step, cases, some_troubles(cases))
    pages = RunPages(step, plan, campaign, twin.directory)
    lines = {path.name: path.read_bytes().splitlines(keepends=True) for path in run.directory.glob("events-*")}
    verdicts = sorted(
        (line.split(b'"time":"')[1][:24], name, place)
        for name, found in lines.items()
        for place, line in enumerate(found)
        if b'"kind":"verdict"' in line
    )
    for _, name, place in verdicts:
        (twin.directory / name).write_bytes(b"".join(lines[name][: place + 1]))
        pages.update()
        read(step / SUMMARY).assert_adds_up()
    pages.flush()
    assert markdown(step) == markdown(whole)


def test_a_run_of_one_vendor_leaves_the_others_alone(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    first = Clockwork(tmp_path, plan.cases, some_troubles(plan.cases))
    first.write()
    RunPages(tmp_path, plan, campaign, first.directory).update()
    before, pages = read(tmp_path / SUMMARY), markdown(tmp_path)
    qwen = [case for case in plan.cases if case.vendor == "Qwen"]
    second = Clockwork(tmp_path, qwen, {}, run_id="20260201-120000-000000", started=START + timedelta(days=1))
    second.write()
    RunPages(tmp_path, plan, campaign, second.directory).update()
    after = read(tmp_path / SUMMARY)
    after.assert_adds_up()
    assert {name: rows for name, rows in after.vendors.items() if name != "Qwen"} == {
        name: rows for name, rows in before.vendors.items() if name != "Qwen"
    }
    assert all(row[1] == "✅ Passed" and row[2] == "2026-02-01" for row in after.vendors["Qwen"])
    assert after.log[:157] == before.log
    assert len(after.log) == 157 + 25
    changed = {name for name, data in markdown(tmp_path).items() if pages[name] != data}
    assert changed == {SUMMARY, "qwen-results.md", "failed-models.md", "test-tracking.md"}


def gpus_held(reports: Path) -> dict[str, str]:
    """Rows of the timeline in the summary, by name."""
    text = (reports / SUMMARY).read_text(encoding="utf-8").partition("## GPUs Held")[2].partition("\n---")[0]
    fence = text.split("```")[1].removeprefix("text\n") if "```" in text else ""
    return {line.split()[0]: line for line in fence.splitlines()}


def test_the_summary_shows_the_gpus_held_per_tier(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    write_pages(tmp_path, plan, campaign, ResultsStore.open(tmp_path), None)
    assert gpus_held(tmp_path) == {}
    run = Clockwork(tmp_path, plan.cases, {})
    run.write()
    RunPages(tmp_path, plan, campaign, run.directory).update()
    rows = gpus_held(tmp_path)
    assert list(rows) == ["gpu1", "gpu2", "gpu4", "gpu8", "all"]
    bars = {name: row.split()[1] for name, row in rows.items()}
    assert {len(bar) for bar in bars.values()} == {60}
    latest = read_run(run.directory).latest
    small = [latest[case.id] for case in plan.cases if case.gpus == 1]
    stays = [(s.started, trace.finished or "~") for trace in small for s in trace.spans if s.stage is Stage.SERVICE]
    most = max(sum(start <= moment < end for start, end in stays) for moment, _ in stays)
    assert rows["gpu1"].endswith(f"peak {most}")
    assert "·" in bars["gpu8"]
    one = next(case for case in plan.cases if case.gpus == 1)
    second = Clockwork(tmp_path, [one], {}, run_id="20260201-120000-000000", started=START + timedelta(days=1))
    second.write()
    RunPages(tmp_path, plan, campaign, second.directory).update()
    assert list(gpus_held(tmp_path)) == ["gpu1", "all"], "the latest run's"


def test_an_infrastructure_error_is_no_verdict(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    case = plan.cases[0]
    run = Clockwork(tmp_path, [case], {case.id: TROUBLES[3]})
    run.write()
    RunPages(tmp_path, plan, campaign, run.directory).update()
    summary = read(tmp_path / SUMMARY)
    row = summary.vendors[case.vendor][0]
    assert row[1] == "⏳ Not Tested"
    assert row[3].startswith("infra: download-stuck - no byte arrived")
    assert "&lt;b>bold" in row[3]
    assert summary.log[0][3].startswith("⏳ Incomplete - infra: download-stuck")
    failed = (tmp_path / "failed-models.md").read_text()
    assert failed.startswith("# Failed Models\n\n1 case without a verdict, 1 cause.\n")
    assert "configmap ome/node-1: no byte arrived" in failed
    assert "runs/20260131-120000-abcdef" in failed


def test_the_vendor_page_has_every_measurement(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    cases = [case for case in plan.cases if case.vendor == "Qwen"][:8]
    run = Clockwork(tmp_path, cases, {cases[1].id: TROUBLES[1]})
    run.write()
    RunPages(tmp_path, plan, campaign, run.directory).update()
    page = (tmp_path / "qwen-results.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("#") and not line.startswith("# the")]
    assert headings[:3] == ["# Qwen Test Results", "## Summary", "## Detailed Results"]
    assert headings[-1] == "## Notes"
    assert headings[3:-1] == [f"### {case.name}" for case in cases]
    blocks = ["**Config Files**", "**Test Steps**", "**Resource Usage**", "**Issues Encountered**", "**Cleanup**"]
    section = page[page.index(f"### {cases[0].name}") : page.index(f"### {cases[1].name}")]
    assert [section.index(block) for block in blocks] == sorted(section.index(block) for block in blocks)
    assert "Time to Ready:" in section
    assert "Response Time: 120 ms (chat completions endpoint)" in section
    assert "curl -s http://localhost:8080/v1/chat/completions" in section
    assert "it'\"'\"'s <me>" in section  # a quote in the request survives the shell
    assert f"kubectl delete clusterbasemodel {cases[0].resource_name}" in section
    failed = page[page.index(f"### {cases[1].name}") : page.index(f"### {cases[2].name}")]
    assert "`cuda-oom` in stage service, owner config" in failed
    assert "5. Inference Test\n   - Status: ⏳ Not reached" in failed
    assert "log engine pod/engine-0 container/ome-container: torch.OutOfMemoryError" in failed
    assert "Not tested yet: " in page


def _campaign_of(reports: str, name: str, first: int) -> None:
    plan, campaign = load_plan(CONFIG), load_campaign(CONFIG)
    cases = plan.cases[first : first + 12]
    run = Clockwork(Path(reports), cases, some_troubles(cases), run_id=name)
    pages = RunPages(Path(reports), plan, campaign, run.directory)
    run.write(6)
    pages.update()
    run.write()
    pages.flush()


def test_two_controllers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_campaign_of, args=(str(tmp_path), f"run-{number}", number * 12)) for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    summary = read(tmp_path / SUMMARY)
    summary.assert_adds_up()
    assert summary.stats["Not Tested"] == str(157 - 36 + _errors(tmp_path))
    assert list(tmp_path.glob(".*.tmp")) == []


def _errors(reports: Path) -> int:
    return sum(result.verdict.outcome is Outcome.ERROR for result in ResultsStore.open(reports).latest())


def outside_the_plan(reports: Path, plan: Plan, campaign: Campaign, name: str) -> RunPages:
    known = plan.cases[0]
    run = Clockwork(reports, [known], {})
    run.write()
    for path in run.directory.glob("events-*"):
        path.write_bytes(path.read_bytes().replace(known.id.encode(), name.encode()))
    pages = RunPages(reports, plan, campaign, run.directory)
    pages.update()
    return pages


def test_a_case_outside_the_plan_gets_its_rows_too(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    outside_the_plan(tmp_path, plan, campaign, "somebody/model-a")
    summary = read(tmp_path / SUMMARY)
    summary.assert_adds_up()
    assert summary.stats["Total Models"] == "158"
    assert summary.vendors["somebody"][0][:2] == ["model-a", "✅ Passed"]
    assert (tmp_path / "somebody-results.md").exists()


def test_models_behind_the_gateway_count_apart(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    pages = outside_the_plan(tmp_path, plan, campaign, "maas/model-a")
    summary = read(tmp_path / SUMMARY)
    summary.assert_adds_up()
    assert (summary.stats["Total Models"], summary.stats["Passed"]) == ("157", "0")
    text = (tmp_path / SUMMARY).read_text(encoding="utf-8")
    section = text.partition("## Models Behind the Gateway\n")[2].partition("\n## ")[0]
    assert "| model-a | ✅ Passed | " in section
    assert text.count("| model-a |") == 1
    assert "maas" not in (tmp_path / "test-tracking.md").read_text(encoding="utf-8")
    assert (tmp_path / "maas-results.md").exists()
    assert pages.update() == []


@pytest.mark.parametrize("vendor", ["../../etc", "..", "a/b", ""])
def test_no_vendor_name_leaves_the_directory(tmp_path: Path, vendor: str) -> None:
    from pytest_modelrt.reporting.pages import Places

    assert Places.under(tmp_path).vendor_page(vendor).parent == tmp_path
