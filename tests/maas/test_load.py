"""Load: figures a person can read. ``pytest -m load``; they are in the terminal's last section and on the page."""

from __future__ import annotations

import pytest

from pytest_modelrt.stacks.kserve.accounts import Accounts
from pytest_modelrt.stacks.kserve.calls import Caller
from pytest_modelrt.stacks.kserve.judge import Judgement, MaasFailure
from pytest_modelrt.stacks.kserve.load import AUTH_KIND, measure
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from tests.maas.conftest import Note

pytestmark = [pytest.mark.maas, pytest.mark.load]

REQUESTS = 60
BUDGET = 50
"""Requests of the enterprise tier per window."""


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("at_once", [1, 5, 20])
def test_a_model_under_load_answers_every_request(
    maas: MaasPlatform, direct: Caller, note: Note, at_once: int, stream: bool
) -> None:
    figures = measure(
        lambda: direct.chat("", "model-a", max_tokens=20, stream=stream),
        way="direct",
        model="model-a",
        at_once=at_once,
        requests=REQUESTS,
        stream=stream,
        now=maas.clock.monotonic,
    )
    note(load=figures.as_data() | {"speed": maas.clock.speed})
    if figures.errors:
        raise MaasFailure(f"errors under load: {figures.errors}", Judgement("gateway-wrong-answer", ""))
    assert figures.answered == REQUESTS


@pytest.mark.usefixtures("tiers")
def test_the_gateway_under_load_answers_or_refuses_and_never_fails(
    maas: MaasPlatform, gateway: Caller, accounts: Accounts, note: Note
) -> None:
    account = accounts.fresh("enterprise")
    figures = measure(
        lambda: gateway.chat("/llm/model-a", "model-a", account.token, text="Hi", max_tokens=5),
        way="gateway",
        model="model-a",
        at_once=5,
        requests=REQUESTS,
        stream=False,
        now=maas.clock.monotonic,
    )
    note(load=figures.as_data() | {"speed": maas.clock.speed})
    odd = {kind: count for kind, count in figures.errors.items() if kind != "429"}
    if odd:
        cause = "gateway-auth-failing" if AUTH_KIND in odd else "gateway-wrong-answer"
        raise MaasFailure(f"errors under load: {odd}", Judgement(cause, f"{figures.answered} answered"))
    assert figures.answered >= BUDGET
