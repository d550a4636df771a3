"""The campaign page: self-contained, honest while the run goes on, safe with whatever an engine says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_modelrt.clock import rfc3339
from pytest_modelrt.journal.history import Trends
from pytest_modelrt.journal.model import EventKind, StageEvent
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.results import ResultsStore, result_of
from pytest_modelrt.journal.trace import CLOCK
from pytest_modelrt.journal.writer import JournalWriter
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.reporting.aftermath import finish
from pytest_modelrt.reporting.html import HtmlPage
from pytest_modelrt.reporting.html.entries import rerun_line
from pytest_modelrt.reporting.numbers import Holding, peak, steps
from pytest_modelrt.reporting.pages import RunPages
from pytest_modelrt.reporting.wording import notes
from tests.selftest.reporting.campaign import START, TROUBLES, Clockwork, some_troubles
from tests.selftest.reporting.conftest import CONFIG

VOID = {"meta", "link", "br", "input", "img", "rect", "line", "path"}


class Outline(HTMLParser):
    """Collects ids, links, texts and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.counts: Counter[str] = Counter()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] += 1
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
            if tag == "a" and name == "href":
                self.links.append(value or "")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag


@pytest.fixture
def run(tmp_path: Path, plan: Plan) -> Clockwork:
    return Clockwork(tmp_path, plan.cases, some_troubles(plan.cases))


def page(run: Clockwork, plan: Plan, campaign: Campaign) -> str:
    return HtmlPage(plan, campaign).render(read_run(run.directory)).decode()


