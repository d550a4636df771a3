"""The one place that knows secrets: whatever leaves the process (journal, logs, reports) goes through ``redact``.

A secret is known by its value, in every encoding it travels in, or it looks like one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import quote

MASK = "***"
_SHORTEST = 8
"""Shorter values are not remembered: they would eat prose."""
_FRAGMENT = 12
"""Characters of the beginning or end of a secret that are one, too: others cut long texts where they like."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_PATTERNS = (
    re.compile(r"(?i)(authorization['\"]?\s*[:=,]\s*b?['\"]?(?:bearer|basic|token|apikey)\s+)[^\s'\",;]+"),
    re.compile(r"(?i)(\bbearer\s+)[a-z0-9._~+/=-]{16,}"),
    re.compile(r"\b()hf_[A-Za-z0-9]{16,}"),
    re.compile(r"\b()eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
    re.compile(r"(?i)((?:token|password|secret|api[_-]?key)['\"]?\s*[:=]\s*['\"]?)(?!\*{3})[A-Za-z0-9._~+/=-]{16,}"),
    re.compile(r"(?i)([?&][\w.-]*(?:token|password|secret|api[_-]?key|signature|credential)=)(?!\*{3})[^\s&#'\"<>]+"),
    re.compile(r"(://[^\s/:@'\"]*:)(?!\*{3})[^\s/@'\"]+(?=@)"),
)
_SECRET_KEYS = re.compile(
    r"(?i)^(authorization|.*(token|password|passwd|(api|access|secret)[_-]?key)|.*[_-]secret|clientsecret|client-key-data)$"
)


class _Known:
    """What was registered; replaced as a whole, so that other threads may read meanwhile."""

    forms: tuple[str, ...] = ()
    """Every secret in every encoding, longest first."""
    ends: tuple[tuple[str, str, str], ...] = ()
    """Long secrets with their beginnings and ends."""


def register_secret(value: str) -> None:
    """Remember a literal value that must never be written out, as it is and as base64 and URLs carry it."""
    value = value.strip()
    if len(value) < _SHORTEST or value in _Known.forms:
        return
    forms = {value, quote(value, safe=""), *_in_base64(value.encode())}
    _Known.forms = tuple(sorted({*_Known.forms, *forms}, key=len, reverse=True))
    if len(value) >= 2 * _FRAGMENT:
        _Known.ends += ((value, value[:_FRAGMENT], value[-_FRAGMENT:]),)


def register_secrets_in(value: object, key: str = "") -> None:
    """Remember what stands under names of secrets: in a manifest, a kubeconfig's user, the environment."""
    if isinstance(value, str):
        if _SECRET_KEYS.match(key):
            register_secret(value)
    elif isinstance(value, Mapping):
        for name, held in value.items():
            register_secrets_in(held, _meaning(value, str(name)))
    elif isinstance(value, list | tuple):
        for item in value:
            register_secrets_in(item, key)


def redact(text: str) -> str:
    """``text`` with every known secret and everything that looks like a credential replaced by ``***``."""
    for form in _Known.forms:
        if form in text:
            text = text.replace(form, MASK)
    for secret, head, tail in _Known.ends:
        if head in text or tail in text:
            text = _without_fragments(text, secret)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: match.group(1) + MASK, text)
    return text


def redact_value(value: object, key: str = "") -> object:
    """A JSON-able value with secrets masked; Kubernetes Secrets lose their whole payload."""
    if isinstance(value, str):
        payload = key == _LAST_APPLIED and '"Secret"' in value
        return MASK if value and (payload or _SECRET_KEYS.match(key)) else redact(value)
    if isinstance(value, Mapping):
        hidden = ("data", "stringData") if value.get("kind") == "Secret" else ()
        return {
            redact(str(name)): MASK if name in hidden else redact_value(held, _meaning(value, str(name)))
            for name, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_value(item, key) for item in value]
    return value


def _meaning(owner: Mapping[str, object], field: str) -> str:
    """What a field is called; the ``value`` of an environment variable or header is called what its ``name`` says."""
    name = owner.get("name")
    return name if field == "value" and isinstance(name, str) else field


def _in_base64(secret: bytes) -> set[str]:
    """The characters every base64 text with ``secret`` in it must have, wherever in it the secret stands."""
    found = set()
    for before, changed in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(b"\0" * before + secret).decode().rstrip("=")
        core = text[changed : len(text) - ((before + len(secret)) % 3 != 0)]
        found |= {core, core.translate(str.maketrans("+/", "-_"))}
    return {form for form in found if len(form) >= _SHORTEST}


def _without_fragments(text: str, secret: str) -> str:
    """``text`` without the beginnings and ends of ``secret`` that a cut has left."""
    for known, piece in ((secret, secret[:_FRAGMENT]), (secret[::-1], secret[: -_FRAGMENT - 1 : -1])):
        backwards = known is not secret
        text = text[::-1] if backwards else text
        while (start := text.find(piece)) >= 0:
            length = _FRAGMENT
            while length < len(known) and text[start + length : start + length + 1] == known[length]:
                length += 1
            text = text[:start] + MASK + text[start + length :]
        text = text[::-1] if backwards else text
    return text
