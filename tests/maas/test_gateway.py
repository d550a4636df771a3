"""Both models and the catalogue through the gateway: routing, rewriting, and what is not reachable."""

from __future__ import annotations

import pytest

from pytest_modelrt.stacks.kserve.accounts import Account
from pytest_modelrt.stacks.kserve.calls import PROMPT_TOKENS, Caller
from tests.maas import expect

pytestmark = pytest.mark.maas

HELLO = "Hello, how are you?"


def test_the_catalogue_lists_both_models_without_url(gateway: Caller, free: Account) -> None:
    data = expect.status(gateway.get("/v1/models", free.token), 200).data
    listed = {model["id"]: model for model in data["data"]}
    for name in ("model-a", "model-b"):
        assert (listed[name]["owned_by"], listed[name]["ready"]) == ("llm", True)
        assert not listed[name].get("url")


@pytest.mark.parametrize("model", ["model-a", "model-b"])
def test_a_model_answers_under_its_own_path(gateway: Caller, premium: Account, model: str) -> None:
    reply = gateway.chat(f"/llm/{model}", model, premium.token, text=HELLO, max_tokens=50)
    data = expect.chat(reply, model, at_most=50)
    assert data["usage"]["prompt_tokens"] in PROMPT_TOKENS[HELLO]


@pytest.mark.parametrize("model", ["model-a", "model-b"])
def test_the_models_own_list_is_behind_its_path(gateway: Caller, premium: Account, model: str) -> None:
    data = expect.status(gateway.get(f"/llm/{model}/v1/models", premium.token), 200).data
    assert [entry["id"] for entry in data["data"]] == [model]


@pytest.mark.parametrize("model", ["model-a", "model-b"])
def test_a_stream_passes_the_gateway(gateway: Caller, premium: Account, model: str) -> None:
    reply = gateway.chat(f"/llm/{model}", model, premium.token, max_tokens=20, stream=True)
    assert expect.text_of(expect.stream(reply)).strip()


def test_the_path_decides_and_the_body_does_not(gateway: Caller, premium: Account) -> None:
    error = expect.status(gateway.chat("/llm/model-a", "model-b", premium.token), 404).data["error"]
    assert "model-b" in error["message"]


def test_the_rest_of_the_path_is_kept(gateway: Caller, free: Account) -> None:
    reply = expect.status(gateway.get("/llm/model-a/v1/models/x", free.token), 404)
    assert reply.text, "the model's own 404 has a body, the gateway's has none"


@pytest.mark.parametrize("with_token", [False, True], ids=["without-token", "with-token"])
@pytest.mark.parametrize(
    "path", ["/llm/model-a/health", "/llm/model-a/metrics", "/llm/zzz/v1/models", "/v1/chat/completions", "/health"]
)
def test_what_has_no_route_is_404_whoever_asks(gateway: Caller, free: Account, path: str, with_token: bool) -> None:
    expect.status(gateway.get(path, free.token if with_token else None), 404)


@pytest.mark.parametrize("host", ["127.0.0.1", "maas.local"])
def test_another_host_name_is_404(gateway: Caller, free: Account, host: str) -> None:
    expect.status(gateway.get("/llm/model-a/v1/models", free.token, Host=host), 404)


def test_a_longer_path_element_is_no_match(gateway: Caller, free: Account) -> None:
    expect.status(gateway.get("/v1/modelsX", free.token), 404)
