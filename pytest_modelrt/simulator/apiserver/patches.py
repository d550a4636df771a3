"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902)."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.apiserver.errors import StatusError, bad_request
from pytest_modelrt.simulator.apiserver.values import copy


def merge_patch(target: Any, patch: Any) -> Any:
    """``target`` with ``patch`` merged in: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), item)
    return result


def _refused() -> StatusError:
    text = "the server rejected our request due to an error in our request"
    return StatusError(422, "Invalid", text, {})


def json_patch(target: Any, operations: Any) -> Any:
    """``target`` after all ``operations``; 400 when malformed, 422 when one cannot be carried out."""
    if not isinstance(operations, list) or not all(isinstance(item, dict) for item in operations):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document = copy(target)
    for operation in operations:
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation.get("op"), _pointer(operation.get("path"))
    if kind == "test":
        if _read(document, path) != operation.get("value"):
            raise _refused()
        return document
    if kind == "add":
        return _add(document, path, copy(operation.get("value")))
    if kind == "remove":
        _take(document, path)
        return document
    if kind == "replace":
        if not path:
            return copy(operation.get("value"))
        _take(document, path)
        return _add(document, path, copy(operation.get("value")))
    if kind == "move":
        return _add(document, path, _take(document, _pointer(operation.get("from"))))
    if kind == "copy":
        return _add(document, path, copy(_read(document, _pointer(operation.get("from")))))
    raise _refused()


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _refused()
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(holder: list[Any], step: str, *, last: int) -> int:
    try:
        index = int(step)
    except ValueError:
        raise _refused() from None
    if not 0 <= index <= last:
        raise _refused()
    return index


def _child(holder: Any, step: str) -> Any:
    if isinstance(holder, dict) and step in holder:
        return holder[step]
    if isinstance(holder, list):
        return holder[_index(holder, step, last=len(holder) - 1)]
    raise _refused()


def _read(document: Any, path: list[str]) -> Any:
    for step in path:
        document = _child(document, step)
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder, step = _read(document, path[:-1]), path[-1]
    if isinstance(holder, dict):
        holder[step] = value
    elif isinstance(holder, list):
        holder.insert(len(holder) if step == "-" else _index(holder, step, last=len(holder)), value)
    else:
        raise _refused()
    return document


def _take(document: Any, path: list[str]) -> Any:
    if not path:
        raise _refused()
    holder, step = _read(document, path[:-1]), path[-1]
    value = _child(holder, step)
    if isinstance(holder, dict):
        del holder[step]
    else:
        del holder[int(step)]
    return value
