"""Text out: chat, completions (plain and streamed) and the native ``/generate``."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import web

from pytest_modelrt.simulator.nodes.engines import text as words
from pytest_modelrt.simulator.nodes.engines.requests import (
    check_generates,
    check_length,
    check_model,
    read_conversation,
    read_json,
    read_texts,
    token_limit,
)
from pytest_modelrt.simulator.nodes.engines.state import EngineState

Json = dict[str, Any]


class Generation:
    """Handlers of a generating model."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/chat/completions``."""
        body = await read_json(request)
        check_model(self._state, body)
        conversation = read_conversation(self._state, body)
        limit = token_limit(body, "max_completion_tokens", "max_tokens")
        await self._state.work()
        repo = self._state.repo
        said = words.answer(repo, conversation.question, conversation.pictures)
        made = self._made(said, words.reasoning(repo), conversation.prompt_tokens, limit)
        head = self._head("chatcmpl", "chat.completion")
        content, reasoning = self._split(made)
        if body.get("stream"):
            return await self._stream(request, body, made, _chat_deltas(head, content, reasoning, made))
        message: Json = {"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": made.finish_reason}
        return web.json_response({**head, "choices": [choice], "usage": _usage(made)})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/completions``."""
        body = await read_json(request)
        check_model(self._state, body)
        check_generates(self._state)
        prompts = read_texts(body.get("prompt"), "prompt")
        limit = token_limit(body, "max_tokens")
        for prompt in prompts:
            check_length(self._state, words.count_tokens(prompt))
        await self._state.work()
        made = [self._made(words.continuation(p), "", words.count_tokens(p), limit) for p in prompts]
        head = self._head("cmpl", "text_completion")
        if body.get("stream"):
            return await self._stream(request, body, made[0], _text_deltas(head, made[0]))
        echo = bool(body.get("echo"))
        choices = [
            {
                "index": index,
                "text": (prompt if echo else "") + one.text,
                "logprobs": None,
                "finish_reason": one.finish_reason,
            }
            for index, (prompt, one) in enumerate(zip(prompts, made, strict=True))
        ]
        return web.json_response({**head, "choices": choices, "usage": _usage(*made)})

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """``POST /generate``, the engine's own protocol."""
        body = await read_json(request)
        check_generates(self._state)
        prompts = read_texts(body.get("text", body.get("input_ids")), "text")
        limit = token_limit(body.get("sampling_params") or {}, "max_new_tokens")
        await self._state.work()
        answers = []
        for prompt in prompts:
            check_length(self._state, words.count_tokens(prompt))
            made = self._made(words.continuation(prompt), "", words.count_tokens(prompt), limit)
            reason = {"type": made.finish_reason, **({"length": limit} if made.finish_reason == "length" else {})}
            meta = {
                "id": uuid.uuid4().hex,
                "finish_reason": reason,
                "prompt_tokens": made.prompt_tokens,
                "completion_tokens": made.completion_tokens,
                "cached_tokens": 0,
            }
            answers.append({"text": made.text, "meta_info": meta})
        return web.json_response(answers if isinstance(body.get("text"), list) else answers[0])

    def _made(self, said: str, thought: str, prompt_tokens: int, limit: int) -> words.Generated:
        rule = self._state.generation
        if rule.text is not None:
            said, thought = rule.text, ""
        limit = min(limit, self._state.context_length - prompt_tokens)
        made = words.limited(said, thought, prompt_tokens, limit, rule.finish_reason)
        self._state.count(made.prompt_tokens, made.completion_tokens)
        return made

    def _split(self, made: words.Generated) -> tuple[str | None, str | None]:
        """Content and reasoning: apart when a reasoning parser is on, else inside think tags."""
        if not made.reasoning:
            return made.text, None
        if self._state.arguments.reasoning_parser:
            return made.text or None, made.reasoning
        closed = "\n</think>\n\n" if made.text or made.finish_reason == "stop" else ""
        return f"<think>\n{made.reasoning}{closed}{made.text}", None

    def _head(self, prefix: str, kind: str) -> Json:
        return {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self._state.served_name,
        }

    async def _stream(
        self, request: web.Request, body: Json, made: words.Generated, deltas: Iterable[Json]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        options = body.get("stream_options") or {}
        last: Json = {}
        for last in deltas:
            await response.write(_event(last))
        if options.get("include_usage"):
            await response.write(_event({**last, "choices": [], "usage": _usage(made)}))
        await response.write(b"data: [DONE]\n\n")
        return response


def _chat_deltas(head: Json, content: str | None, reasoning: str | None, made: words.Generated) -> Iterator[Json]:
    head = {**head, "object": "chat.completion.chunk"}

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in words.tokens(reasoning or ""):
        yield chunk({"reasoning_content": piece})
    for piece in words.tokens(content or ""):
        yield chunk({"content": piece})
    yield chunk({}, made.finish_reason)


def _text_deltas(head: Json, made: words.Generated) -> Iterator[Json]:
    for piece in words.tokens(made.text):
        yield {**head, "choices": [{"index": 0, "text": piece, "logprobs": None, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": made.finish_reason}]}


def _usage(*made: words.Generated) -> Json:
    prompt = sum(one.prompt_tokens for one in made)
    completion = sum(one.completion_tokens for one in made)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": None,
    }


def _event(data: Json) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
