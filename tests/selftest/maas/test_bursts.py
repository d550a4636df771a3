"""What a burst proves, on a limiter and a clock of the tests' own."""

from __future__ import annotations

import itertools
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_modelrt.cluster.model import POD
from pytest_modelrt.stacks.kserve.accounts import Account
from pytest_modelrt.stacks.kserve.bursts import TRIES, about, exactly, in_one_window
from pytest_modelrt.stacks.kserve.calls import Reply
from pytest_modelrt.stacks.kserve.judge import MaasFailure
from pytest_modelrt.stacks.kserve.platform import MaasPlatform

WINDOW = 120.0


class Limiter:
    """Five requests per user and window; ``pace`` seconds per request; ``leaks`` names requests it does not see."""

    def __init__(self, pace: float = 1.0, leaks: set[int] | None = None) -> None:
        self.now = 0.0
        self.users = itertools.count()
        self._pace, self._leaks = pace, leaks or set()
        self._counted: Counter[str] = Counter()
        self._window: dict[str, float] = {}
        self._seen = itertools.count(1)

    def __call__(self, account: Account) -> Reply:
        began, user = self.now, account.name
        self.now += self._pace
        status = 200
        if next(self._seen) not in self._leaks:
            if self.now >= self._window.setdefault(user, self.now) + WINDOW:
                self._window[user], self._counted[user] = self.now, 0
            status = 200 if self._counted[user] < 5 else 429
            self._counted[user] += status == 200
        return Reply("GET", "/x", status, {}, "", began, self.now)

    def platform(self) -> MaasPlatform:
        """As much of a platform as a burst asks for: accounts, and a cluster on which everything is in order."""
        happy = {
            "status": {"conditions": [{"type": kind, "status": "True"} for kind in ("Accepted", "Enforced", "Ready")]}
        }
        cluster = SimpleNamespace(
            get=lambda ref: happy, list=lambda resource, *a, **k: [happy] if resource == POD else []
        )
        lookup = Reply("POST", "/maas-api/v1/tiers/lookup", 200, {}, '{"tier": "free"}', 0.0, 0.0)
        parts: dict[str, Any] = {
            "cluster": cluster,
            "accounts": SimpleNamespace(fresh=lambda tier: Account(f"{tier}-{next(self.users)}", "ns", tier, "token")),
            "gateway": SimpleNamespace(post=lambda *a: lookup),
        }
        return cast(MaasPlatform, SimpleNamespace(**parts))


def test_the_limit_is_found_exactly() -> None:
    limiter = Limiter()
    burst = exactly(limiter.platform(), "free", limiter, 5, WINDOW)
    assert (burst.passed, burst.tries) == (5, 1)


def test_a_burst_longer_than_the_window_proves_nothing_and_is_repeated() -> None:
    limiter = Limiter(pace=30.0)
    with pytest.raises(MaasFailure, match="4 of 7 requests filled the window"):
        in_one_window(limiter.platform(), "free", limiter, 7, WINDOW)
    assert next(limiter.users) == TRIES
    assert limiter.now == TRIES * WINDOW  # given up as soon as the window is over


def test_one_request_the_limiter_did_not_see_is_no_failure() -> None:
    limiter = Limiter(leaks={3})
    assert exactly(limiter.platform(), "free", limiter, 5, WINDOW).passed == 5
    assert next(limiter.users) == 2


def test_a_limiter_that_is_away_is_a_failure_with_its_cause() -> None:
    limiter = Limiter(leaks=set(range(1, 1000)))
    with pytest.raises(MaasFailure) as failure:
        exactly(limiter.platform(), "free", limiter, 5, WINDOW)
    assert failure.value.judgement.cause == "gateway-limiter-away"


def test_too_few_is_a_failure_at_once() -> None:
    limiter = Limiter()
    with pytest.raises(MaasFailure, match="only 5 of 6 passed"):
        exactly(limiter.platform(), "free", limiter, 6, WINDOW)
    assert next(limiter.users) == 1


def test_an_answer_that_is_neither_passes_for_nothing() -> None:
    limiter = Limiter()

    def broken(account: Account) -> Reply:
        return Reply("GET", "/x", 500, {}, "Internal Server Error.\n", 0.0, 0.0)

    with pytest.raises(MaasFailure) as failure:
        in_one_window(limiter.platform(), "free", broken, 3, WINDOW)
    assert failure.value.judgement.cause == "gateway-auth-failing"


def test_many_at_once_may_let_a_few_more_through() -> None:
    limiter = Limiter(pace=0.0, leaks={1, 4})
    assert about(limiter.platform(), "free", limiter, 5, WINDOW, at_once=4).passed == 7
