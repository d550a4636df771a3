"""Token limits: charged after the reply, per user and route, in windows of one minute."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pytest_modelrt.stacks.kserve.accounts import Account
from pytest_modelrt.stacks.kserve.bursts import Send, exactly, in_one_window, wait_out
from pytest_modelrt.stacks.kserve.calls import Caller, Reply
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from tests.maas import expect
from tests.maas.conftest import Note

pytestmark = pytest.mark.maas

WINDOW = 60.0
LIMIT = 100
SIXTY: dict[str, Any] = {"max_tokens": 60, "ignore_eos": True}
"""More than half the limit and less than all of it: the first two requests pass, the third is refused."""


def _chat(gateway: Caller, **fields: Any) -> Send:
    def send(account: Account) -> Reply:
        return gateway.chat("/llm/model-a", "model-a", account.token, text="Hi", **fields)

    return send


def test_the_request_that_crosses_the_limit_passes_and_the_next_is_refused(
    maas: MaasPlatform, gateway: Caller, note: Note
) -> None:
    burst = exactly(maas, "free", _chat(gateway, **SIXTY), 2, WINDOW, beyond=1)
    spent = sum(reply.data["usage"]["total_tokens"] for reply in burst.replies[:2])
    note(limit={"tier": "free", "kind": "tokens", "limit": LIMIT, "passed": spent, "bursts": burst.tries})
    assert spent >= LIMIT
    expect.refused_by_limit(burst.replies[-1])


def test_one_request_is_never_refused_for_its_own_max_tokens(gateway: Caller, free: Account) -> None:
    expect.status(gateway.chat("/llm/model-a", "model-a", free.token, text="Hi", max_tokens=500), 200)


def test_a_stream_with_usage_is_charged(maas: MaasPlatform, gateway: Caller) -> None:
    stream = _chat(gateway, **SIXTY, stream=True, stream_options={"include_usage": True})
    exactly(maas, "free", stream, 2, WINDOW, beyond=1)


def test_a_stream_without_usage_costs_no_tokens(maas: MaasPlatform, gateway: Caller) -> None:
    burst = in_one_window(maas, "free", _chat(gateway, **SIXTY, stream=True), 4, WINDOW)
    for reply in burst.replies:
        expect.status(reply, 200)


def test_answers_without_usage_cost_no_tokens(maas: MaasPlatform, gateway: Caller) -> None:
    """Three lists, then two requests of 60 tokens: only these are charged."""
    asked: Counter[str] = Counter()

    def lists_first(account: Account) -> Reply:
        asked[account.name] += 1
        if asked[account.name] <= 3:
            return gateway.get("/llm/model-a/v1/models", account.token)
        return _chat(gateway, **SIXTY)(account)

    burst = in_one_window(maas, "free", lists_first, 5, WINDOW)
    for reply in burst.replies:
        expect.status(reply, 200)


@pytest.mark.usefixtures("tiers")
def test_a_higher_tier_may_spend_more(maas: MaasPlatform, gateway: Caller) -> None:
    burst = in_one_window(maas, "premium", _chat(gateway, **SIXTY), 5, WINDOW)
    for reply in burst.replies:
        expect.status(reply, 200)


def test_a_new_window_forgets_what_was_spent(maas: MaasPlatform, gateway: Caller, note: Note) -> None:
    burst = exactly(maas, "free", _chat(gateway, **SIXTY), 2, WINDOW, beyond=1)
    wait_out(maas, burst.replies[-1].ended, WINDOW)
    reply = expect.status(_chat(gateway, **SIXTY)(burst.account), 200)
    note(recovery={"kind": "tokens", "window": WINDOW, "after": round(reply.began - burst.began, 1)})
