"""Which tier may ask which model: RBAC decides, the tier only names the account's namespace."""

from __future__ import annotations

import pytest

from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.accounts import Accounts
from pytest_modelrt.stacks.kserve.calls import Caller
from pytest_modelrt.stacks.kserve.judge import Judgement, MaasFailure, look_up_tier
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from tests.maas import expect
from tests.maas.conftest import EVERYBODY_FREE, Note

pytestmark = pytest.mark.maas

MATRIX = {
    ("free", "model-a"): 200,
    ("free", "model-b"): 403,
    ("premium", "model-a"): 200,
    ("premium", "model-b"): 200,
    ("enterprise", "model-a"): 200,
    ("enterprise", "model-b"): 200,
}


@pytest.mark.parametrize(("tier", "model"), list(MATRIX), ids=[f"{tier}-{model}" for tier, model in MATRIX])
def test_a_tier_may_ask_its_models_and_no_other(
    gateway: Caller, accounts: Accounts, note: Note, tier: str, model: str
) -> None:
    account, wanted = accounts.fresh(tier), MATRIX[tier, model]
    chat = gateway.chat(f"/llm/{model}", model, account.token, max_tokens=5)
    listing = gateway.get(f"/llm/{model}/v1/models", account.token)
    note(matrix={"tier": tier, "model": model, "expected": wanted, "chat": chat.status, "models": listing.status})
    for reply in (chat, listing):
        expect.status(reply, wanted)


@pytest.mark.parametrize("tier", names.TIERS)
def test_the_overlays_account_of_a_tier_is_let_in(gateway: Caller, accounts: Accounts, tier: str) -> None:
    expect.status(gateway.get("/v1/models", accounts.standing(tier).token), 200)


@pytest.mark.parametrize("model", ["model-a", "model-b"])
def test_an_account_of_no_tier_is_403(gateway: Caller, accounts: Accounts, note: Note, model: str) -> None:
    stranger = accounts.stranger()
    reply = gateway.chat(f"/llm/{model}", model, stranger.token, max_tokens=5)
    note(matrix={"tier": "none", "model": model, "expected": 403, "chat": reply.status, "models": None})
    expect.status(reply, 403)
    assert reply.text == ""
    assert "not authorized" in reply.headers.get("x-ext-auth-reason", "")


def test_the_catalogue_is_open_to_every_account(gateway: Caller, accounts: Accounts) -> None:
    expect.status(gateway.get("/v1/models", accounts.stranger().token), 200)


def test_a_new_binding_counts_at_the_next_request_and_refusals_cost_nothing(
    gateway: Caller, accounts: Accounts
) -> None:
    stranger = accounts.stranger()
    for _ in range(6):  # one more than the free budget
        expect.status(gateway.get("/llm/model-b/v1/models", stranger.token), 403)
    binding = accounts.bind(stranger.ref, "model-b")
    expect.status(gateway.get("/llm/model-b/v1/models", stranger.token), 200)
    accounts.delete(binding)
    expect.status(gateway.get("/llm/model-b/v1/models", stranger.token), 403)


@pytest.mark.parametrize("tier", names.TIERS)
def test_the_lookup_knows_the_tier_of_an_account(maas: MaasPlatform, accounts: Accounts, tier: str) -> None:
    found = look_up_tier(maas, accounts.fresh(tier))
    if tier != "free" and found == "free" and maas.tiers_by_user_name:
        pytest.xfail(EVERYBODY_FREE)
    if isinstance(found, Judgement):
        raise MaasFailure(f"no tier for an account of {tier}", found)
    if found != tier:
        raise MaasFailure(f"expected {tier}, got {found}", Judgement("gateway-tier-wrong", ""))
