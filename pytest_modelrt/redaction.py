"""The one place that knows secrets: whatever leaves the process (journal, logs, reports) goes through ``redact``."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "***"
_known: set[str] = set()

_PATTERNS = (
    re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic)\s+)[^\s'\",;]+"),
    re.compile(r"(?i)(\bbearer\s+)[a-z0-9._~+/=-]{16,}"),
    re.compile(r"\b()hf_[A-Za-z0-9]{16,}"),
    re.compile(r"\b()eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
    re.compile(r"(?i)((?:token|password|secret|api[_-]?key)['\"]?\s*[:=]\s*['\"]?)(?!\*{3})[A-Za-z0-9._~+/=-]{16,}"),
)
_SECRET_KEYS = re.compile(r"(?i)^(authorization|.*(token|password|api[_-]?key)|client-key-data)$")


def register_secret(value: str) -> None:
    """Remember a literal value that must never be written out; short values are ignored, they would eat prose."""
    if len(value) >= 8:
        _known.add(value)


def redact(text: str) -> str:
    """``text`` with every known secret and everything that looks like a credential replaced by ``***``."""
    for secret in _known:
        text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: match.group(1) + MASK, text)
    return text


def redact_value(value: object, key: str = "") -> object:
    """A JSON-able value with secrets masked; Kubernetes Secrets lose their whole payload."""
    if isinstance(value, str):
        return MASK if value and _SECRET_KEYS.match(key) else redact(value)
    if isinstance(value, Mapping):
        hidden = ("data", "stringData") if value.get("kind") == "Secret" else ()
        return {str(k): MASK if k in hidden else redact_value(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(item) for item in value]
    return value
