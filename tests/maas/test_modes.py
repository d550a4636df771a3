"""The inference simulator's other mode, on a copy of model-a."""

from __future__ import annotations

import pytest

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from pytest_modelrt.stacks.kserve.waiting import wait_healthy, wait_ready
from tests.maas import expect
from tests.maas.conftest import Deploy, patience

pytestmark = pytest.mark.maas


def _echo(service: Object) -> None:
    words = service["spec"]["template"]["containers"][0]["args"]
    words[words.index("--mode") + 1] = "echo"


def test_echo_mode_says_what_it_was_told(maas: MaasPlatform, deploy: Deploy) -> None:
    model = deploy(_echo)
    deadline = patience(maas)
    wait_ready(maas.cluster, model.service, deadline)
    wait_healthy(maas.cluster, model.service, deadline)
    direct = maas.direct(model)
    data = expect.chat(direct.chat("", model.name, text="plain words, nothing else"), model.name, at_most=10)
    assert data["choices"][0]["message"]["content"].split() == ["plain", "words,", "nothing", "else"]
    events = expect.stream(direct.chat("", model.name, text="plain words", stream=True))
    assert expect.text_of(events).split() == ["plain", "words"]
