"""What completion requests may say, and how they are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pytest_modelrt.simulator.nodes.engines.inference_sim import words
from pytest_modelrt.simulator.nodes.engines.inference_sim.settings import Settings


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``value`` without blanks, as Go writes it."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


class Refused(Exception):
    """A request ends with an error reply."""

    def __init__(self, status: int, kind: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param

    def response(self) -> web.Response:
        """The error as the OpenAI API shapes it."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}
        return json_reply({"error": error}, self.status)


class Unparseable(Refused):
    """The body is not a request; v0.5.1 says so in plain text."""

    def __init__(self, why: str, *, later: bool) -> None:
        super().__init__(400, "BadRequestError", f"Failed to read and parse request body, {why}")
        self._later = later

    def response(self) -> web.Response:
        """Plain text, or an error object in the later generation."""
        return super().response() if self._later else web.Response(text=str(self), status=400)


@dataclass(frozen=True, slots=True)
class Completion:
    """A request, checked."""

    model: str
    """The name replies show."""
    chat: bool
    prompt_tokens: int
    last_user_text: str
    most: int | None
    """Token limit of the reply."""
    stream: bool
    include_usage: bool
    ignore_eos: bool
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str = "auto"


def parse(body: bytes, settings: Settings, loras: Sequence[str], *, chat: bool) -> Completion:
    """The request of a body; checks go in the order of the real program.

    Raises:
        Refused: with status, type and message of the real program.
    """
    raw = _decoded(body, settings, chat=chat)
    shown = _model(raw, settings, loras)
    most = raw.get("max_tokens")
    if chat and raw.get("max_completion_tokens") is not None:
        most = raw["max_completion_tokens"]
    if most is not None and most <= 0:
        raise Refused(400, "BadRequestError", "Max completion tokens and max tokens should be positive")
    if raw.get("do_remote_decode") and raw.get("stream"):
        raise Refused(400, "BadRequestError", "Prefill does not support streaming")
    if raw.get("ignore_eos") and most is None:
        text = "Ignore_eos is true but max_completion_tokens (or max_tokens) is not set"
        raise Refused(400, "BadRequestError", text)
    prompt = _prompt_tokens(raw, chat=chat, later=settings.later)
    wanted = prompt + (most or 0)
    if wanted > settings.max_model_len:
        text = (
            f"This model's maximum context length is {settings.max_model_len} tokens. However, you requested {wanted} "
            f"tokens ({prompt} in the messages, {most or 0} in the completion). Please reduce the length of the "
            "messages or completion"
        )
        raise Refused(400, "BadRequestError", text)
    choice = raw.get("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) else ""
    tools = [tool["function"] for tool in raw.get("tools") or ()]
    return Completion(
        model=shown,
        chat=chat,
        prompt_tokens=prompt,
        last_user_text=_last_user_text(raw) if chat else str(raw.get("prompt") or ""),
        most=most,
        stream=bool(raw.get("stream")),
        include_usage=bool((raw.get("stream_options") or {}).get("include_usage")),
        ignore_eos=bool(raw.get("ignore_eos")),
        tools=tuple(tool for tool in tools if not named or tool["name"] == named),
        tool_choice="required" if named else str(choice or "auto"),
    )


def _model(raw: dict[str, Any], settings: Settings, loras: Sequence[str]) -> str:
    asked = raw.get("model") or ""
    if asked in settings.served_names:
        return settings.name
    if asked in loras:
        return str(asked)
    raise Refused(404, "NotFoundError", f"The model `{asked}` does not exist.")


_TYPES: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "stream": bool,
    "ignore_eos": bool,
    "do_remote_decode": bool,
    "max_tokens": int,
    "max_completion_tokens": int,
    "stream_options": dict,
    "messages": list,
    "tools": list,
}


def _decoded(body: bytes, settings: Settings, *, chat: bool) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except ValueError as error:
        raise Unparseable(f"failed to unmarshal request body: {error}", later=settings.later) from None
    if not isinstance(raw, dict):
        raise Unparseable("json: cannot unmarshal into a completion request", later=settings.later)
    kinds = {**_TYPES, "tool_choice": (str, dict) if settings.later else str} if chat else {**_TYPES, "prompt": str}
    for name, kind in kinds.items():
        value = raw.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            text = f"json: cannot unmarshal {_json_type(value)} into Go struct field .{name}"
            raise Unparseable(text, later=settings.later)
    for message in raw.get("messages") or ():
        if not isinstance(message, dict) or not isinstance(message.get("content"), str | list | None):
            raise Unparseable("invalid content format", later=settings.later)
    for tool in raw.get("tools") or ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not {"name", "description", "parameters"} <= function.keys():
            raise Unparseable("tool validation failed: missing properties", later=settings.later)
    return raw


def _json_type(value: Any) -> str:
    return {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value), "number")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text", "") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return " ".join(parts)
    return content or ""


def _prompt_tokens(raw: dict[str, Any], *, chat: bool, later: bool) -> int:
    """Roles and separators count in the later generation only."""
    if not chat:
        return len(words.tokens(raw.get("prompt") or ""))
    messages = raw.get("messages") or []
    count = len(words.tokens(" ".join(map(_text, messages))))
    return count + 5 * len(messages) if later else count


def _last_user_text(raw: dict[str, Any]) -> str:
    for message in reversed(raw.get("messages") or []):
        if message.get("role") == "user":
            return _text(message)
    return ""
