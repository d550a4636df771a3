"""YAML text as nodes that know their lines, or everything that stops it from being YAML. Pure."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from pytest_modelrt.plan.problems import ConfigError, Problem

MAX_BYTES = 1_000_000
"""No file of a plan or config tree is anywhere near this; a larger one is a mistake."""

_MAX_DEPTH = 64
_MAX_NODES = 100_000
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
        aliases = _refuse_depth(text, file)
        nodes = [node for node in yaml.compose_all(text, Loader=_Loader) if not is_empty(node)]
        for node in nodes if aliases else []:
            if _expanded(node, {}) > _MAX_NODES:
                what = "its aliases refer to themselves, or multiply without end"
                raise ConfigError([Problem(file, line_of(node), "", what, "write the values out")])
        return nodes
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


def _expanded(node: yaml.Node, known: dict[int, float]) -> float:
    """Nodes of a document with every alias written out; infinite where one contains itself."""
    if id(node) not in known:
        known[id(node)] = math.inf  # for who meets it again below itself
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = list(node.value)
        known[id(node)] = 1 + sum(_expanded(child, known) for child in children)
    return known[id(node)]


def _refuse_depth(text: str, file: str) -> bool:
    """Whether the text has aliases, unless it nests too deeply to be read at all."""
    depth, aliases = 0, False
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                what = f"nested more than {_MAX_DEPTH} levels deep"
                raise ConfigError([Problem(file, _line(event.start_mark), "", what, "write it flatter")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases = True
    return aliases


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
