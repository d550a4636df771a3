"""YAML text as nodes that know their lines, or everything that stops it from being YAML. Pure."""

from __future__ import annotations

import re
from typing import Any

import yaml

from pytest_modelrt.plan.problems import ConfigError, Problem

MAX_BYTES = 1_000_000
"""No file of a plan or config tree is anywhere near this; a larger one is a mistake."""

_MAX_DEPTH = 64
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def decode(data: bytes, file: str) -> str:
    """``data`` as text.

    Raises:
        ConfigError: too large, empty, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data), file)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"not UTF-8 (byte 0x{data[error.start]:02x})"
        raise ConfigError([Problem(file, line, "", what, "save the file as UTF-8")]) from None
    if not text.lstrip("\ufeff").strip():
        raise ConfigError([Problem(file, 0, "", "the file is empty", "restore it or write its fields")])
    return text


def too_large(size: int, file: str) -> ConfigError:
    """The error for a file of ``size`` bytes."""
    what = f"{size:,} bytes, more than the {MAX_BYTES:,} a configuration file may have"
    return ConfigError([Problem(file, 0, "", what, "is it the right file?")])


def compose(text: str, file: str) -> list[yaml.Node]:
    """The documents of ``text`` as nodes; empty documents are left out.

    Raises:
        ConfigError: not YAML: all tabs used as indentation, otherwise the first place where reading stops.
    """
    try:
        _refuse_depth(text, file)
        return [node for node in yaml.compose_all(text, Loader=_Loader) if not is_empty(node)]
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_tabs(text, file) or [_syntax(error, file)]) from None
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
        what = f"not YAML: {getattr(error, 'reason', error)}"
        raise ConfigError([Problem(file, line, "", what, "remove the character")]) from None


def is_empty(node: yaml.Node | None) -> bool:
    """Whether a document is nothing but a separator and comments."""
    return node is None or (isinstance(node, yaml.ScalarNode) and not node.value and not node.style)


def line_of(node: yaml.Node) -> int:
    """Line of a node, from 1."""
    return _line(node.start_mark)


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark is not None else 0


def _refuse_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                what = f"nested more than {_MAX_DEPTH} levels deep"
                raise ConfigError([Problem(file, _line(event.start_mark), "", what, "write it flatter")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _tabs(text: str, file: str) -> list[Problem]:
    lines = text.splitlines()
    return [
        Problem(file, number, "", "a tab in the indentation", "use spaces")
        for number, line in enumerate(lines, start=1)
        if re.match(r" *\t", line)
    ]


def _syntax(error: yaml.MarkedYAMLError, file: str) -> Problem:
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem(
        file, _line(error.problem_mark), "", f"not YAML: {what}", "check quotes, colons and indentation here"
    )
