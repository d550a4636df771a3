"""Requests to a model or the gateway, and their answers as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from pytest_modelrt.clock import Clock
from pytest_modelrt.redaction import redact

GREETING = "Hello, how are you?"
"""The document's own words."""
PROMPT_TOKENS = {GREETING: (6, 11), "Hello! What is 2+2?": (8, 13)}
"""Text -> prompt tokens: to v0.5.1 of the inference simulator, and to later ones, which count roles too."""
AUTH_FAILED = "Internal Server Error."
"""Body of the gateway's own 500: authentication took longer than 200 ms, or is away."""
AUTH_PAUSE = 1.0
AUTH_TRIES = 4
LONGEST = 30.0
"""Real seconds one answer may take."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    text: str
    began: float
    """Cluster seconds on the clock when the request left."""
    ended: float
    chunks: tuple[float, ...] = ()
    """Cluster seconds on the clock when each frame of a stream came."""

    @property
    def seconds(self) -> float:
        """Cluster seconds it took."""
        return self.ended - self.began

    @property
    def data(self) -> Any:
        """The JSON body; raises ValueError when it is none."""
        return json.loads(self.text)

    @property
    def frames(self) -> list[str]:
        """Payloads of the server-sent events, the closing ``[DONE]`` included."""
        return [line.removeprefix("data:").strip() for line in self.text.splitlines() if line.startswith("data:")]

    @property
    def events(self) -> list[Any]:
        """The JSON events of a stream."""
        return [json.loads(frame) for frame in self.frames if frame != "[DONE]"]

    @property
    def auth_failed(self) -> bool:
        """Whether this is the gateway's word that it could not authenticate."""
        return self.status == httpx.codes.INTERNAL_SERVER_ERROR and self.text.strip() == AUTH_FAILED

    def __str__(self) -> str:
        body = " ".join(self.text.split())[:300]
        reason = self.headers.get("x-ext-auth-reason")
        return redact(f"{self.method} {self.path}: {self.status}{f' ({reason})' if reason else ''} {body}")


@dataclass(slots=True)
class Caller:
    """Sends requests over one way: through the gateway or straight to a pod. Usable from several threads."""

    client: httpx.Client
    clock: Clock
    way: str
    """For messages: ``gateway http://localhost`` or ``port-forward``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    retries_auth: bool = False
    """Whether the gateway's own 500 is worth another try: nothing was counted for it."""

    def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        """GET."""
        return self.send("GET", path, token, headers=headers)

    def post(self, path: str, body: Any, token: str | None = None, **headers: str) -> Reply:
        """POST of a JSON body, or of raw text."""
        return self.send("POST", path, token, body=body, headers=headers)

    def chat(self, path: str, model: str, token: str | None = None, *, text: str = GREETING, **fields: Any) -> Reply:
        """A chat completion; ``path`` is the prefix in front of ``/v1``."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.post(f"{path}/v1/chat/completions", body, token)

    def send(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; ``AUTH_TRIES`` while the gateway cannot authenticate. Raises httpx.HTTPError."""
        for _ in range(AUTH_TRIES - 1 if self.retries_auth else 0):
            reply = self._once(method, path, token, body, headers or {})
            if not reply.auth_failed:
                return reply
            self.clock.sleep(AUTH_PAUSE)
        return self._once(method, path, token, body, headers or {})

    def _once(self, method: str, path: str, token: str | None, body: Any, headers: Mapping[str, str]) -> Reply:
        wanted = {**self.headers, **headers}
        if token is not None:
            wanted["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        if content is not None:
            wanted.setdefault("Content-Type", "application/json")
        began = self.clock.monotonic()
        arrivals: list[float] = []
        with self.client.stream(method, path, headers=wanted, content=content, timeout=LONGEST) as answer:
            text = "".join(self._read(answer, arrivals))
        return Reply(
            method, path, answer.status_code, answer.headers, text, began, self.clock.monotonic(), tuple(arrivals)
        )

    def _read(self, answer: httpx.Response, arrivals: list[float]) -> Iterator[str]:
        for piece in answer.iter_text():
            if piece:
                arrivals += [self.clock.monotonic()] * max(1, piece.count("data:"))
                yield piece
