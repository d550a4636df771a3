"""Why a test about the gateway failed: from what the platform shows at that moment to a cause."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from pytest_modelrt.cluster.model import POD
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.accounts import Account
from pytest_modelrt.stacks.kserve.calls import Reply
from pytest_modelrt.stacks.kserve.platform import MaasPlatform, unhappy_policies
from pytest_modelrt.stacks.kserve.waiting import is_true


@dataclass(frozen=True, slots=True)
class Judgement:
    """A cause of the taxonomy and the line that shows it."""

    cause: str
    proof: str


class MaasFailure(AssertionError):
    """An answer was not as promised; carries the cause."""

    def __init__(self, text: str, judgement: Judgement) -> None:
        super().__init__(f"{judgement.cause}: {text}; {judgement.proof}" if judgement.proof else text)
        self.judgement = judgement
        self.text = text


def wrong_answer(reply: Reply) -> Judgement:
    """The cause behind an unexpected answer of the gateway or a model."""
    if reply.auth_failed:
        return Judgement("gateway-auth-failing", f"the gateway's own words: {reply}")
    return Judgement("gateway-wrong-answer", f"answer: {reply}")


def not_limited(platform: MaasPlatform, account: Account) -> Judgement:
    """The cause behind requests that pass though the budget of ``account`` is used up."""
    policies = unhappy_policies(platform.cluster)
    if policies:
        return Judgement("gateway-policy-not-enforced", "; ".join(policies))
    pods = platform.cluster.list(POD, names.KUADRANT_NAMESPACE, labels="app=limitador")
    if not any(is_true(pod, "Ready") for pod in pods):
        return Judgement("gateway-limiter-away", f"no ready pod app=limitador in {names.KUADRANT_NAMESPACE}")
    tier = look_up_tier(platform, account)
    if isinstance(tier, Judgement):
        return tier
    if tier != account.tier:
        return Judgement("gateway-tier-wrong", f"{account.namespace}/{account.name} is looked up as {tier!r}")
    return Judgement("gateway-limiter-away", f"the tier is right ({tier}) and the policies are enforced")


def look_up_tier(platform: MaasPlatform, account: Account) -> str | Judgement:
    """What maas-api says about the groups of an account; asked as the gateway asks it."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{account.namespace}", "system:authenticated"]
    try:
        reply = platform.gateway.post("/maas-api/v1/tiers/lookup", {"groups": groups}, account.token)
    except httpx.HTTPError as error:
        return Judgement("gateway-unreachable", f"{type(error).__name__}: {error}")
    if reply.status != httpx.codes.OK:
        return Judgement("gateway-auth-failing" if reply.auth_failed else "gateway-tier-lookup", str(reply))
    return str(reply.data.get("tier"))
