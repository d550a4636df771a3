"""Reading requests: JSON bodies, model names, messages with text and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pytest_modelrt.simulator.nodes.engines.arguments import Role, has_template, sees_pictures
from pytest_modelrt.simulator.nodes.engines.errors import (
    NO_PICTURES,
    NO_TEMPLATE,
    NOT_GENERATING,
    EngineError,
    too_long,
    unknown_model,
)
from pytest_modelrt.simulator.nodes.engines.picture import PictureError, Seen, look
from pytest_modelrt.simulator.nodes.engines.state import EngineState
from pytest_modelrt.simulator.nodes.engines.text import count_tokens

PICTURE_TOKENS = 256
_DEFAULT_TOKENS = 512
_ROLES = ("system", "user", "assistant", "tool", "developer", "function")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a chat request."""

    question: str
    """Text of the last user message."""
    pictures: tuple[Seen, ...]
    prompt_tokens: int


async def read_json(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        EngineError: 400, not JSON or not an object.
    """
    try:
        body = json.loads(await request.read())
    except (ValueError, UnicodeDecodeError) as error:
        raise EngineError(
            f"[{{'type': 'json_invalid', 'loc': ('body', 0), 'msg': 'JSON decode error: {error}'}}]"
        ) from None
    if not isinstance(body, dict):
        raise EngineError("[{'type': 'model_attributes_type', 'loc': ('body',), 'msg': 'Input should be an object'}]")
    return body


def check_model(state: EngineState, body: dict[str, Any]) -> None:
    """The model named must be the one served; no name means the one served.

    Raises:
        EngineError: 404.
    """
    name = body.get("model")
    if name is not None and str(name) not in (state.served_name, "default"):
        raise unknown_model(str(name))


def check_length(state: EngineState, length: int) -> None:
    """A prompt must fit the context.

    Raises:
        EngineError: 400.
    """
    if length >= state.context_length:
        raise too_long(length, state.context_length)


def token_limit(body: dict[str, Any], *names: str) -> int:
    """How many tokens may be generated.

    Raises:
        EngineError: 400, not a positive number.
    """
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise EngineError(f"{name} must be at least 0, got {value}.", param=name)
        return value
    return _DEFAULT_TOKENS


def check_generates(state: EngineState) -> None:
    """Only generating models generate.

    Raises:
        EngineError: 400.
    """
    if state.role is not Role.GENERATE:
        raise EngineError(NOT_GENERATING)


def read_conversation(state: EngineState, body: dict[str, Any]) -> Conversation:
    """The messages of a chat request.

    Raises:
        EngineError: 400, no chat template, no messages, or content of a wrong kind.
    """
    check_generates(state)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise EngineError("Messages cannot be empty.", param="messages")
    if not has_template(state.arguments, state.repo):
        raise EngineError(NO_TEMPLATE)
    question, length = "", 0
    pictures: list[Seen] = []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise EngineError(f"[{{'type': 'literal_error', 'loc': ('body', 'messages'), 'input': {message!r}}}]")
        text, seen = _content(state, message.get("content"))
        length += 4 + count_tokens(text) + PICTURE_TOKENS * len(seen)
        if message["role"] == "user":
            question, pictures = text, [*pictures, *seen]
    check_length(state, length)
    return Conversation(question, tuple(pictures), length)


def read_texts(value: Any, name: str) -> list[str]:
    """A text, a list of texts, or token ids, as a list of texts.

    Raises:
        EngineError: 400, anything else, or nothing.
    """
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        value = [value]
    if not isinstance(value, list) or not value:
        raise EngineError(f"{name} cannot be empty", param=name)
    return [_text_of(item, name) for item in value]


def _text_of(item: Any, name: str) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, list) and all(isinstance(part, int) for part in item):
        return " ".join(f"token{part}" for part in item)
    raise EngineError(f"All items of {name} must be strings or lists of token ids", param=name)


def _content(state: EngineState, content: Any) -> tuple[str, Sequence[Seen]]:
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise EngineError("[{'type': 'string_type', 'loc': ('body', 'messages', 'content')}]")
    words: list[str] = []
    pictures: list[Seen] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            words.append(str(part.get("text", "")))
        elif kind == "image_url":
            pictures.append(see(state, part.get("image_url")))
        else:
            raise EngineError(
                f"[{{'type': 'union_tag_invalid', 'loc': ('body', 'messages', 'content'), 'tag': {kind!r}}}]"
            )
    return "\n".join(words), pictures


def see(state: EngineState, source: Any) -> Seen:
    """A picture of a request.

    Raises:
        EngineError: 400, the model takes none, or it cannot be read.
    """
    if not sees_pictures(state.repo):
        raise EngineError(NO_PICTURES)
    url = source.get("url") if isinstance(source, dict) else source
    try:
        return look(str(url))
    except PictureError as error:
        raise EngineError(f"An exception occurred while loading multimodal data: {error}") from None
