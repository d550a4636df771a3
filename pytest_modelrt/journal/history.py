"""What changed for a case since earlier runs. Pure, and the same for a run whenever it is rendered: only what ended
before an attempt began counts as its past, and simulated and real clusters have separate pasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from pytest_modelrt.journal.adopt import as_result, tells
from pytest_modelrt.journal.model import Outcome, RunInfo, Stage
from pytest_modelrt.journal.results import History, Result, ResultsStore
from pytest_modelrt.journal.trace import CaseTrace
from pytest_modelrt.plan.model import Case

SLOWER = 1.5
"""A start-up this many times the usual one is slow, unless it is within ``SLACK`` of the slowest so far."""
SLACK_SECONDS = 30.0
SLACK_REAL_SECONDS = 2.0
"""On a fast simulated cluster, what a busy machine adds to any measurement."""
LEAST_PAST = 2
_DECIDED = (Outcome.PASSED, Outcome.FAILED)


class Change(StrEnum):
    """What an attempt says compared with those before."""

    NEW_FAILURE = "new failure"
    STILL_FAILING = "still failing"
    FIXED = "fixed"
    FLAKY = "flaky"
    UNKNOWN = "unknown"
    STEADY = "steady"
    """Passed, as before."""


@dataclass(frozen=True, slots=True)
class Slower:
    """A start-up that took longer than those of the case's past, in cluster seconds."""

    seconds: float
    usual: float
    """Median of the past."""
    runs: int

    @property
    def text(self) -> str:
        """``start-up 240 s, usually 105 s (2.3 times, 5 earlier runs)``."""
        times = self.seconds / self.usual if self.usual else 0.0
        return (
            f"start-up {self.seconds:.0f} s, usually {self.usual:.0f} s ({times:.1f} times, {self.runs} earlier runs)"
        )


@dataclass(frozen=True, slots=True)
class Trend:
    """How an attempt compares with the case's past."""

    change: Change
    since: str | None = None
    """Run in which the present state, or the one just ended, began."""
    detail: str = ""
    slower: Slower | None = None

    @property
    def text(self) -> str:
        """``still failing (since run 20260131-120000-abcdef)``; empty when there is nothing to say."""
        return "" if self.change is Change.STEADY else f"{self.change} ({self.detail})" if self.detail else self.change


def trend_of(result: Result, attempts: Sequence[Result]) -> Trend:
    """How a result compares with earlier ones of the same model.

    Args:
        result: the attempt in question.
        attempts: all attempts of the model, oldest first; later ones and the attempt itself may be among them.
    """
    past = [
        item
        for item in attempts
        if item.verdict.outcome in _DECIDED
        and item.simulated == result.simulated
        and item.verdict.finished <= result.verdict.started
    ]
    change, since, detail = _change(result, past)
    return Trend(change, since, detail, _slower(result, past))


def _change(result: Result, past: Sequence[Result]) -> tuple[Change, str | None, str]:
    outcome = result.verdict.outcome
    if outcome not in _DECIDED:
        return Change.UNKNOWN, None, f"no verdict about the model this time{_last(past)}"
    if not past:
        return Change.UNKNOWN, None, "first verdict"
    flips = _flips([*(item for item in past if _same_inputs(item, result)), result])
    if flips >= 2:
        return Change.FLAKY, None, f"changed {flips} times with the same inputs"
    previous = past[-1].verdict
    if outcome is Outcome.PASSED:
        if previous.outcome is Outcome.PASSED:
            return Change.STEADY, None, ""
        since = _series(past, Outcome.FAILED)[0].run_id
        return Change.FIXED, since, f"had failed since run {since}"
    if previous.outcome is Outcome.PASSED:
        return Change.NEW_FAILURE, result.run_id, f"passed in run {past[-1].run_id}"
    since = _series(past, Outcome.FAILED)[0].run_id
    other = f", then with {previous.cause}" if previous.cause != result.verdict.cause else ""
    return Change.STILL_FAILING, since, f"since run {since}{other}"


def _last(past: Sequence[Result]) -> str:
    return f", {past[-1].verdict.outcome} in run {past[-1].run_id}" if past else ""


def _same_inputs(one: Result, other: Result) -> bool:
    return bool(one.verdict.inputs) and one.verdict.inputs == other.verdict.inputs


def _flips(results: Sequence[Result]) -> int:
    outcomes = [item.verdict.outcome for item in results]
    return sum(one is not other for one, other in pairwise(outcomes))


def _series(past: Sequence[Result], outcome: Outcome) -> list[Result]:
    """The unbroken series of that outcome at the end of the past."""
    start = len(past)
    while start and past[start - 1].verdict.outcome is outcome:
        start -= 1
    return list(past[start:])


def _slower(result: Result, past: Sequence[Result]) -> Slower | None:
    verdict = result.verdict
    took = verdict.stages.get(Stage.SERVICE)
    known = [item.verdict.stages[Stage.SERVICE] for item in past if _started(item)]
    if took is None or verdict.outcome is not Outcome.PASSED or len(known) < LEAST_PAST:
        return None
    usual = median(known)
    slack = max(SLACK_SECONDS, SLACK_REAL_SECONDS * result.speed)
    return Slower(took, usual, len(known)) if took > SLOWER * usual and took > max(known) + slack else None


def _started(result: Result) -> bool:
    return result.verdict.outcome is Outcome.PASSED and Stage.SERVICE in result.verdict.stages


def news_of(history: History) -> str:
    """What is new about the result that speaks for a model: text for people, empty when nothing is."""
    trend = trend_of(history.latest, history.attempts)
    if trend.change is Change.UNKNOWN and history.latest.verdict.outcome is Outcome.PASSED:
        return ""
    return "; ".join(filter(None, (trend.text, trend.slower.text if trend.slower else "")))


class Trends:
    """Trends of the cases of runs, from a results store."""

    def __init__(self, store: ResultsStore, cases: Mapping[str, Case]) -> None:
        self._store = store
        self._cases = cases

    def of(self, trace: CaseTrace, info: RunInfo | None) -> Trend | None:
        """The trend of a judged attempt; None while it runs and for one that was carried over."""
        if info is None or not tells(trace):
            return None
        return self.of_result(as_result(trace, info, self._cases))

    def of_result(self, result: Result) -> Trend:
        """The trend of a result."""
        return trend_of(result, self._store.by_key.get(result.key, History()).attempts)
