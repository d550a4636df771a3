"""Checks objects against the fields of their kind, which ``schema.yaml`` lists."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import yaml

from pytest_modelrt.manifests.lint.findings import Document, Findings

API_VERSION = "ome.io/v1beta1"
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_SCALARS = {"string": str, "integer": int, "boolean": bool}
_QUANTITY = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+|m|[kMGTPE]i?|Ki)?")


def check_schema(document: Document) -> Findings:
    """Unknown and missing fields and wrong types, as the API server would refuse them."""
    found = document.object
    if found.get("apiVersion") != API_VERSION:
        what = f"{found.get('apiVersion', 'no apiVersion')} is not served for {document.kind}"
        yield document.error("apiVersion", what, f"write {API_VERSION}")
    for key in found:
        if key not in _TOP:
            yield document.error(str(key), "unknown field", _suggest(str(key), _TOP))
    schema = _schema()
    for key, type_name in (("metadata", "Metadata"), ("spec", schema["kinds"][document.kind])):
        value = found.get(key)
        if isinstance(value, dict):
            yield from _check(document, value, type_name, key)
        else:
            yield document.error(key, "is missing" if value is None else "is no mapping", f"write the fields of {key}")


def _check(document: Document, value: Any, kind: str, path: str) -> Findings:
    """One value against ``string``, ``[]T``, ``map[T]``, ``enum(a|b)``, ``any`` or a named type."""
    if kind == "any" or value is None:
        return
    if kind.startswith("[]"):
        yield from _check_list(document, value, kind[2:], path)
    elif kind.startswith("map["):
        yield from _check_map(document, value, kind[4:-1], path)
    elif kind.startswith("enum("):
        choices = kind[5:-1].split("|")
        if value not in choices:
            yield document.error(path, f"{_short(value)} is not allowed", f"write one of {', '.join(choices)}")
    elif kind == "quantity":
        if isinstance(value, bool) or not (isinstance(value, int | float) or _is_quantity(value)):
            yield document.error(path, f"{_short(value)} is no quantity", "write a number, or one such as 30Gi")
    elif kind in _SCALARS:
        wrong_bool = kind != "boolean" and isinstance(value, bool)
        if wrong_bool or not isinstance(value, _SCALARS[kind]):
            remedy = "put it in quotes" if kind == "string" and _is_scalar(value) else f"write a {kind}"
            yield document.error(path, f"{_short(value)} is no {kind}", remedy)
    elif isinstance(value, dict):
        yield from _check_fields(document, value, kind, path)
    else:
        yield document.error(path, f"{_short(value)} where fields are expected", "write name: value lines")


def _check_fields(document: Document, value: dict[str, Any], kind: str, path: str) -> Findings:
    fields = _fields(kind)
    for name, item in value.items():
        if name not in fields:
            yield document.error(f"{path}.{name}", "unknown field", _suggest(str(name), tuple(fields)))
        else:
            yield from _check(document, item, fields[name].rstrip("!"), f"{path}.{name}")
    for name, wanted in fields.items():
        if wanted.endswith("!") and value.get(name) is None:
            yield document.error(f"{path}.{name}", "is missing", "add it")


def _check_list(document: Document, value: Any, kind: str, path: str) -> Findings:
    if not isinstance(value, list):
        yield document.error(path, f"{_short(value)} where a list is expected", "write lines that start with -")
        return
    for index, item in enumerate(value):
        if item is None:
            yield document.error(f"{path}[{index}]", "is empty", "remove the line or give it a value")
        yield from _check(document, item, kind, f"{path}[{index}]")


def _check_map(document: Document, value: Any, kind: str, path: str) -> Findings:
    if not isinstance(value, dict):
        yield document.error(path, f"{_short(value)} where fields are expected", "write name: value lines")
        return
    for name, item in value.items():
        yield from _check(document, item, kind, f"{path}.{name}")


@functools.cache
def _schema() -> dict[str, Any]:
    text = (resources.files(__package__ or "") / "schema.yaml").read_text(encoding="utf-8")
    schema: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return schema


@functools.cache
def _fields(kind: str) -> dict[str, str]:
    return dict(_collect(kind))


def _collect(kind: str) -> Iterator[tuple[str, str]]:
    for name, wanted in _schema()["types"][kind].items():
        if name == "+":
            for other in wanted:
                yield from _collect(other)
        else:
            yield name, wanted


def _suggest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "remove it; kubectl refuses it"


def _is_quantity(value: Any) -> bool:
    # Ports may also be named, and share this type.
    return isinstance(value, str) and bool(_QUANTITY.fullmatch(value) or re.fullmatch(r"[a-z][a-z0-9-]{0,14}", value))


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
