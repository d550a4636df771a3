"""What a case's past makes of its latest result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_modelrt.journal.history import Change, trend_of
from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.results import Result
from tests.selftest.journal.test_results import result

P, F, E, S = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED


def runs(*outcomes: Outcome, **changes: Any) -> list[Result]:
    """One attempt a day."""
    return [
        result(f"run-{day}", outcome, started=f"2026-03-{day:02d}T12:00:00.000Z",
               finished=f"2026-03-{day:02d}T12:09:00.000Z", **changes)
        for day, outcome in enumerate(outcomes, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "change", "since"),
    [
        ([P], Change.UNKNOWN, None),
        ([F], Change.UNKNOWN, None),
        ([P, P], Change.STEADY, None),
        ([P, F], Change.NEW_FAILURE, "run-2"),
        ([P, F, F, F], Change.STILL_FAILING, "run-2"),
        ([F, F, P], Change.FIXED, "run-1"),
        ([P, F, E, F], Change.STILL_FAILING, "run-2"),
        ([P, F, E], Change.UNKNOWN, None),
        ([F, S, P], Change.FIXED, "run-1"),
        ([P, F, P], Change.FIXED, "run-2"),
    ],
)
def test_changes(outcomes: list[Outcome], change: Change, since: str | None) -> None:
    attempts = runs(*outcomes)
    trend = trend_of(attempts[-1], attempts)
    assert (trend.change, trend.since) == (change, since)


def test_back_and_forth_with_the_same_inputs_is_flaky() -> None:
    attempts = runs(P, F, P, inputs="abc")
    assert trend_of(attempts[-1], attempts).text == "flaky (changed 2 times with the same inputs)"
    changed = [*attempts[:2], replace(attempts[2], verdict=replace(attempts[2].verdict, inputs="other"))]
    assert trend_of(changed[-1], changed).change is Change.FIXED


def test_what_came_later_changes_nothing_about_an_older_run() -> None:
    attempts = runs(P, F, P, P)
    assert trend_of(attempts[1], attempts) == trend_of(attempts[1], attempts[:2])


def test_a_simulated_past_says_nothing_about_a_real_cluster() -> None:
    attempts = runs(P, F)
    real = replace(attempts[1], simulated=False)
    assert trend_of(real, [attempts[0], real]).text == "unknown (first verdict)"


def test_another_cause_is_named() -> None:
    attempts = runs(F, F)
    attempts[1] = replace(attempts[1], verdict=replace(attempts[1].verdict, cause="image-pull"))
    assert trend_of(attempts[1], attempts).text == "still failing (since run run-1, then with cuda-oom)"


@pytest.mark.parametrize(
    ("past", "now", "speed", "slow"),
    [
        ([100.0, 110.0, 105.0], 240.0, 1.0, True),
        ([100.0, 110.0, 105.0], 150.0, 1.0, False),  # not half as much again
        ([100.0, 300.0, 105.0], 240.0, 1.0, False),  # it has been slower before
        ([100.0], 900.0, 1.0, False),  # one run is no past
        ([10.0, 11.0], 35.0, 1.0, False),  # within what any cluster varies by
        ([100.0, 110.0, 105.0], 240.0, 120.0, False),  # on a fast clock a busy machine makes that much
    ],
)
def test_a_start_up_slower_than_its_own_past(past: list[float], now: float, speed: float, slow: bool) -> None:
    attempts = runs(*[P] * (len(past) + 1))
    attempts = [
        replace(item, speed=speed, verdict=replace(item.verdict, stages={"service": seconds}))
        for item, seconds in zip(attempts, [*past, now], strict=True)
    ]
    found = trend_of(attempts[-1], attempts).slower
    assert (found is not None) is slow
    if found:
        assert found.text == "start-up 240 s, usually 105 s (2.3 times, 3 earlier runs)"
