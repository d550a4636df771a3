"""What earlier runs say about a case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_modelrt.journal.model import Outcome, Verdict
from pytest_modelrt.journal.results import Result
from pytest_modelrt.scheduling.history import Past, past_of
from tests.selftest.scheduling.build import case

CASE = case("a", "one")
CASES = {CASE.id: CASE}


def result(download: float, rest: float, **changes: object) -> Result:
    outcome = changes.pop("outcome", Outcome.PASSED)
    stages = {"model": download, "service": rest}
    verdict = Verdict(CASE.id, Outcome(outcome), "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z", stages=stages)  # type: ignore[arg-type]
    plain = Result(CASE.id, "a", "one", "one", "a/one", "1B", "Chat", "1", "run", True, "", "", verdict,
                   image=CASE.serving.image)  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_median_of_the_latest_attempts_counts() -> None:
    attempts = [result(1, 1), result(100, 10), result(300, 30), result(200, 90)]
    assert past_of(attempts, CASES, simulated=True) == {"a/one": Past(200, 30)}


def test_time_of_a_download_ahead_is_part_of_the_download() -> None:
    assert past_of([result(5, 30, hidden_download=95)], CASES, simulated=True) == {"a/one": Past(100, 30)}


def test_an_attempt_that_passed_outweighs_later_ones_that_did_not() -> None:
    attempts = [result(100, 10), result(300, 1, outcome=Outcome.ERROR)]
    assert past_of(attempts, CASES, simulated=True) == {"a/one": Past(100, 10)}
    assert past_of(attempts[1:], CASES, simulated=True) == {"a/one": Past(300, 1)}


@pytest.mark.parametrize("changes", [{"image": "another:1"}, {"simulated": False}, {"case": "a/two"}])
def test_other_images_clusters_and_cases_say_nothing(changes: dict[str, object]) -> None:
    assert past_of([result(100, 10, **changes)], CASES, simulated=True) == {}
