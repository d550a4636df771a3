"""``failed-models.md``: what did not pass, by cause, then model, with proof and next step. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.journal.history import trend_of
from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.results import History, Result
from pytest_modelrt.reporting.case_md import evidence_block, repair_text
from pytest_modelrt.reporting.markdown import cell, code, row
from pytest_modelrt.reporting.wording import status

_PARTS = (
    (Outcome.FAILED, "Failed", "Model, runtime or engine is at fault; a retest without a change gives the same."),
    (Outcome.ERROR, "No verdict", "Cluster, platform or hub was in trouble; this says nothing about the model."),
    (Outcome.SKIPPED, "Skipped", "A precondition is missing that the suite cannot create."),
)  # fmt: skip


def render(histories: Iterable[History]) -> bytes:
    """The page over all models whose last result is not a pass."""
    found = [history for history in histories if history.latest.verdict.outcome in {part[0] for part in _PARTS}]
    lines = ["# Failed Models", "", headline([history.latest for history in found]), ""]
    for outcome, title, meaning in _PARTS:
        chosen = [history for history in found if history.latest.verdict.outcome is outcome]
        if chosen:
            lines += [f"## {title} ({len(chosen)})", "", meaning, "", *_overview(chosen), ""]
            for cause in _causes(chosen):
                lines += _cause(cause, [history for history in chosen if _slug(history.latest) == cause])
    return "\n".join([*lines, ""]).encode("utf-8", "backslashreplace").replace(b"\n\n\n", b"\n\n")


def headline(results: Sequence[Result]) -> str:
    """``9 failures, 3 causes; 2 without verdict; 4 skipped.``"""
    if not results:
        return "Nothing failed."
    failed = [result for result in results if result.verdict.outcome is Outcome.FAILED]
    errors = [result for result in results if result.verdict.outcome is Outcome.ERROR]
    skipped = [result for result in results if result.verdict.outcome is Outcome.SKIPPED]
    parts = [
        f"{_count(len(part), *words)}, {_count(len({_slug(result) for result in part}), 'cause', 'causes')}"
        for part, words in (
            (failed, ("failure", "failures")),
            (errors, ("case without a verdict", "cases without a verdict")),
            (skipped, ("skipped", "skipped")),
        )
        if part
    ]
    return "; ".join(parts) + "."


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _slug(result: Result) -> str:
    return result.verdict.cause or "unknown"


def _causes(chosen: Sequence[History]) -> list[str]:
    """Most frequent first, then by name."""
    counts = Counter(_slug(history.latest) for history in chosen)
    return sorted(counts, key=lambda slug: (-counts[slug], slug))


def _overview(chosen: Sequence[History]) -> list[str]:
    lines = [row(["Cause", "Count", "Category", "Whose turn", "Models"]), row(["---"] * 5)]
    for slug in _causes(chosen):
        results = [history.latest for history in chosen if _slug(history.latest) == slug]
        known = CAUSES.get(slug)
        owner = results[0].verdict.owner or (str(known.owner) if known else "-")
        names = ", ".join(sorted({cell(result.case) for result in results}, key=str.lower))
        lines.append(row([code(slug), len(results), known.bucket if known else "-", cell(owner), names]))
    return lines


def _cause(slug: str, histories: Sequence[History]) -> list[str]:
    known = CAUSES.get(slug)
    lines = [f"### {slug} ({len(histories)})", ""]
    if known:
        lines += [cell(known.title), ""]
    shared = _shared([history.latest for history in histories])
    if shared:
        lines += [f"Shared: {shared}.", ""]
    for history in sorted(histories, key=lambda history: history.latest.case.lower()):
        lines += _model(history)
    return lines


def _shared(results: Sequence[Result]) -> str:
    """What several failures have in common beyond their cause."""
    if len(results) < 2:
        return ""
    parts = []
    for title, values in (
        ("vendor", {result.vendor for result in results}),
        ("transformers version", {result.framework_version for result in results}),
        ("GPUs", {result.gpus for result in results}),
        ("node", {_node(result) for result in results}),
    ):
        value = values.pop()
        if not values and value:
            parts.append(f"{title} {cell(value)}")
    return ", ".join(parts)


def _node(result: Result) -> str:
    nodes = result.verdict.facts.get("nodes")
    return ", ".join(map(str, nodes)) if isinstance(nodes, list | tuple) else ""


def _model(history: History) -> tuple[str, ...]:
    latest = history.latest
    seen = sum(item.verdict.cause == latest.verdict.cause for item in history.attempts)
    return _section(latest, history.first_seen, seen, trend_of(latest, history.attempts).text)


@lru_cache(maxsize=16384)
def _section(result: Result, first: Result, seen: int, change: str) -> tuple[str, ...]:
    """Remembered, because the page is rendered after every case and hardly changes."""
    verdict = result.verdict
    lines = [f"#### {cell(result.case)}", "", f"- Status: {status(result)}, stage {verdict.stage or '-'}"]
    lines.append(f"- Reason: {cell(verdict.summary or 'no details')}")
    if verdict.hint:
        lines.append(f"- Next step: {cell(verdict.hint)}")
    lines.append(f"- Since earlier runs: {cell(change)}")
    lines.append(f"- First seen: {_moment(first)}, run {code(first.run_id)}")
    if first is not result:
        lines.append(f"- Last seen: {_moment(result)}, run {code(result.run_id)}, {seen} times")
    lines.append(f"- Record: [runs/{result.run_id}](runs/{result.run_id}/)")
    lines += [f"- Repair tried: {repair_text(repair)}" for repair in result.repairs]
    lines += evidence_block(result)
    return (*lines, "")


def _moment(result: Result) -> str:
    return f"{result.verdict.finished[:16].replace('T', ' ')} UTC"
