"""A model's results over runs, a line per run, for the terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pytest_modelrt.journal.history import trend_of
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.journal.results import History, Result

_HEAD = ("run", "date", "outcome", "download", "start-up", "total", "what changed")


def matching(histories: Iterable[History], pattern: str) -> list[History]:
    """Histories of the models whose ``vendor/name``, object or hub name contains ``pattern``, by name.

    Spelling of case and separators does not count; a regular expression is tried as one, too.
    """
    found = [history for history in histories if _matches(history.latest, pattern)]
    return sorted(found, key=lambda history: history.latest.case.lower())


def render(histories: Sequence[History], limit: int = 0) -> list[str]:
    """Lines for each history: its name, then a line per attempt, oldest first; ``limit`` > 0 shows only the latest."""
    lines: list[str] = []
    for history in histories:
        attempts = history.attempts[-limit:] if limit else history.attempts
        rows = [_HEAD, *(_row(result, history.attempts) for result in attempts)]
        widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD) - 1)]
        lines += [f"{history.latest.case}  ({history.latest.hub_id})"]
        for row in rows:
            cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
            lines.append(f"  {'  '.join(cells)}  {row[-1]}".rstrip())
        lines.append("")
    return lines[:-1]


def _row(result: Result, attempts: Sequence[Result]) -> tuple[str, ...]:
    verdict = result.verdict
    trend = trend_of(result, attempts)
    cause = f" {verdict.cause}" if verdict.cause else ""
    notes = [trend.text, trend.slower.text if trend.slower else "", "simulated" if result.simulated else ""]
    return (
        result.run_id,
        verdict.finished[:16].replace("T", " "),
        f"{verdict.outcome}{cause}",
        _seconds(result.download),
        _seconds(verdict.stages.get(Stage.SERVICE)),
        _seconds(sum(verdict.stages.values()) if verdict.stages else None),
        "; ".join(filter(None, notes)),
    )


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"


def _matches(result: Result, pattern: str) -> bool:
    names = (result.case, result.resource_name, result.hub_id)
    if any(_plain(pattern) in _plain(name) for name in names):
        return True
    try:
        return any(re.search(pattern, name, re.IGNORECASE) for name in names)
    except re.error:
        return False


def _plain(text: str) -> str:
    return re.sub(r"[^0-9a-z/]+", "-", text.lower())
