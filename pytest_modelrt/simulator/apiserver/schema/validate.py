"""Validation of values against structural schemas, with the texts of a real API server."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pytest_modelrt.simulator.apiserver.errors import Cause, go_quote, not_supported, required
from pytest_modelrt.simulator.apiserver.values import JSON, encode

_INT_OR_STRING = "x-kubernetes-int-or-string"
_LOGIC = frozenset({"allOf", "anyOf", "oneOf", "not"})


def validate(value: Any, schema: JSON, path: str = "") -> list[Cause]:
    """All violations, in document order."""
    causes: list[Cause] = []
    _check(value, schema, path, causes)
    return causes


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


_PYTHON_TYPES: dict[str, type] = {"string": str, "object": dict, "array": list, "boolean": bool}


def _is_type(value: Any, wanted: str) -> bool:
    known = _PYTHON_TYPES.get(wanted)
    if known is not None:
        return isinstance(value, known)
    if isinstance(value, bool):
        return False
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int | float)


def _invalid(causes: list[Cause], path: str, value: Any, why: str) -> None:
    shown = go_quote(value) if not isinstance(value, dict | list) else go_quote(_type_name(value))
    causes.append(Cause("FieldValueInvalid", f"Invalid value: {shown}: {path} in body {why}", path))


def _check(value: Any, schema: JSON, path: str, causes: list[Cause]) -> None:
    if value is None and schema.get("nullable"):
        return
    wanted = schema.get("type")
    if schema.get(_INT_OR_STRING):
        if not _is_type(value, "string") and not _is_type(value, "integer"):
            _type_error(causes, path, value, "integer,string")
            return
    elif wanted is not None and not _is_type(value, wanted):
        _type_error(causes, path, value, wanted)
        return
    if isinstance(value, dict):
        _check_object(value, schema, path, causes)
    elif isinstance(value, list):
        _check_list(value, schema, path, causes)
    elif isinstance(value, str):
        _check_string(value, schema, path, causes)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, schema, path, causes)
    if "enum" in schema and value not in schema["enum"]:
        causes.append(not_supported(path, value, sorted(schema["enum"], key=str)))
    for word in _LOGIC & schema.keys():
        _check_logic(value, word, schema[word], path, causes)


def _type_error(causes: list[Cause], path: str, value: Any, wanted: str) -> None:
    name = _type_name(value)
    text = f'Invalid value: "{name}": {path or "<root>"} in body must be of type {wanted}: "{name}"'
    causes.append(Cause("FieldValueTypeInvalid", text, path or "<nil>"))


def _check_object(value: JSON, schema: JSON, path: str, causes: list[Cause]) -> None:
    properties: JSON = schema.get("properties") or {}
    prefix = f"{path}." if path else ""
    causes.extend(required(prefix + key) for key in schema.get("required") or () if key not in value)
    others = schema.get("additionalProperties")
    for key, item in value.items():
        known = properties.get(key)
        if known is not None:
            _check(item, known, prefix + key, causes)
        elif isinstance(others, dict):
            _check(item, others, prefix + key, causes)
    if "minProperties" in schema and len(value) < schema["minProperties"]:
        _invalid(causes, path, len(value), f"should have at least {schema['minProperties']} properties")
    if "maxProperties" in schema and len(value) > schema["maxProperties"]:
        most = schema["maxProperties"]
        text = f"Too many: {len(value)}: must have at most {most} item{'s' if most != 1 else ''}"
        causes.append(Cause("FieldValueTooMany", text, path))


def _check_list(value: list[Any], schema: JSON, path: str, causes: list[Cause]) -> None:
    if "minItems" in schema and len(value) < schema["minItems"]:
        _invalid(causes, path, len(value), f"should have at least {schema['minItems']} items")
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        most = schema["maxItems"]
        text = f"Too many: {len(value)}: must have at most {most} item{'s' if most != 1 else ''}"
        causes.append(Cause("FieldValueTooMany", text, path))
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            _check(item, items, f"{path}[{index}]", causes)
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("map", "set") and not schema.get("uniqueItems"):
        return
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        identity = item
        if kind == "map":
            keys = schema.get("x-kubernetes-list-map-keys") or ()
            identity = {key: item.get(key) for key in sorted(keys) if key in item} if isinstance(item, dict) else item
        encoded = encode(identity)
        if encoded in seen:
            text = f"Duplicate value: {encoded.decode()}"
            causes.append(Cause("FieldValueDuplicate", text, f"{path}[{index}]"))
        seen.add(encoded)


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error:
        return None  # Go's RE2 accepts a few spellings Python does not; such a pattern cannot be judged here.


def _check_string(value: str, schema: JSON, path: str, causes: list[Cause]) -> None:
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        text = f"Too long: may not be more than {schema['maxLength']} bytes"
        causes.append(Cause("FieldValueTooLong", text, path))
    if "minLength" in schema and len(value) < schema["minLength"]:
        _invalid(causes, path, value, f"should be at least {schema['minLength']} chars long")
    if "pattern" in schema:
        pattern = _pattern(schema["pattern"])
        if pattern is not None and pattern.search(value) is None:
            _invalid(causes, path, value, f"should match '{schema['pattern']}'")


def _check_number(value: float, schema: JSON, path: str, causes: list[Cause]) -> None:
    if "minimum" in schema:
        least, exclusive = schema["minimum"], schema.get("exclusiveMinimum")
        if value < least or (exclusive and value == least):
            _invalid(causes, path, value, f"should be greater than {'' if exclusive else 'or equal to '}{least}")
    if "maximum" in schema:
        most, exclusive = schema["maximum"], schema.get("exclusiveMaximum")
        if value > most or (exclusive and value == most):
            _invalid(causes, path, value, f"should be less than {'' if exclusive else 'or equal to '}{most}")
    if schema.get("multipleOf") and value % schema["multipleOf"]:
        _invalid(causes, path, value, f"should be a multiple of {schema['multipleOf']}")


def _fewest(outcomes: list[list[Cause]]) -> list[Cause]:
    return sorted(outcomes, key=len)[0]


def _check_logic(value: Any, word: str, branches: Any, path: str, causes: list[Cause]) -> None:
    if word == "allOf":
        for branch in branches:
            _check(value, branch, path, causes)
        return
    if word == "not":
        if not validate(value, branches, path):
            _invalid(causes, path, value, "must not validate the schema (not)")
        return
    outcomes = [validate(value, branch, path) for branch in branches]
    passed = sum(1 for found in outcomes if not found)
    if word == "anyOf" and passed == 0:
        _invalid(causes, path, value, "must validate at least one schema (anyOf)")
        causes.extend(_fewest(outcomes))
    elif word == "oneOf" and passed != 1:
        _invalid(causes, path, value, "must validate one and only one schema (oneOf)")
        if passed == 0:
            causes.extend(_fewest(outcomes))
