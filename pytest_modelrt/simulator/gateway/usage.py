"""How many tokens a reply says it used."""

from __future__ import annotations

import json
from typing import Any

_LIMIT = 4 * 1024 * 1024
_DONE = b"[DONE]"


class UsageReader:
    """Reads a reply as it passes by: a JSON document, or the last frame before ``[DONE]`` of a stream."""

    def __init__(self, content_type: str) -> None:
        self._stream = content_type.startswith("text/event-stream")
        self._held = bytearray()
        self._frames: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        if len(self._held) + len(chunk) > _LIMIT:
            self._held.clear()
            return
        self._held += chunk
        if self._stream:
            *frames, rest = bytes(self._held).split(b"\n\n")
            self._held = bytearray(rest)
            self._frames = [*self._frames, *(frame for frame in frames if frame.strip())][-2:]

    def total_tokens(self) -> int | None:
        """``usage.total_tokens``; None where the reply does not say."""
        if not self._stream:
            return _total(bytes(self._held))
        payloads = [frame.partition(b"data:")[2].strip() for frame in self._frames]
        if len(payloads) == 2 and payloads[1] == _DONE:
            return _total(payloads[0])
        return None


def _total(document: bytes) -> int | None:
    try:
        decoded: Any = json.loads(document)
        total = decoded["usage"]["total_tokens"]
    except (ValueError, TypeError, KeyError):
        return None
    return total if isinstance(total, int) else None