def test_a_whole_campaign_fits_one_file(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    run.write()
    run.finish()
    html = page(run, plan, campaign)
    outline = Outline(html)
    assert outline.stack == []
    assert len(html.encode()) < 1_000_000
    assert [item for item, count in Counter(outline.ids).items() if count > 1] == []
    inner = {link[1:] for link in outline.links if link.startswith("#")}
    assert inner <= set(outline.ids)
    assert [link for link in outline.links if not link.startswith("#")] == []
    loading = [value for _, name, value in outline.attributes if name in ("src", "srcset", "data", "action", "poster")]
    assert loading == []
    assert outline.counts["link"] == outline.counts["iframe"] == 0
    assert "url(" not in html
    assert "@import" not in html
    assert html.count('<details class="case"') == 157
    assert "<title>12 failures, 2 causes; 5 without a verdict" in html
    assert "Incomplete" not in html
    assert re.findall(r'<b>(\d+)</b><span><i aria-hidden="true">.</i> ([\w ]+)', html) == [
        ("135", "passed"),
        ("12", "failed"),
        ("5", "no verdict"),
        ("5", "skipped"),
    ]


def test_a_run_that_goes_on_or_was_killed_says_so(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    run.write(20)
    with JournalWriter(run.directory, "gw0") as worker:
        case = plan.cases[30].id
        worker.record(StageEvent("2026-01-31T12:09:00.000Z", EventKind.CASE_STARTED, case))
        started = StageEvent("2026-01-31T12:09:00.000Z", EventKind.STAGE_STARTED, case)
        worker.record(replace(started, stage=TROUBLES[0].stage))
    html = page(run, plan, campaign)
    assert "<b>Incomplete.</b> The run goes on, or was killed: 20 of 157 cases have a verdict" in html
    assert "last sign of life 2026-01-31 12:09:00 UTC" in html
    assert "running: service" in html
    assert html.count("○</b> waiting</span></td>") == 136
    assert Outline(html).stack == []


def test_what_an_engine_says_cannot_become_part_of_the_page(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    evil = "</pre><script>alert(1)</script><!-- other runs --><img src=x onerror=alert(1)>\u202e\ud83d \x00'\""
    case = plan.cases[0]
    trouble = replace(TROUBLES[0], summary=evil, hint=evil, source=evil, cause="cuda-oom")
    run = Clockwork(run.directory.parent.parent, [case], {case.id: trouble}, run_id="evil")
    run.write()
    html = page(run, plan, campaign)
    outline = Outline(html)
    assert outline.stack == []
    assert outline.counts["script"] == 1
    assert outline.counts["img"] == 0
    assert not [name for _, name, _ in outline.attributes if name.startswith("on")]


def test_the_same_events_give_the_same_bytes(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    renderer = HtmlPage(plan, campaign)
    run.write(30)
    renderer.render(read_run(run.directory))
    run.finish()
    view = read_run(run.directory)
    assert renderer.render(view) == HtmlPage(plan, campaign).render(view) == renderer.render(view)


def test_the_entrance_is_the_latest_run_and_links_the_others(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    for run_id in ("20260101-000000-aaaaaa", "20260102-000000-bbbbbb"):
        run = Clockwork(tmp_path, plan.cases[:3], {}, run_id=run_id)
        run.write()
        run.finish()
        RunPages(tmp_path, plan, campaign, run.directory).update()
    entrance = Outline((tmp_path / "index.html").read_text())
    others = [link for link in entrance.links if not link.startswith("#")]
    assert others == ["runs/20260101-000000-aaaaaa/index.html"]
    assert (tmp_path / others[0]).exists()
    RunPages(tmp_path, plan, campaign, tmp_path / "runs" / "20260101-000000-aaaaaa").update()
    assert "20260102-000000-bbbbbb" in (tmp_path / "index.html").read_text().split("<footer>")[0]
    older = (tmp_path / others[0]).read_text()
    assert "../20260102-000000-bbbbbb/index.html" in older


def test_nothing_has_happened_yet(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    html = page(run, plan, campaign)
    assert Outline(html).stack == []
    assert "Nothing failed so far, 157 to go" in html


def test_holdings_become_a_staircase() -> None:
    stairs = steps([Holding(0, 10, 2), Holding(5, 10, 4), Holding(10, 12, 1)])
    assert stairs == [(0.0, 0), (0, 2), (5, 6), (10, 1), (12, 0)]
    assert peak(stairs) == 6


def test_what_wants_eyes_comes_first(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    run.write()
    run.finish()
    order = re.findall(r'<tr data-o="([\w-]+)"', page(run, plan, campaign))
    assert list(dict.fromkeys(order)) == ["failed", "error", "skipped", "passed"]


def test_a_run_known_to_be_killed_says_so(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    run.write(3)
    finish(run.directory, CONFIG)
    html = (run.directory / "index.html").read_text()
    assert "<b>Incomplete.</b> The run was killed: 3 of 157 cases have a verdict" in html
    assert (
        html
        == HtmlPage(plan, campaign, Trends(ResultsStore.open(run.directory.parent.parent), plan.by_id()))
        .render(read_run(run.directory))
        .decode()
    )
    run.finish()
    assert not finish(run.directory, CONFIG)


def test_the_next_run_finishes_pages_that_nobody_could_finish(
    run: Clockwork, plan: Plan, campaign: Campaign, tmp_path: Path
) -> None:
    run.write(3)
    later = Clockwork(tmp_path, plan.cases[:1], {}, run_id="later", started=START + timedelta(days=1))
    half = tmp_path / f".index.html.{2**22 + 1}.0badcafe.tmp"
    half.write_text("half a pa")
    RunPages(tmp_path, plan, campaign, later.directory)
    assert "3 of 157 cases have a verdict" in (run.directory / "index.html").read_text()
    assert not half.exists()


def test_openings_of_the_breaker_are_told_in_words(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    run.write(3)
    with JournalWriter(run.directory) as journal:
        for minute, state in ((1, "open"), (2, "canary"), (3, "closed"), (4, "open")):
            data = {"what": "breaker", "state": state, "cause": f"the hub <is> away {minute}"}
            moment = rfc3339(START + timedelta(minutes=minute))
            journal.record(StageEvent(moment, EventKind.BREAKER, data=data))
    html = page(run, plan, campaign)
    assert "<b>Breaker open</b> from 60 min for 2 h 00 min: the hub &lt;is&gt; away 1</li>" in html
    assert "<b>Breaker open</b> from 4 h 00 min on: the hub &lt;is&gt; away 4</li>" in html
    assert html.count('class="breaker"/>') == 2


def test_a_download_ahead_of_its_case_is_not_a_short_download(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    case = plan.cases[0]
    run.write(1)
    told = {"what": "download-ahead", "waited": 3.0, "hidden": 4000.0}
    with JournalWriter(run.directory) as journal:
        journal.record(StageEvent(rfc3339(START), EventKind.OBSERVATION, case.id, data=told))
    html = page(run, plan, campaign)
    assert "<small>+4000 ahead</small>" in html
    assert "67 min of the download passed before the case began." in html
    (trace,) = read_run(run.directory).traces
    result = result_of(case, trace, run.info)
    assert result.download == trace.verdict.stages["model"] + 4000.0 if trace.verdict else 0
    assert "4000s of it ahead" in notes(result)


def test_the_command_to_run_a_case_again_names_no_other(plan: Plan) -> None:
    shorter = min((case.id for case in plan.cases), key=len)
    assert rerun_line([shorter]) == f"pytest -k '[{shorter}]'"


def test_a_cluster_that_lagged_has_its_own_time(run: Clockwork, plan: Plan, campaign: Campaign) -> None:
    """At 60 times real time a minute is an hour, of which this cluster lived half."""
    renderer = HtmlPage(plan, campaign)
    run.write(1)
    (trace,) = read_run(run.directory).traces
    assert trace.finished is not None
    ended = datetime.fromisoformat(trace.finished)
    with JournalWriter(run.directory) as journal:
        for real, passed in ((0.0, 0.0), (0.1, 3.0), (120.0, 3600.0)):
            data = {"what": CLOCK, "seconds": passed}
            journal.record(StageEvent(rfc3339(START + timedelta(seconds=real)), EventKind.OBSERVATION, data=data))
            html = renderer.render(read_run(run.directory))
    assert b"2 min (60 min of cluster time) so far" in html
    assert html == HtmlPage(plan, campaign).render(read_run(run.directory))
    lived = 3.0 + 3597.0 * ((ended - START).total_seconds() - 0.1) / 119.9
    bars = [
        (float(left), float(width))
        for left, width in re.findall(r'<rect x="([\d.]+)" y="4" width="([\d.]+)"', html.decode())
    ]
    assert max(left + width for left, width in bars) == pytest.approx(lived, abs=1.0)
