"""The page about the models behind the gateway: tier matrix, limits, load, every test. Pure.

Also the lines about load that the terminal shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_modelrt.journal.model import Verdict
from pytest_modelrt.journal.results import Result
from pytest_modelrt.reporting.markdown import cell, code, row
from pytest_modelrt.reporting.wording import day, minutes, status

VENDOR = "maas"
_OUTCOMES = {"passed": "✅ Passed", "failed": "❌ Failed", "error": "❌ Error", "skipped": "⏭️ Skipped"}
_TIERS = ("free", "premium", "enterprise", "none")
MATRIX_WORDS = "Status of a chat request and of the model list; a tier of `none` is an account of no tier's namespace."
_LOAD_HEAD = ("Way", "Model", "At once", "Kind", "Requests", "Answered", "Per s", "p50 s", "p95 s", "p99 s",
              "First token p50 s", "Tokens/s", "Errors")  # fmt: skip


def render(results: Sequence[Result], cluster: str) -> bytes:
    """The page.

    Args:
        results: the result that speaks for each model, in order.
        cluster: free text.
    """
    lines = ["# maas Test Results", "", f"**Test Date**: {max(map(day, results), default='-')}", ""]
    lines += [f"**Cluster**: {cluster}", "", "## Summary", ""]
    lines += _table(("Model", "Status", "Startup Time", "Passed", "Failed", "Skipped", "Run"), map(_line, results))
    findings = [finding for result in results for finding in findings_of(result.verdict)]
    facts = [(str(finding.get("test", "")), finding.get("facts") or {}) for finding in findings]
    lines += _matrix(TierMatrix.of(result.verdict for result in results))
    lines += _limits(facts)
    loads = in_order(fact["load"] for _, fact in facts if "load" in fact)
    if loads:
        lines += ["", "## Load", "", *_table(_LOAD_HEAD, map(_load_cells, loads))]
        lines += ["", _load_words(loads)]
    for result in results:
        lines += ["", f"## {cell(result.name)}", "", *_tests(result)]
    lines += ["", "## Notes", ""]
    if any(result.simulated for result in results):
        lines.append("- Results marked simulated come from the built-in simulated cluster.")
    lines.append("- What the tests prove, and where they differ from the platform's own document: docs/kind.md.")
    return "\n".join([*lines, ""]).encode("utf-8", "backslashreplace")


def findings_of(verdict: Verdict) -> list[Mapping[str, Any]]:
    """What each test of a model found."""
    tests = verdict.facts.get("tests")
    return [test for test in tests if isinstance(test, Mapping)] if isinstance(tests, list | tuple) else []


def in_order(loads: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Steps of load tests as people compare them."""
    return sorted(loads, key=lambda load: (load["way"], load["model"], load["stream"], load["at_once"]))


