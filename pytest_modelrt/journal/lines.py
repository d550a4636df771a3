"""JSON lines: redacted, one per record, encodable whatever the text holds."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from pytest_modelrt.redaction import redact_value


def encode(data: Mapping[str, Any]) -> bytes:
    """One redacted line, newline included; NaN and infinity become null, unknown objects their text."""
    clean = redact_value(data)
    try:
        text = _dump(clean)
    except ValueError:
        text = _dump(_finite(clean))
    # A lone surrogate (half an emoji cut by an engine) is not encodable, but its escape is valid JSON.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def decode(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None when it is not whole."""
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def append(descriptor: int, line: bytes) -> None:
    """Append one line with one ``write``.

    Raises:
        OSError: the disk took only a part of it.
    """
    written = os.write(descriptor, line)
    if written != len(line):
        raise OSError(f"only {written} of {len(line)} bytes of a journal line were written; is the disk full?")


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
