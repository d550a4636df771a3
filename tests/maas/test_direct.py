"""model-a through a port-forward, as the document asks it, and its errors; both generations of the simulator pass."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.stacks.kserve.calls import PROMPT_TOKENS, Caller
from tests.maas import expect

pytestmark = pytest.mark.maas

SUM = "Hello! What is 2+2?"


def test_health_answers_200(direct: Caller) -> None:
    reply = expect.status(direct.get("/health"), 200)
    assert reply.text in ("{}", "")


def test_ready_answers_200_where_it_exists(direct: Caller) -> None:
    older = expect.status(direct.get("/ready"), 200, 404)
    if older.status == 404:
        expect.status(direct.get("/health/ready"), 200)


def test_the_model_lists_itself_and_nothing_else(direct: Caller) -> None:
    data = expect.status(direct.get("/v1/models"), 200).data
    assert data["object"] == "list"
    (model,) = data["data"]
    assert (model["id"], model["object"], model["owned_by"], model["parent"]) == ("model-a", "model", "vllm", None)


@pytest.mark.parametrize("text", list(PROMPT_TOKENS))
def test_a_chat_completion_counts_its_tokens(direct: Caller, text: str) -> None:
    data = expect.chat(direct.chat("", "model-a", text=text, max_tokens=50), "model-a", at_most=50)
    assert data["usage"]["prompt_tokens"] in PROMPT_TOKENS[text]
    assert data["choices"][0]["message"]["content"].strip()


def test_ignore_eos_gives_exactly_max_tokens(direct: Caller) -> None:
    data = expect.chat(direct.chat("", "model-a", max_tokens=30, ignore_eos=True), "model-a", at_most=30)
    assert data["usage"]["completion_tokens"] == 30
    assert data["choices"][0]["finish_reason"] == "length"


def test_a_stream_ends_with_done_and_says_something(direct: Caller) -> None:
    events = expect.stream(direct.chat("", "model-a", text=SUM, max_tokens=20, stream=True))
    assert expect.text_of(events).strip()
    assert all(event["model"] == "model-a" for event in events)
    assert all(not event.get("usage") for event in events)


def test_a_stream_tells_its_usage_when_asked(direct: Caller) -> None:
    options = {"include_usage": True}
    events = expect.stream(direct.chat("", "model-a", max_tokens=20, stream=True, stream_options=options))
    usage = events[-1]["usage"]
    assert events[-1]["choices"] == []
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 1 <= usage["completion_tokens"] <= 20


def test_text_completions_answer_too(direct: Caller) -> None:
    body = {"model": "model-a", "prompt": "Once upon a time", "max_tokens": 10}
    data = expect.status(direct.post("/v1/completions", body), 200).data
    assert data["object"] == "text_completion"
    assert data["choices"][0]["text"]


def test_an_unknown_model_is_404_and_named(direct: Caller) -> None:
    error = expect.status(direct.chat("", "model-zzz"), 404).data["error"]
    assert "model-zzz" in error["message"]
    assert error["code"] == 404


@pytest.mark.parametrize(
    "fields",
    [{"max_tokens": 0}, {"max_tokens": -1}, {"max_tokens": 5000}, {"ignore_eos": True}],
    ids=["no-tokens", "negative", "beyond-the-context", "ignore-eos-without-end"],
)
def test_impossible_requests_are_400_with_a_reason(direct: Caller, fields: dict[str, Any]) -> None:
    error = expect.status(direct.chat("", "model-a", **fields), 400).data["error"]
    assert error["message"]
    assert error["code"] == 400


@pytest.mark.parametrize("body", ["{", "", '"text"'], ids=["broken", "empty", "no-object"])
def test_a_body_that_is_no_request_is_400(direct: Caller, body: str) -> None:
    assert expect.status(direct.post("/v1/chat/completions", body), 400).text


def test_unknown_paths_are_404_and_wrong_methods_405(direct: Caller) -> None:
    expect.status(direct.get("/nothing/here"), 404)
    expect.status(direct.get("/v1/chat/completions"), 405)


def test_metrics_show_what_runs_and_waits(direct: Caller) -> None:
    text = expect.status(direct.get("/metrics"), 200).text
    assert 'vllm:num_requests_running{model_name="model-a"}' in text
    assert 'vllm:num_requests_waiting{model_name="model-a"}' in text
