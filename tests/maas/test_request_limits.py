"""Request limits: per tier, user and route, in windows of two minutes. How flakes are kept out: ``bursts``."""

from __future__ import annotations

import itertools

import pytest

from pytest_modelrt.stacks.kserve.accounts import Account, Accounts
from pytest_modelrt.stacks.kserve.bursts import Send, about, exactly, wait_out
from pytest_modelrt.stacks.kserve.calls import Caller, Reply
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from tests.maas import expect
from tests.maas.conftest import EVERYBODY_FREE, Note

pytestmark = pytest.mark.maas

WINDOW = 120.0
LIMITS = {"free": 5, "premium": 20, "enterprise": 50}
MODEL_LIST = "/llm/model-a/v1/models"


def _chat(gateway: Caller) -> Send:
    """The smallest request there is: far below the token limit even five times over."""

    def send(account: Account) -> Reply:
        return gateway.chat("/llm/model-a", "model-a", account.token, text="Hi", max_tokens=1)

    return send


def _list(gateway: Caller) -> Send:
    return lambda account: gateway.get(MODEL_LIST, account.token)


@pytest.mark.parametrize("tier", list(LIMITS))
def test_a_tier_gets_exactly_its_requests_per_window(
    maas: MaasPlatform, gateway: Caller, note: Note, tier: str
) -> None:
    if tier != "free" and maas.tiers_by_user_name:
        pytest.xfail(EVERYBODY_FREE)
    way = _chat if tier == "free" else _list  # many requests in one window: the quicker ones
    burst = exactly(maas, tier, way(gateway), LIMITS[tier], WINDOW)
    note(limit={"tier": tier, "kind": "requests", "limit": LIMITS[tier], "passed": burst.passed, "bursts": burst.tries})
    expect.refused_by_limit(burst.replies[-1])


def test_both_rules_of_a_route_share_one_budget(maas: MaasPlatform, gateway: Caller) -> None:
    ways = itertools.cycle([_chat(gateway), _list(gateway)])

    def in_turn(account: Account) -> Reply:
        return next(ways)(account)

    exactly(maas, "free", in_turn, LIMITS["free"], WINDOW)


@pytest.mark.usefixtures("tiers")
def test_users_and_routes_have_budgets_of_their_own(maas: MaasPlatform, gateway: Caller, accounts: Accounts) -> None:
    burst = exactly(maas, "premium", _list(gateway), LIMITS["premium"], WINDOW)
    expect.status(gateway.get("/llm/model-b/v1/models", burst.account.token), 200)
    expect.status(gateway.get(MODEL_LIST, accounts.fresh("premium").token), 200)


def test_a_new_window_lets_requests_pass_again(maas: MaasPlatform, gateway: Caller, note: Note) -> None:
    burst = exactly(maas, "free", _list(gateway), LIMITS["free"], WINDOW)
    last = burst.replies[-1]
    wait_out(maas, last.ended, WINDOW)  # by then the window is over, whenever in the burst it began
    reply = expect.status(gateway.get(MODEL_LIST, burst.account.token), 200)
    note(recovery={"kind": "requests", "window": WINDOW, "after": round(reply.began - burst.began, 1)})


def test_refused_requests_do_not_extend_the_window(maas: MaasPlatform, gateway: Caller) -> None:
    burst = exactly(maas, "free", _list(gateway), LIMITS["free"], WINDOW)
    ends = burst.replies[0].ended + WINDOW
    while maas.clock.monotonic() < ends - 10.0:  # refused, beside those of the burst
        maas.clock.sleep(10.0)
        expect.status(gateway.get(MODEL_LIST, burst.account.token), 429, 200)
    wait_out(maas, burst.replies[0].ended, WINDOW)
    expect.status(gateway.get(MODEL_LIST, burst.account.token), 200)


def test_the_catalogue_is_not_limited(gateway: Caller, free: Account) -> None:
    for _ in range(LIMITS["free"] + 3):
        expect.status(gateway.get("/v1/models", free.token), 200)


@pytest.mark.usefixtures("tiers")
def test_many_at_once_pass_about_the_limit_and_no_answer_is_an_error(
    maas: MaasPlatform, gateway: Caller, note: Note
) -> None:
    burst = about(maas, "premium", _list(gateway), LIMITS["premium"], WINDOW, at_once=4)
    note(
        limit={
            "tier": "premium",
            "kind": "requests, 4 at once",
            "limit": 20,
            "passed": burst.passed,
            "bursts": burst.tries,
        }
    )
