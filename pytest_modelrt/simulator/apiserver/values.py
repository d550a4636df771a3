"""JSON values: copying, encoding, reaching in. Objects in the store are never mutated, so writers copy first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

JSON = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return _encode(value).encode("utf-8", "surrogatepass")


def copy(value: Any) -> Any:
    """A deep copy of a JSON value (much faster than :func:`copy.deepcopy`)."""
    kind = type(value)
    if kind is dict:
        return {key: copy(item) for key, item in value.items()}
    if kind is list:
        return [copy(item) for item in value]
    return value


def dig(value: Any, *path: str) -> Any:
    """The value at ``path`` inside nested objects, or None."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def timestamp(moment: datetime | None = None) -> str:
    """Whole-second RFC 3339 UTC, as in object metadata."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp() -> str:
    """RFC 3339 UTC with microseconds (the MicroTime type)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: Any) -> datetime | None:
    """Parse RFC 3339; None when it is not a time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
