"""The HTTP surface of v0.5.1, and of the later generation where that differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.selftest.simulator.inference_sim.conftest import HELLO, Running, inference_sim


def frames(response: httpx.Response) -> list[Any]:
    """Decoded frames of a stream; the last is the text [DONE]."""
    assert response.headers["content-type"] == "text/event-stream"
    payloads = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert payloads[-1] == "[DONE]"
    return [json.loads(payload) for payload in payloads[:-1]]


def test_health_and_ready(sim: Running) -> None:
    for path in ("/health", "/ready"):
        response = sim.client.get(path)
        assert (response.status_code, response.text) == (200, "{}")
        assert response.headers["content-type"] == "application/json"
    assert sim.client.head("/health").status_code == 405


def test_models(sim: Running) -> None:
    listed = sim.client.get("/v1/models").json()
    assert listed["object"] == "list"
    [item] = listed["data"]
    assert item.pop("created") > 0
    assert item == {"id": "model-a", "object": "model", "owned_by": "vllm", "root": "model-a", "parent": None}


def test_chat(sim: Running) -> None:
    reply = sim.reply(max_tokens=50)
    assert list(reply) == [
        "id", "created", "model", "usage", "object", "do_remote_decode", "do_remote_prefill", "remote_block_ids",
        "remote_engine_id", "remote_host", "remote_port", "choices",
    ]  # fmt: skip
    assert reply["id"].startswith("chatcmpl-")
    assert reply["object"] == "chat.completion"
    usage = reply["usage"]
    assert usage["prompt_tokens"] == 6
    assert 1 <= usage["completion_tokens"] <= 50
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    [choice] = reply["choices"]
    assert choice["finish_reason"] in ("stop", "length")
    assert choice["message"]["role"] == "assistant"
    assert sim.chat(max_tokens=1).headers["x-inference-pod"] == "pod-1"


def test_ignore_eos_gives_exactly_the_limit(sim: Running) -> None:
    reply = sim.reply(max_tokens=60, ignore_eos=True)
    assert reply["usage"]["completion_tokens"] == 60
    assert reply["choices"][0]["finish_reason"] == "length"
    assert sim.reply(max_tokens=9, max_completion_tokens=3, ignore_eos=True)["usage"]["completion_tokens"] == 3


def test_text_completion(sim: Running) -> None:
    response = sim.client.post("/v1/completions", json={"model": "model-a", "prompt": "2+2?", "max_tokens": 4})
    reply = response.json()
    assert (reply["object"], reply["usage"]["prompt_tokens"]) == ("text_completion", 4)
    assert reply["id"].startswith("chatcmpl-")
    assert reply["choices"][0]["text"]


def test_stream_of_v051(sim: Running) -> None:
    chunks = frames(sim.chat(stream=True, max_tokens=3, ignore_eos=True))
    assert len({chunk["id"] for chunk in chunks}) == len(chunks) == 4
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "length"]
    assert all(chunk["usage"] is None for chunk in chunks)


def test_stream_that_stops_has_an_extra_chunk(sim: Running) -> None:
    chunks = frames(sim.chat(stream=True))
    assert chunks[-1]["choices"] == [{"index": 0, "finish_reason": "stop", "delta": {"content": ""}}]


def test_stream_with_usage(sim: Running) -> None:
    options = {"include_usage": True}
    chunks = frames(sim.chat(stream=True, max_tokens=3, ignore_eos=True, stream_options=options))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"model": "model-b"}, 404, "NotFoundError"),
        ({"model": ""}, 404, "NotFoundError"),
        ({"max_tokens": 0}, 400, "BadRequestError"),
        ({"max_tokens": 2000}, 400, "BadRequestError"),
        ({"ignore_eos": True}, 400, "BadRequestError"),
    ],
)
def test_refusals_are_json(sim: Running, fields: dict[str, Any], status: int, kind: str) -> None:
    response = sim.chat(**fields)
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (kind, status, None)
    if status == 404:
        assert f"`{fields['model']}`" in error["message"]


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"model":"model-a","max_tokens":"ten"}', '{"model":"model-a","tool_choice":{}}']
)
def test_what_is_no_request_is_told_in_plain_text(sim: Running, later: Running, body: str) -> None:
    response = sim.client.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text.startswith("Failed to read and parse request body, ")
    if "tool_choice" not in body:
        response = later.client.post("/v1/chat/completions", content=body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, 400)


def test_empty_messages_are_fine(sim: Running) -> None:
    assert sim.reply(messages=[], max_tokens=1)["usage"]["prompt_tokens"] == 0


def test_manners_of_the_router(sim: Running) -> None:
    missing = sim.client.get("/v1/nothing")
    assert (missing.status_code, missing.text) == (404, "Not Found")
    wrong = sim.client.get("/v1/chat/completions")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, OPTIONS")
    assert sim.client.options("/v1/models").headers["allow"] == "GET, OPTIONS"
    moved = sim.client.get("/v1/models/", headers={"Host": "localhost"})
    assert (moved.status_code, moved.headers["location"]) == (301, "http://localhost/v1/models")
    assert sim.client.post("/v1/Chat/completions", json={}).status_code == 307


def test_bodies_over_four_mebibytes_get_an_empty_answer(sim: Running) -> None:
    response = sim.client.post("/v1/chat/completions", content=b"x" * (4 * 2**20 + 1))
    assert (response.status_code, response.content) == (200, b"")


def test_tokenize_needs_a_tokenizer(sim: Running) -> None:
    response = sim.client.post("/tokenize", json={"prompt": "x"})
    assert response.status_code == 500
    assert response.text.startswith("Failed to tokenize, ")


def test_adapters_come_and_go(sim: Running) -> None:
    assert sim.client.post("/v1/load_lora_adapter", json={"lora_name": "poet", "lora_path": "/x"}).status_code == 200
    assert [entry["parent"] for entry in sim.client.get("/v1/models").json()["data"]] == [None, "model-a"]
    assert sim.reply(model="poet", max_tokens=1)["model"] == "poet"
    sim.client.post("/v1/unload_lora_adapter", json={"lora_name": "poet"})
    assert sim.chat(model="poet").status_code == 404


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a place",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["place", "days"],
        },
    },
}


def test_required_tools_are_called(sim: Running) -> None:
    reply = sim.reply(tools=[TOOL], tool_choice="required")
    [choice] = reply["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "")
    call = choice["message"]["tool_calls"][0]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]).keys() == {"place", "days"}
    assert "TokenizedArguments" in call["function"]
    assert sim.reply(tools=[TOOL], tool_choice="none", max_tokens=1)["choices"][0]["message"]["content"]


def test_metrics_of_v051_are_gauges(sim: Running) -> None:
    page = sim.client.get("/metrics").text
    assert 'vllm:num_requests_running{model_name="model-a"} 0' in page
    assert 'vllm:num_requests_waiting{model_name="model-a"} 0' in page
    assert "gpu_cache_usage_perc" in page
    assert " counter" not in page


def test_aliases_hide_the_model_name() -> None:
    with inference_sim(["--served-model-name", "first", "second"]) as running:
        assert running.chat(model="model-a").status_code == 404
        assert running.reply(model="second", max_tokens=1)["model"] == "first"


def test_echo_mode() -> None:
    with inference_sim(["--mode", "echo"]) as running:
        reply = running.reply()
        assert reply["choices"][0]["message"]["content"] == "Hello, how are you?"
        assert reply["usage"]["completion_tokens"] == 6


def test_injected_failures() -> None:
    with inference_sim(["--failure-injection-rate", "100", "--failure-types", "rate_limit"]) as running:
        response = running.chat()
        assert (response.status_code, response.json()["error"]["type"]) == (429, "RateLimitError")
        assert running.client.get("/v1/models").status_code == 200


def test_later_generation(later: Running) -> None:
    assert later.client.get("/ready").status_code == 404
    assert later.client.get("/health/ready").status_code == 200
    assert later.client.get("/health").content == b""
    assert later.client.get("/v1/models").json()["data"][0]["max_model_len"] == 1024
    reply = later.reply(max_tokens=5)
    assert "remote_host" not in reply
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["prompt_tokens_details"]) == (11, None)
    chunks = frames(later.chat(stream=True, max_tokens=2, ignore_eos=True))
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[-1]["choices"] == [{"index": 0, "finish_reason": "length", "delta": {}}]
    asked = {"model": "model-a", "messages": HELLO}
    forced = later.client.post("/v1/chat/completions", json=asked, headers={"X-Return-Error": "503"})
    assert (forced.status_code, forced.json()["error"]["code"]) == (503, 503)
    assert "vllm:request_success_total" in later.client.get("/metrics").text


@pytest.fixture
def client(sim: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{sim.client.base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_the_official_client_understands_it(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["model-a"]
    reply = client.chat.completions.create(model="model-a", messages=[{"role": "user", "content": "Hi"}], max_tokens=5)
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    said = client.chat.completions.create(
        model="model-a",
        messages=[{"role": "user", "content": "Hi"}],
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
    )
    counts = [chunk.usage for chunk in said if chunk.usage is not None]
    assert len(counts) == 1
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="model-z", messages=[])
