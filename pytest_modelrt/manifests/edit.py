"""Edits of YAML text that keep every byte they do not mean to change: comments, order, quotes, line ends.

The text is composed only to learn where things stand; the edit itself is a cut into the text, checked afterwards by
reading it again. What cannot be edited safely is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml

from pytest_modelrt.manifests.objects import construct
from pytest_modelrt.plan.document import is_empty

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_PLAIN = re.compile(r"[A-Za-z/$][\w./$()@:+=-]*[\w)]|\w")
_NUMBERED = re.compile(r"\d+(\.\d+)?[A-Za-z]+|\d+\.\d+\.\d+[\w.+-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


class EditError(ValueError):
    """The text cannot be edited there without touching more than asked; the message says why."""


class _Quoted(str):
    """A text to be written in double quotes."""


def set_value(text: str, path: str, value: Any, *, document: int = 0, quoted: bool = False) -> str:
    """``text`` with the field at ``path`` (``spec.modelSizeRange.min``, ``spec.formats[0].name``) set to ``value``.

    A field that is there must hold a scalar, and keeps its quotes. A missing last step is added at the end of its
    mapping; ``value`` may then be a mapping. ``quoted`` puts a new text in double quotes.

    Raises:
        EditError: no such place, or one that is shared (alias), tagged or written as a block of text.
    """
    steps = _steps(path)
    root = _document(text, document)
    parent = _walk(root, steps[:-1], path)
    last = steps[-1]
    existing = _child(parent, last)
    if existing is not None:
        if id(existing) in _shared(root):
            raise EditError(f"{path}: is shared with another place (anchor and alias)")
        edited = _replace(text, existing, value, path)
    elif isinstance(last, str) and isinstance(parent, yaml.MappingNode):
        edited = _add(text, parent, last, _Quoted(value) if quoted else value, path)
    else:
        raise EditError(f"{path}: there is no such place")
    _verify(text, edited, document, steps, value)
    return edited


def prepend_comment(text: str, comment: str, *, document: int = 0) -> str:
    """``text`` with a comment line right above a document's first field; unchanged where the line is there already."""
    root = _document(text, document)
    start = _line_start(text, root.start_mark.index)
    line = f"# {comment}"
    above = text[:start].splitlines()
    if line in [other.strip() for other in _trailing_comments(above)]:
        return text
    return f"{text[:start]}{line}{line_end(text)}{text[start:]}"


def line_end(text: str) -> str:
    r"""The line end of a text: ``\r\n`` where its first line has it, else ``\n``."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _steps(path: str) -> list[str | int]:
    found = [match[1] if match[1] is not None else int(match[2]) for match in _STEP.finditer(path)]
    if not found:
        raise EditError(f"{path!r} is no path")
    return found


def _document(text: str, document: int) -> yaml.Node:
    # The pure Python loader: its marks count characters of the text as given.
    documents = _compose(text)
    if document >= len(documents):
        raise EditError(f"there is no document {document}")
    return documents[document]


def _compose(text: str) -> list[yaml.Node]:
    return [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if not is_empty(node)]


def _walk(node: yaml.Node, steps: Sequence[str | int], path: str) -> yaml.Node:
    shared = _shared(node)
    for step in steps:
        child = _child(node, step)
        if child is None:
            raise EditError(f"{path}: there is no {step!r}")
        if id(child) in shared:
            raise EditError(f"{path}: {step!r} is shared with another place (anchor and alias)")
        node = child
    return node


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]  # type: ignore[no-any-return]
    return None


def _shared(root: yaml.Node) -> set[int]:
    """Nodes that stand in several places, through an anchor and its aliases."""
    seen: set[int] = set()
    shared: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            shared.add(id(node))
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return shared


def _replace(text: str, node: yaml.Node, value: Any, path: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or isinstance(value, dict):
        raise EditError(f"{path}: is not a single value")
    start, end = node.start_mark.index, node.end_mark.index
    old = text[start:end]
    if old[:1] in ("&", "!", "|", ">"):
        raise EditError(f"{path}: is anchored, tagged or a block of text")
    if not old:
        raise EditError(f"{path}: is empty")
    return text[:start] + _scalar(value, like=old) + text[end:]


def _add(text: str, parent: yaml.MappingNode, key: str, value: Any, path: str) -> str:
    if not parent.value:
        raise EditError(f"{path}: its mapping is empty")
    if parent.flow_style:
        end = parent.value[-1][1].end_mark.index
        return f"{text[:end]}, {key}: {_flow(value)}{text[end:]}"
    end = _content_end(parent)
    if end and text[end - 1] != "\n":
        newline = text.find("\n", end)
        end = len(text) if newline < 0 else newline + 1
    eol = line_end(text)
    indent = " " * parent.value[0][0].start_mark.column
    lines = eol.join(_lines(key, value, indent))
    if text[:end].endswith("\n"):
        return f"{text[:end]}{lines}{eol}{text[end:]}"
    return f"{text[:end]}{eol}{lines}{text[end:]}"


def _content_end(node: yaml.Node) -> int:
    """Where the last scalar of a node ends; marks of block collections run on to whatever follows them."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        key, value = node.value[-1]
        return max(int(key.end_mark.index), _content_end(value))
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _content_end(node.value[-1])
    return int(node.end_mark.index)


def _lines(key: str, value: Any, indent: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{indent}{key}: {_scalar(value)}"]
    inner = [line for name, item in value.items() for line in _lines(str(name), item, indent + "  ")]
    return [f"{indent}{key}:", *inner]


def _flow(value: Any) -> str:
    if not isinstance(value, dict):
        return _scalar(value)
    return "{" + ", ".join(f"{name}: {_flow(item)}" for name, item in value.items()) + "}"


def _scalar(value: Any, like: str = "") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    if like.startswith("'"):
        return "'" + text.replace("'", "''") + "'"
    plain = (_PLAIN.fullmatch(text) and text.lower() not in _WORDS) or _NUMBERED.fullmatch(text)
    if plain and not like.startswith('"') and not isinstance(value, _Quoted) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


def _line_start(text: str, index: int) -> int:
    start = text.rfind("\n", 0, index) + 1
    return start + 1 if text[start : start + 1] == "\ufeff" else start


def _trailing_comments(lines: list[str]) -> list[str]:
    found: list[str] = []
    for line in reversed(lines):
        if line.strip() and not line.lstrip("\ufeff").lstrip().startswith("#"):
            break
        found.append(line.lstrip("\ufeff"))
    return found


def _verify(before: str, after: str, document: int, steps: list[str | int], value: Any) -> None:
    """The edited text must read as the old one with that single change."""
    try:
        old = [construct(node) for node in _compose(before)]
        new = [construct(node) for node in _compose(after)]
    except yaml.YAMLError as error:
        raise EditError(f"the edit would break the file: {error}") from None
    place: Any = old[document]
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = value
    if old != new:
        raise EditError("the edit would change more than it should")
