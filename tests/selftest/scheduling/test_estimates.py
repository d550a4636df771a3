from __future__ import annotations

import pytest

from pytest_modelrt.scheduling.estimates import download_seconds, estimate, model_seconds, startup_seconds
from tests.selftest.scheduling.build import CAMPAIGN, case

SMALL, LARGE = case("a", "small", 1, gigabytes=2), case("a", "large", 8, gigabytes=700)


def test_history_outranks_the_model() -> None:
    assert estimate([SMALL], CAMPAIGN, {"a/small": 42.0}) == {"a/small": 42.0}
    assert estimate([SMALL], CAMPAIGN, {"a/small": 0.0}) == {"a/small": model_seconds(SMALL)}


def test_history_of_a_tier_corrects_its_other_cases() -> None:
    other = case("b", "other", 1)
    found = estimate([SMALL, other, LARGE], CAMPAIGN, {"a/small": 2 * model_seconds(SMALL)})
    assert found["b/other"] == pytest.approx(2 * model_seconds(other))
    assert found["a/large"] == pytest.approx(2 * model_seconds(LARGE))


def test_more_weights_take_longer() -> None:
    assert 60 < download_seconds(SMALL) < download_seconds(LARGE)
    assert 30 < startup_seconds(SMALL) < startup_seconds(LARGE)
    assert startup_seconds(case("a", "several", 32)) > startup_seconds(case("a", "one", 8)) + 600
