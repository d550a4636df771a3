"""Tool calls: made up from the parameter schemas of the request."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_modelrt.simulator.nodes.engines.inference_sim import words

_CALL_OVERHEAD = 3
_OPTIONAL_SHARE = 0.5
_WORDS = ("lifetime", "rainbow", "harbour", "sunday", "copper")
_INTEGERS, _NUMBERS, _LENGTHS = (0, 100), (0.0, 100.0), (1, 5)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    id: str
    name: str
    arguments: str

    @property
    def pieces(self) -> list[str]:
        """The arguments as tokens."""
        return words.tokens(self.arguments)

    @property
    def tokens(self) -> int:
        """Tokens of the call as usage counts them."""
        return _CALL_OVERHEAD + len(self.pieces)


def calls_for(tools: Sequence[dict[str, Any]], choice: str, rng: random.Random) -> tuple[Call, ...]:
    """Calls the model makes: none, any number, or at least one, as ``tool_choice`` says."""
    if not tools or choice == "none":
        return ()
    count = rng.randint(1 if choice == "required" else 0, len(tools))
    return tuple(_call(rng.choice(tools), rng) for _ in range(count))


def _call(tool: dict[str, Any], rng: random.Random) -> Call:
    arguments = _value(tool["parameters"], rng)
    number = "".join(str(rng.randint(0, 9)) for _ in range(10))
    return Call(f"chatcmpl-tool-{number}", tool["name"], json.dumps(arguments, separators=(",", ":")))


def _value(schema: dict[str, Any], rng: random.Random) -> Any:
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    kind = schema.get("type", "object")
    if kind == "object":
        required = schema.get("required") or []
        return {
            name: _value(inner, rng)
            for name, inner in (schema.get("properties") or {}).items()
            if name in required or rng.random() < _OPTIONAL_SHARE
        }
    if kind == "array":
        low = schema.get("minItems", _LENGTHS[0])
        return [_value(schema.get("items") or {}, rng) for _ in range(rng.randint(low, max(low, _LENGTHS[1])))]
    if kind == "integer":
        return rng.randint(*_INTEGERS)
    if kind == "number":
        return round(rng.uniform(*_NUMBERS), 2)
    if kind == "boolean":
        return rng.random() < 0.5
    return rng.choice(_WORDS)
