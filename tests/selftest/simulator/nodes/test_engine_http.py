"""The engines' HTTP, with the official client and with bad requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from pytest_modelrt.simulator.scenario import Scenario
from tests.selftest.simulator.nodes.lab import Running, case_named, scenario_of, served

QWEN = "Qwen/Qwen3-8B"
GEMMA = "google/gemma-3-1b-it"


def with_engine(
    resource_name: str, check: Callable[[Running], Awaitable[None]], scenario: Scenario | None = None
) -> None:
    async def main() -> None:
        async with served(case_named(resource_name), scenario) as engine:
            await check(engine)

    asyncio.run(main())


async def post(engine: Running, path: str, body: Any, **options: Any) -> httpx.Response:
    async with engine.client() as client:
        if isinstance(body, bytes):
            return await client.post(path, content=body, **options)
        return await client.post(path, json=body, **options)


def test_official_client_chats_streams_and_counts() -> None:
    async def check(engine: Running) -> None:
        client = openai.AsyncOpenAI(base_url=f"{engine.url()}/v1", api_key="none", max_retries=0)
        question: Any = [{"role": "user", "content": "hello, who are you"}]
        whole = await client.chat.completions.create(model=GEMMA, messages=question)
        assert whole.choices[0].finish_reason == "stop"
        said = whole.choices[0].message.content
        assert said is not None
        assert "gemma-3-1b-it" in said
        stream = await client.chat.completions.create(
            model=GEMMA, messages=question, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == said
        assert chunks[-1].usage == whole.usage
        short = await client.completions.create(model=GEMMA, prompt="My name is", max_tokens=3)
        assert short.choices[0].finish_reason == "length"
        assert short.usage is not None
        assert short.usage.completion_tokens == 3
        assert [card.id async for card in client.models.list()] == [GEMMA]

    with_engine("gemma-3-1b-it", check)


def test_official_client_gets_embeddings() -> None:
    async def check(engine: Running) -> None:
        client = openai.AsyncOpenAI(base_url=f"{engine.url()}/v1", api_key="none", max_retries=0)
        found = await client.embeddings.create(model="BAAI/bge-m3", input=["one", "two"])
        assert [len(entry.embedding) for entry in found.data] == [1024, 1024]
        with pytest.raises(openai.BadRequestError, match="embedding model"):
            await client.completions.create(model="BAAI/bge-m3", prompt="x")

    with_engine("bge-m3", check)


def test_reasoning_stands_in_think_tags_and_may_be_cut() -> None:
    async def check(engine: Running) -> None:
        body = {"model": QWEN, "messages": [{"role": "user", "content": "hi"}]}
        whole = (await post(engine, "/v1/chat/completions", body)).json()["choices"][0]
        assert whole["message"]["content"].startswith("<think>")
        assert "</think>" in whole["message"]["content"]
        cut = (await post(engine, "/v1/chat/completions", {**body, "max_tokens": 4})).json()["choices"][0]
        assert cut["finish_reason"] == "length"
        assert "</think>" not in cut["message"]["content"]

    with_engine("qwen3-8b", check)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v1/chat/completions", b"{not json", 400, "JSON"),
        ("/v1/chat/completions", [], 400, "object"),
        ("/v1/chat/completions", {"model": GEMMA, "messages": []}, 400, "Messages cannot be empty"),
        ("/v1/chat/completions", {"model": GEMMA, "messages": [{"role": "user", "content": 3}]}, 400, "content"),
        (
            "/v1/chat/completions",
            {"model": "x/y", "messages": [{"role": "user"}]},
            404,
            "The model 'x/y' does not exist",
        ),
        ("/v1/completions", {"model": GEMMA, "prompt": "word " * 9000}, 400, "longer than the model's context length"),
        ("/v1/completions", {"model": GEMMA, "prompt": "x", "max_tokens": -1}, 400, "max_tokens"),
        ("/v1/completions", {"model": GEMMA}, 400, "prompt"),
        ("/v1/embeddings", {"model": GEMMA, "input": "x"}, 400, "does not appear to be an embedding model"),
        ("/v1/rerank", {"model": GEMMA, "query": "x", "documents": ["y"]}, 400, "cross-encoder"),
        ("/classify", {"text": ["x"]}, 400, "does not appear to be an embedding model"),
        (
            "/v1/chat/completions",
            {
                "model": GEMMA,
                "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            },
            400,
            "does not accept images",
        ),
        ("/v1/nothing", {}, 404, "Not Found"),
    ],
)
def test_bad_requests_are_refused_like_a_real_engine_does(path: str, body: Any, status: int, words: str) -> None:
    async def check(engine: Running) -> None:
        answer = await post(engine, path, body)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text

    with_engine("gemma-3-1b-it", check)


def test_without_a_chat_template_chat_is_refused_and_completion_works() -> None:
    async def check(engine: Running) -> None:
        body = {"messages": [{"role": "user", "content": "hi"}]}
        refusal = await post(engine, "/v1/chat/completions", body)
        assert refusal.status_code == 400
        assert "tokenizer.chat_template is not set" in refusal.json()["message"]
        assert (await post(engine, "/v1/completions", {"prompt": "Hi"})).status_code == 200

    with_engine("persimmon-8b-chat", check)


def test_health_metrics_and_native_generation() -> None:
    async def check(engine: Running) -> None:
        native = await post(engine, "/generate", {"text": "I am", "sampling_params": {"max_new_tokens": 5}})
        assert native.json()["meta_info"]["completion_tokens"] == 5
        async with engine.client() as client:
            assert (await client.get("/health")).status_code == 200
            assert (await client.get("/health_generate")).status_code == 200
            assert "sglang:generation_tokens_total" in (await client.get("/metrics")).text
            assert (await client.get("/v1/models/nobody/nothing")).status_code == 404

    with_engine("gemma-3-1b-it", check)


def test_a_scenario_overrides_paths_in_turn(tmp_path: Path) -> None:
    scenario = scenario_of(
        """
        models:
        - match: gemma-3-1b-it
          generation: {text: "!!!!!!!!"}
          http:
          - {path: /v1/completions, status: 500, body: {object: error}, after: 1, times: 1}
          - {path: /v1/embeddings, reset: true}
        """,
        tmp_path,
    )

    async def check(engine: Running) -> None:
        answers = [await post(engine, "/v1/completions", {"prompt": "x"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert answers[0].json()["choices"][0]["text"] == "!!!!!!!!"
        with pytest.raises(httpx.TransportError):
            await post(engine, "/v1/embeddings", {"input": "x"})

    with_engine("gemma-3-1b-it", check, scenario)


def test_a_request_can_kill_the_engine(tmp_path: Path) -> None:
    scenario = scenario_of(
        """
        models:
        - match: gemma-3-1b-it
          startup: {crash: {at: ready, log: "CUDA error: an illegal memory access", exit_code: 0}}
          http: [{path: /v1/completions, crash: true}]
        """,
        tmp_path,
    )

    async def check(engine: Running) -> None:
        with pytest.raises(httpx.TransportError):
            await post(engine, "/v1/completions", {"prompt": "x"})
        assert await engine.exit_code() == 0
        assert "CUDA error: an illegal memory access" in engine.log

    with_engine("gemma-3-1b-it", check, scenario)
