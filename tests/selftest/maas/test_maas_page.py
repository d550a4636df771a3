"""The page about the models behind the gateway."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.results import Result
from pytest_modelrt.reporting.html.gateway import tier_section
from pytest_modelrt.reporting.maas_md import load_lines, render
from pytest_modelrt.session.maas import Finding, verdicts

LOAD: dict[str, Any] = {
    "way": "direct", "model": "model-a", "at_once": 5, "stream": True, "requests": 60, "answered": 59,
    "throughput": 12.5, "p50": 0.25, "p95": 0.5, "p99": 0.75, "first_token_p50": 0.125, "tokens_per_second": 250.0,
    "errors": {"503": 1},
}  # fmt: skip


def _cell(tier: str, model: str, expected: int, got: int) -> Finding:
    facts = {"matrix": {"tier": tier, "model": model, "expected": expected, "chat": got, "models": got}}
    return Finding(f"test_tier[{tier}-{model}]", model, facts=facts)


def _page(*findings: Finding) -> str:
    found = verdicts(findings, "2026-01-01T00:00:00Z")
    results = [
        Result(
            verdict.case,
            "maas",
            verdict.case.partition("/")[2],
            "",
            "",
            "-",
            "-",
            "-",
            "r-1",
            True,
            "sim",
            "x",
            verdict,
        )
        for verdict in found
    ]
    return render(results, "a cluster").decode()


def test_the_tier_matrix_is_a_table_that_shows_what_was_expected() -> None:
    page = _page(
        _cell("free", "model-a", 200, 200), _cell("free", "model-b", 403, 200), _cell("premium", "model-b", 200, 200)
    )
    assert "| Tier | model-a | model-b |" in page
    assert "| free | ✅ 200 / 200 | ❌ 200 / 200 (expected 403) |" in page
    assert "| premium | - | ✅ 200 / 200 |" in page


def test_the_verdict_is_that_of_the_worst_test_with_the_cause_most_of_them_have() -> None:
    away = "gateway-limiter-away"
    findings = [
        Finding("good", "model-a"),
        Finding("odd", "model-a", "failed", "gateway-wrong-answer", "something"),
        Finding("limit", "model-a", "failed", away, "all passed"),
        Finding("other", "model-b", "skipped", text="maas-not-installed: no KServe"),
    ]
    first, second = verdicts(findings, "2026-01-01T00:00:00Z")
    assert (first.case, first.outcome, first.cause) == ("maas/model-a", Outcome.FAILED, away)
    assert "2 of 3 tests did not pass" in first.summary
    assert (second.outcome, second.cause) == (Outcome.SKIPPED, "maas-not-installed")


def test_load_is_on_the_page_and_in_the_terminal() -> None:
    page = _page(Finding("test_load", "model-a", facts={"load": LOAD}))
    assert "| direct | model-a | 5 | stream | 60 | 59 | 12.5 | 0.25 | 0.5 | 0.75 | 0.125 | 250 | 503 x 1 |" in page
    head, line, words = load_lines([LOAD])
    assert head.split()[:2] == ["Way", "Model"]
    assert line.endswith("503 x 1")
    assert words == "Seconds are real."
    assert "60 to a real one" in load_lines([LOAD | {"speed": 60.0}])[-1]
    assert load_lines([]) == []


def test_the_tier_matrix_is_a_section_of_the_campaign_page() -> None:
    asked = [_cell("free", "model-a", 200, 200), _cell("free", "model-b", 403, 200), _cell("none", "<b>", 403, 403)]
    section = tier_section(verdicts(asked, "2026-01-01T00:00:00Z"))
    assert '<th scope="col">&lt;b&gt;</th><th scope="col">model-a</th><th scope="col">model-b</th>' in section
    free = section.partition('<tr><th scope="row">free</th>')[2].partition("</tr>")[0]
    assert free == (
        '<td>-</td><td><span class="chip o-passed">✅ 200 / 200</span></td>'
        '<td><span class="chip o-failed">❌ 200 / 200 (expected 403)</span></td>'
    )
    assert tier_section(verdicts([Finding("other", "model-a")], "2026-01-01T00:00:00Z")) == ""
