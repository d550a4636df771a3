"""The table at the end of a run: outcomes with their causes, plain text, 80 columns. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from pytest_modelrt.journal.history import Change, Trend
from pytest_modelrt.journal.model import Outcome, Verdict
from pytest_modelrt.journal.resume import carried_of

WIDTH = 80
_ORDER = (Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED, Outcome.NOT_RUN)
MAX_NAMES = 6


def outcome_table(verdicts: Iterable[Verdict], *, quiet: bool = False, width: int = WIDTH) -> list[str]:
    """Lines for the terminal: counts, then every cause with its cases, most frequent first.

    Quiet (``-q``): only when something did not pass, and only one line per cause.
    """
    known = list(verdicts)
    counts = Counter(verdict.outcome for verdict in known)
    if not known or (quiet and counts[Outcome.PASSED] == len(known)):
        return []
    lines = [] if quiet else [counts_line(known), *_carried_lines(known, width), *_retried_lines(known, width)]
    for outcome in _ORDER:
        chosen = [verdict for verdict in known if verdict.outcome is outcome]
        by_cause = Counter(map(_why, chosen))
        for why in sorted(by_cause, key=lambda why: (-by_cause[why], why)):
            group = [verdict for verdict in chosen if _why(verdict) == why]
            if outcome is Outcome.NOT_RUN and group[0].cause is None:
                lines += _not_run_lines(why, group, quiet, width)
            else:
                lines += _cause_lines(outcome, why, group, quiet, width)
    if not quiet:
        lines += _warning_lines(known, width)
    return lines


def change_lines(trends: Mapping[str, Trend], width: int = WIDTH) -> list[str]:
    """What earlier runs make of this one: a line per kind of news with its cases."""
    lines = []
    for change in (Change.NEW_FAILURE, Change.STILL_FAILING, Change.FLAKY, Change.FIXED):
        cases = [case for case, trend in trends.items() if trend.change is change]
        if cases:
            lines.append(_fit(f"{change} ({len(cases)}): {', '.join(cases)}", width))
    slower = [(case, trend.slower) for case, trend in trends.items() if trend.slower]
    return lines + [_fit(f"slower: {case}: {found.text}", width) for case, found in slower[:MAX_NAMES]]


def counts_line(verdicts: Sequence[Verdict]) -> str:
    """``149 passed, 5 failed (2 causes), 3 skipped of 157``."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    parts = []
    for outcome in (Outcome.PASSED, *_ORDER, Outcome.CARRIED_OVER):
        if counts[outcome]:
            causes = {verdict.cause for verdict in verdicts if verdict.outcome is outcome and verdict.cause}
            noted = f" ({len(causes)} cause{'s' * (len(causes) > 1)})" if causes else ""
            parts.append(f"{counts[outcome]} {outcome.value}{noted}")
    return f"{', '.join(parts)} of {len(verdicts)}"


def _why(verdict: Verdict) -> str:
    """The cause; a case that nobody began has only a reason."""
    if verdict.cause is None and verdict.outcome is Outcome.NOT_RUN:
        return " ".join(verdict.summary.split()).removeprefix("not run: ")
    return verdict.cause or "unknown"


def _not_run_lines(why: str, group: Sequence[Verdict], quiet: bool, width: int) -> list[str]:
    names = ", ".join(verdict.case for verdict in group)
    if quiet:
        return [_fit(f"not run ({len(group)}) {why}: {names}", width)]
    return [
        *wrap(f"not run ({len(group)}): {why}", width, subsequent_indent="    ", break_on_hyphens=False),
        _fit(f"    {names}", width),
    ]


def _cause_lines(outcome: Outcome, slug: str, group: Sequence[Verdict], quiet: bool, width: int) -> list[str]:
    head = f"{outcome.value:8} {slug} ({len(group)})"
    if quiet:
        return [_fit(f"{head} {', '.join(verdict.case for verdict in group)}", width)]
    owner = f", owner {group[0].owner}" if group[0].owner else ""
    lines = [_fit(head + owner, width)]
    for verdict in group[:MAX_NAMES]:
        lines.append(_fit(f"    {verdict.case}: {' '.join(verdict.summary.split())}", width))
    if len(group) > MAX_NAMES:
        lines.append(f"    ... and {len(group) - MAX_NAMES} more")
    if group[0].hint:
        lines += _whole(f"    next: {' '.join(group[0].hint.split())}", width)
    return lines


def _carried_lines(verdicts: Sequence[Verdict], width: int) -> list[str]:
    """What a resumed run did not run again, by what earlier runs said."""
    carried = [found for verdict in verdicts if (found := carried_of(verdict)) is not None]
    if not carried:
        return []
    said = ", ".join(f"{count} {outcome}" for outcome, count in Counter(item.outcome for item in carried).most_common())
    runs = sorted({item.run_id for item in carried})
    return _whole(f"carried over, not run again: {said} (run{'s' * (len(runs) > 1)} {', '.join(runs)})", width)


def _retried_lines(verdicts: Sequence[Verdict], width: int) -> list[str]:
    """Passes that took more than one try."""
    cases = [verdict.case for verdict in verdicts if verdict.outcome is Outcome.PASSED and verdict.retries]
    return [_fit(f"passed after a retry ({len(cases)}): {', '.join(cases)}", width)] if cases else []


def _warning_lines(verdicts: Sequence[Verdict], width: int) -> list[str]:
    warned = [(verdict.case, text) for verdict in verdicts for text in verdict.warnings]
    if not warned:
        return []
    cases = len({case for case, _ in warned})
    kinds = Counter(text.split(":")[0] for _, text in warned)
    said = ", ".join(f"{kind} ({number})" for kind, number in kinds.most_common(4))
    return [_fit(f"warnings in {cases} case{'s' * (cases > 1)}: {said}", width)]


def _whole(text: str, width: int) -> list[str]:
    """As many lines as it takes: commands and addresses must not be cut."""
    return textwrap.wrap(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _fit(text: str, width: int) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable if len(printable) <= width else printable[: width - 3].rstrip() + "..."
