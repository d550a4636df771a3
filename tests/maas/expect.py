"""Expectations that name a cause when they fail."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.stacks.kserve.calls import Reply
from pytest_modelrt.stacks.kserve.judge import MaasFailure, wrong_answer

TOO_MANY = "Too Many Requests\n"


def status(reply: Reply, *wanted: int) -> Reply:
    """The answer has one of these statuses."""
    if reply.status not in wanted:
        raise MaasFailure(f"expected {' or '.join(map(str, wanted))}, got {reply.status}", wrong_answer(reply))
    return reply


def chat(reply: Reply, model: str, *, at_most: int) -> Any:
    """The answer is a chat completion of ``model`` with sound token counts; returns its data."""
    data = status(reply, 200).data
    usage, choice = data["usage"], data["choices"][0]
    assert data["model"] == model
    assert data["object"] == "chat.completion"
    assert data["id"].startswith("chatcmpl-")
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] in ("stop", "length")
    assert 1 <= usage["completion_tokens"] <= at_most
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return data


def stream(reply: Reply) -> list[Any]:
    """The answer is a stream that came to its end; returns its events."""
    status(reply, 200)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.frames[-1] == "[DONE]"
    events = reply.events
    first = events[0]["choices"][0]["delta"]
    assert first.get("role") == "assistant"
    finished = [choice["finish_reason"] for event in events for choice in event["choices"] if choice["finish_reason"]]
    assert len(finished) == 1
    assert finished[0] in ("stop", "length")
    return events


def text_of(events: list[Any]) -> str:
    """What a stream said."""
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


def refused_by_limit(reply: Reply) -> None:
    """A limit's answer: it does not say which limit, nor when to come back."""
    status(reply, 429)
    assert reply.text == TOO_MANY
    assert "retry-after" not in reply.headers
    assert not [name for name in reply.headers if name.lower().startswith("x-ratelimit")]


def unauthenticated(reply: Reply) -> None:
    """The gateway does not know who asks."""
    status(reply, 401)
    assert "bearer" in reply.headers.get("www-authenticate", "").lower()
    assert reply.text == ""