def load_lines(loads: Iterable[Mapping[str, Any]]) -> list[str]:
    """The load table for a terminal, in columns; empty when there was no load test."""
    loads = in_order(loads)
    rows = [_load_cells(load) for load in loads]
    if not rows:
        return []
    table = [_LOAD_HEAD, *rows]
    widths = [max(len(str(line[place])) for line in table) for place in range(len(_LOAD_HEAD))]
    lines = ["  ".join(str(text).ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
             for line in table]  # fmt: skip
    return [*lines, _load_words(loads)]


def _load_words(loads: Iterable[Mapping[str, Any]]) -> str:
    """What the figures mean, above all on a simulated cluster."""
    speed = max((float(load.get("speed", 1.0)) for load in loads), default=1.0)
    if speed <= 1:
        return "Seconds are real."
    return (
        f"Seconds are cluster seconds, {speed:g} to a real one on this simulated cluster: "
        "the figures show the procedure, not what the model can do."
    )


def _line(result: Result) -> tuple[object, ...]:
    outcomes = [finding.get("outcome") for finding in findings_of(result.verdict)]
    failed = outcomes.count("failed") + outcomes.count("error")
    deployed = result.verdict.stages.get("service")
    run = code(result.run_id) + (" (simulated)" if result.simulated else "")
    return (cell(result.name), status(result), minutes(deployed), outcomes.count("passed"), failed,
            outcomes.count("skipped"), run)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """What one tier was told about one model."""

    expected: int
    got: tuple[int, ...]
    """Status of a chat request, and of the model list where that was asked."""

    @property
    def good(self) -> bool:
        """Whether all was as expected."""
        return all(value == self.expected for value in self.got)

    def __str__(self) -> str:
        shown = " / ".join(map(str, self.got))
        return f"✅ {shown}" if self.good else f"❌ {shown} (expected {self.expected})"


@dataclass(frozen=True, slots=True)
class TierMatrix:
    """Which tier may ask which model."""

    models: tuple[str, ...]
    rows: tuple[tuple[str, tuple[MatrixCell | None, ...]], ...]
    """Tier and its cells, in the order of ``models``."""

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> TierMatrix:
        """What the tests behind these verdicts found; without rows when none asked."""
        found = {
            (str(fact["tier"]), str(fact["model"])): MatrixCell(
                fact["expected"], tuple(value for value in (fact["chat"], fact["models"]) if value is not None)
            )
            for verdict in verdicts
            for finding in findings_of(verdict)
            if (fact := (finding.get("facts") or {}).get("matrix"))
        }
        models = tuple(sorted({model for _, model in found}))
        tiers = [tier for tier in _TIERS if any(place[0] == tier for place in found)]
        return cls(models, tuple((tier, tuple(found.get((tier, model)) for model in models)) for tier in tiers))


def _matrix(matrix: TierMatrix) -> list[str]:
    if not matrix.rows:
        return []
    lines = [(tier, *("-" if found is None else found for found in cells)) for tier, cells in matrix.rows]
    return ["", "## Tier matrix", "", MATRIX_WORDS, "", *_table(("Tier", *matrix.models), lines)]


def _limits(facts: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    limits = [fact["limit"] for _, fact in facts if "limit" in fact]
    recoveries = [fact["recovery"] for _, fact in facts if "recovery" in fact]
    if not limits and not recoveries:
        return []
    rows = sorted((x["kind"], _TIERS.index(x["tier"]), x["limit"], x["passed"], x["bursts"]) for x in limits)
    rows = [(_TIERS[tier], kind, *rest) for kind, tier, *rest in rows]
    lines = ["", "## Limits", "", *_table(("Tier", "Limit on", "Limit", "Let through", "Bursts needed"), rows)]
    for found in recoveries:
        text = f"{found['kind']}: refused within a window of {found['window']:g} s, answered again {found['after']:g} s"
        lines += ["", f"- {text} after its first request"]
    return lines


def _load_cells(load: Mapping[str, Any]) -> tuple[object, ...]:
    errors = ", ".join(f"{kind} x {count}" for kind, count in load["errors"].items()) or "none"
    return (load["way"], load["model"], load["at_once"], "stream" if load["stream"] else "plain", load["requests"],
            load["answered"], *(_number(load[key]) for key in ("throughput", "p50", "p95", "p99", "first_token_p50",
                                                               "tokens_per_second")), errors)  # fmt: skip


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _tests(result: Result) -> list[str]:
    findings = findings_of(result.verdict)
    rows = []
    for finding in sorted(findings, key=lambda found: str(found.get("test"))):
        outcome = _OUTCOMES.get(str(finding.get("outcome")), str(finding.get("outcome")))
        text = cell(finding.get("text") or "", 400) or "-"
        rows.append((code(finding.get("test")), outcome, cell(finding.get("cause") or "-"), text))
    lines = [f"**Result**: {status(result)}"]
    if result.verdict.cause:
        lines += ["", f"{code(result.verdict.cause)}: {cell(result.verdict.summary)}"]
        lines += [f"Next: {cell(result.verdict.hint)}"] if result.verdict.hint else []
    return [*lines, "", *_table(("Test", "Result", "Cause", "Words"), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [row(head), "|" + "---|" * len(head), *map(row, rows)]
