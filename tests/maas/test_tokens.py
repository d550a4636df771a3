"""Who is let in at all: 401 for everything that is no good token for this gateway."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.model import ApiError
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.accounts import Account, Accounts
from pytest_modelrt.stacks.kserve.calls import Caller
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from tests.maas import expect

pytestmark = pytest.mark.maas

UNLIMITED = "/v1/models"
TOKEN_CACHE_SECONDS = 15.0
"""Real seconds for which an API server may still take a token it saw (10, and some for a busy machine)."""
PATHS = ("/llm/model-a/v1/models", "/llm/model-b/v1/models", "/v1/models")


def _claims(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def _deleted_account(accounts: Accounts) -> str:
    account = accounts.fresh("free")
    accounts.delete(account.ref)
    return account.token


BAD: dict[str, Callable[[Accounts], str | None]] = {
    "no-token": lambda accounts: None,
    "garbage": lambda accounts: "garbage",
    "three-parts-of-garbage": lambda accounts: "aaaa.bbbb.cccc",
    "wrong-audience": lambda accounts: accounts.token(accounts.fresh("free").ref, audiences=("something-else",)),
    "default-audience": lambda accounts: accounts.token(accounts.fresh("free").ref, audiences=()),
    "deleted-account": _deleted_account,
}


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, path) for kind in BAD for path in PATHS if (kind, path) != ("default-audience", "/v1/models")],
)
def test_a_bad_token_is_401(gateway: Caller, accounts: Accounts, path: str, kind: str) -> None:
    """The catalogue also takes the usual audience of API servers (Kind's is another), so that one is left out."""
    expect.unauthenticated(gateway.get(path, BAD[kind](accounts)))


def test_maas_apis_own_health_needs_a_token_too(gateway: Caller, free: Account) -> None:
    expect.unauthenticated(gateway.get("/maas-api/health"))
    expect.status(gateway.get("/maas-api/health", free.token), 200)


@pytest.mark.parametrize("scheme", ["bearer", "Basic", "BEARER"])
def test_another_spelling_of_bearer_is_401(gateway: Caller, free: Account, scheme: str) -> None:
    reply = gateway.get("/llm/model-a/v1/models", None, Authorization=f"{scheme} {free.token}")
    expect.unauthenticated(reply)


def test_a_token_of_an_account_made_anew_is_401(maas: MaasPlatform, gateway: Caller, accounts: Accounts) -> None:
    """At the latest when the API server has forgotten that it let the token pass, which takes it 10 s."""
    name, namespace = f"free-{uuid.uuid4().hex[:10]}", accounts.namespace_of("free")
    old = accounts.token(accounts.create(name, namespace))
    for path in ("/llm/model-a/v1/models", UNLIMITED):
        expect.status(gateway.get(path, old), 200)
    accounts.delete(accounts.ref(name, namespace))
    new = accounts.token(accounts.create(name, namespace))
    forgotten = Deadline(maas.clock, TOKEN_CACHE_SECONDS * maas.clock.speed)
    while (reply := gateway.get(UNLIMITED, old)).status == 200 and not forgotten.expired:
        maas.clock.sleep(maas.clock.speed)
    expect.unauthenticated(reply)
    expect.unauthenticated(gateway.get("/llm/model-a/v1/models", old))
    expect.status(gateway.get("/llm/model-a/v1/models", new), 200)


def test_a_token_says_for_whom_and_how_long_it_is(maas: MaasPlatform, accounts: Accounts, free: Account) -> None:
    claims = _claims(accounts.token(free.ref, seconds=3600))
    assert claims["aud"] == [names.AUDIENCE]
    lifetime = claims["exp"] - claims["iat"]
    # times on the wire are real: a fast API server shortens them, another one under a fast simulator does not
    assert any(3500 <= seconds <= 3700 for seconds in (lifetime, lifetime * maas.clock.speed))
    assert claims["sub"] == f"system:serviceaccount:{free.namespace}:{free.name}"


def test_the_api_refuses_tokens_shorter_than_ten_minutes(accounts: Accounts, free: Account) -> None:
    with pytest.raises(ApiError) as refusal:
        accounts.token(free.ref, seconds=599)
    assert (refusal.value.code, refusal.value.reason) == (422, "Invalid")


def test_refused_callers_cost_nothing(maas: MaasPlatform, gateway: Caller, accounts: Accounts) -> None:
    """A token of the wrong audience names the same user: were it counted, the budget would be gone."""
    account = accounts.fresh("free")
    wrong = accounts.token(account.ref, audiences=("something-else",))
    for _ in range(6):
        expect.unauthenticated(gateway.get("/llm/model-a/v1/models", wrong))
    expect.status(gateway.get("/llm/model-a/v1/models", account.token), 200)
