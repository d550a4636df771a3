"""Replies on the wire: one JSON object, or a stream of frames."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from pytest_modelrt.simulator.nodes.engines.inference_sim.engine import Engine, Reply
from pytest_modelrt.simulator.nodes.engines.inference_sim.requests import Completion
from pytest_modelrt.simulator.nodes.engines.inference_sim.tools import Call

DONE = b"data: [DONE]\n\n"
_NOISE = {
    "do_remote_decode": False,
    "do_remote_prefill": False,
    "remote_block_ids": None,
    "remote_engine_id": "",
    "remote_host": "",
    "remote_port": 0,
}
"""Fields of disaggregated serving that v0.5.1 shows in every reply."""


def make_id(engine: Engine, request: Completion) -> str:
    """A fresh reply id."""
    prefix = "cmpl" if engine.settings.later and not request.chat else "chatcmpl"
    return f"{prefix}-{_uuid(engine.rng)}"


def _uuid(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128), version=4)


def usage(engine: Engine, request: Completion, reply: Reply) -> dict[str, Any]:
    """Token counts."""
    counts: dict[str, Any] = {
        "prompt_tokens": request.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": request.prompt_tokens + reply.completion_tokens,
    }
    return {**counts, "prompt_tokens_details": None} if engine.settings.later else counts


def whole(engine: Engine, request: Completion, reply: Reply) -> dict[str, Any]:
    """A reply that is not streamed, keys in the real order."""
    later = engine.settings.later
    choice: dict[str, Any] = {"index": 0, "finish_reason": reply.finish_reason}
    if request.chat:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.tokens)}
        if reply.calls:
            calls = [_call(call, index, later=later) for index, call in enumerate(reply.calls)]
            message["tool_calls"] = calls
        choice["message"] = message
    else:
        choice["text"] = "".join(reply.tokens)
    return {
        "id": make_id(engine, request),
        "created": int(time.time()),
        "model": request.model,
        "usage": usage(engine, request, reply),
        "object": "chat.completion" if request.chat else "text_completion",
        **({} if later else _NOISE),
        "choices": [choice],
    }


async def frames(engine: Engine, request: Completion, reply: Reply) -> AsyncIterator[bytes]:
    """The frames of a streamed reply, each when its time has come."""
    writer = _Frames(engine, request)
    due = engine.clock.monotonic() + engine.first_delay(request)
    await engine.clock.asleep(due - engine.clock.monotonic())
    if request.chat:
        yield writer.frame({"role": "assistant", "content": ""})
    deltas = _deltas(reply)
    for index, delta in enumerate(deltas):
        if index:
            # paced against a schedule: a sleep per token would add up its own lateness
            due += engine.next_delay()
            await engine.clock.asleep(due - engine.clock.monotonic())
        last = index == len(deltas) - 1
        closes = last and reply.finish_reason != "stop" and not engine.settings.later
        yield writer.frame(delta, reply.finish_reason if closes else None)
    if engine.settings.later:
        yield writer.frame({}, reply.finish_reason)
    elif reply.finish_reason == "stop" or not deltas:
        yield writer.frame({"content": ""}, reply.finish_reason)
    if request.include_usage:
        yield writer.usage(usage(engine, request, reply))
    yield DONE


def _deltas(reply: Reply) -> list[dict[str, Any]]:
    if not reply.calls:
        return [{"content": token} for token in reply.tokens]
    deltas = []
    for index, call in enumerate(reply.calls):
        for place, piece in enumerate(call.pieces):
            function: dict[str, Any] = {"name": call.name if place == 0 else None, "arguments": piece}
            entry = {"function": function, "id": call.id, "type": "function", "index": index}
            deltas.append({"tool_calls": [entry]})
    return deltas


def _call(call: Call, index: int, *, later: bool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": call.name, "arguments": call.arguments}
    if not later:
        function["TokenizedArguments"] = call.pieces
    return {"function": function, "id": call.id, "type": "function", "index": index}


class _Frames:
    """Makes the frames of one reply; v0.5.1 gives every chunk an id of its own."""

    def __init__(self, engine: Engine, request: Completion) -> None:
        self._engine = engine
        self._request = request
        self._created = int(time.time())
        self._id = make_id(engine, request) if engine.settings.later else ""

    def frame(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        """A chunk with a piece of the reply."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        if self._request.chat:
            choice["delta"] = delta
        else:
            choice["text"] = delta.get("content", "")
        return self._encoded([choice], None)

    def usage(self, counts: dict[str, Any]) -> bytes:
        """The chunk with the token counts."""
        return self._encoded([], counts)

    def _encoded(self, choices: list[dict[str, Any]], counts: dict[str, Any] | None) -> bytes:
        later = self._engine.settings.later
        chunk = {
            "id": self._id or make_id(self._engine, self._request),
            "created": self._created,
            "model": self._request.model,
            "usage": counts,
            "object": "chat.completion.chunk" if self._request.chat else "text_completion",
            **({} if later else _NOISE),
            "choices": choices,
        }
        return b"data: " + json.dumps(chunk, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"
