"""What counts as a sensible answer. Pure; judges degeneration, never knowledge."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from pytest_modelrt.probes.session import Problem, error_message

_ONE_TOKEN = re.compile(r"(\S{1,12}?)(?:\s*\1){7,}", re.DOTALL)
MIN_VECTOR = 2


def degenerate(text: str) -> str | None:
    """Why ``text`` is the output of a broken engine, or None.

    One character or token over and over, or bytes that decode to nothing. A base model that repeats whole sentences
    only rambles, and that is fine.
    """
    dense = "".join(text.split())
    if not dense:
        return None
    unreadable = sum(char == "�" or (ord(char) < 32) for char in dense)
    if unreadable * 2 > len(dense):
        return f"{unreadable} of {len(dense)} characters are unreadable"
    match = _ONE_TOKEN.match(text.strip())
    if match and match.end() >= len(text.strip()) - len(match.group(1)):
        return f"one token repeated: {match.group(1)!r}"
    return None


def require_text(text: str, path: str) -> None:
    """Raise when ``text`` is degenerate."""
    reason = degenerate(text)
    if reason:
        raise Problem("inference-garbage", f"{reason} (answer on {path}: {text[:80]!r})")


def first_choice(answer: Any, path: str) -> dict[str, Any]:
    """The first choice of an OpenAI-style answer.

    Raises:
        Problem: no choices, or something that is not such an answer.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if isinstance(answer, dict) and not choices and (answer.get("error") or answer.get("object") == "error"):
        raise Problem("inference-error", f"200 on {path} that says: {error_message(json.dumps(answer))}")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Problem("inference-empty", f"200 on {path} without choices: {str(answer)[:200]}")
    return choices[0]


def numbers(value: Any, what: str) -> list[float]:
    """A list of finite numbers.

    Raises:
        Problem: not a list, empty, or with NaN, infinity or null in it (engines write NaN as null).
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list) or not value:
        raise Problem("inference-empty", f"{what}: no numbers in the answer")
    if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
        raise Problem("inference-garbage", f"{what}: null or not a number among {len(value)} values")
    floats = [float(item) for item in value]
    bad = sum(not math.isfinite(item) for item in floats)
    if bad:
        raise Problem("inference-garbage", f"{what}: {bad} of {len(floats)} values are NaN or infinite")
    return floats


def vectors(values: Sequence[Any], wanted: int) -> list[list[float]]:
    """``wanted`` vectors of one length, finite and not zero.

    Raises:
        Problem: anything else.
    """
    if len(values) != wanted:
        raise Problem("inference-garbage", f"{len(values)} vectors for {wanted} inputs")
    found = [numbers(value, f"vector {place}") for place, value in enumerate(values)]
    lengths = sorted({len(vector) for vector in found})
    if len(lengths) > 1 or lengths[0] < MIN_VECTOR:
        raise Problem("inference-garbage", f"vectors of length {', '.join(map(str, lengths))}")
    for place, vector in enumerate(found):
        if norm(vector) == 0.0:
            raise Problem("inference-garbage", f"vector {place} is zero")
    return found


def norm(vector: Sequence[float]) -> float:
    """Euclidean length."""
    return math.sqrt(math.fsum(item * item for item in vector))


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Cosine of the angle between two vectors that are not zero."""
    return math.fsum(a * b for a, b in zip(left, right, strict=True)) / (norm(left) * norm(right))
