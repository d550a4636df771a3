"""Typed reading of YAML nodes: every wrong field becomes a problem, and reading goes on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final

import yaml

from pytest_modelrt.plan.document import line_of
from pytest_modelrt.plan.problems import ConfigError, Problem

_TAG: Final = "tag:yaml.org,2002:"
_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


class Reader:
    """Collects the problems of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def report(self, line: int, field: str, what: str, remedy: str) -> None:
        """Note one problem."""
        self.problems.append(Problem(self.file, line, field, what, remedy))

    def close(self) -> None:
        """Raise what was collected.

        Raises:
            ConfigError: there were problems.
        """
        if self.problems:
            raise ConfigError(sorted(self.problems, key=lambda problem: problem.line))


class Mapping:
    """One mapping of the file. Getters return a harmless value where the field is wrong, so that reading can go on."""

    def __init__(self, reader: Reader, node: yaml.Node, path: str = "") -> None:
        self._reader = reader
        self._path = path
        self.line = line_of(node)
        self._values: dict[str, yaml.Node] = {}
        self._lines: dict[str, int] = {}
        self._asked: list[str] = []
        self.void = not isinstance(node, yaml.MappingNode)
        """The file has something else here; that is reported, and nothing is called missing."""
        if not isinstance(node, yaml.MappingNode):
            self.report("", f"{_describe(node)} where fields are expected", "write it as name: value lines")
            return
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in self._values:
                first = self._lines[name]
                self._reader.report(
                    line_of(key), self.at(name), f"given twice (first in line {first})", "remove one of the two"
                )
                continue
            self._values[name] = value
            self._lines[name] = line_of(key)

    def at(self, name: str) -> str:
        """Path of a field for messages."""
        return f"{self._path}.{name}" if self._path and name else self._path or name

    def line_of(self, name: str) -> int:
        """Line of a field; the mapping's own where the field is missing."""
        return self._lines.get(name, self.line)

    def report(self, name: str, what: str, remedy: str) -> None:
        """Note a problem of one field."""
        self._reader.report(self.line_of(name), self.at(name), what, remedy)

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        self._ask(name)
        return name in self._values

    def is_text(self, name: str) -> bool:
        """Whether the field is there and text."""
        return self.has(name) and _kind(self._values[name]) == "str"

    def names(self) -> Sequence[str]:
        """All fields there are, for mappings whose keys are data."""
        self._asked.extend(self._values)
        return tuple(self._values)

    def text(
        self,
        name: str,
        default: str | None = None,
        *,
        pattern: str | None = None,
        form: str = "",
        choices: Sequence[str] = (),
    ) -> str:
        """A text field; required when ``default`` is None. ``form`` says in words what ``pattern`` wants."""
        node = self._scalar(name, "str", required=default is None)
        if node is None:
            return default or ""
        value = str(node.value)
        if pattern is not None and not re.fullmatch(pattern, value):
            self.report(name, f"{_short(value)!r} is not {form}", f"write {form}")
        elif choices and value not in choices:
            self.report(name, f"unknown value {_short(value)!r}", _suggest(value, choices))
        return value

    def integer(self, name: str, default: int | None = None, *, minimum: int = 1) -> int:
        """A whole number; required when ``default`` is None."""
        node = self._scalar(name, "int", required=default is None)
        if node is None:
            return default if default is not None else minimum
        if not re.fullmatch(r"-?(0|[1-9]\d{0,17})", node.value):
            self.report(name, f"{_short(node.value)} is not a plain decimal number", "write digits only")
            return minimum
        value = int(node.value)
        if value < minimum:
            self.report(name, f"{value} is too small", f"write {minimum} or more")
            return minimum
        return value

    def number(self, name: str, default: float | None = None, *, maximum: float | None = None) -> float:
        """A number above zero; required when ``default`` is None."""
        node = self._scalar(name, "float", required=default is None)
        if node is None:
            return default if default is not None else 1.0
        try:
            value = float(node.value)
        except ValueError:
            value = float("nan")
        top = float("inf") if maximum is None else maximum
        if not 0 < value <= top or value == float("inf"):
            limit = f" and at most {maximum:g}" if maximum is not None else ""
            self.report(name, f"{_short(node.value)} is out of range", f"write a number above 0{limit}")
            return 1.0
        return value

    def flag(self, name: str, default: bool) -> bool:
        """``true`` or ``false``."""
        node = self._scalar(name, "bool", required=False)
        return default if node is None else node.value.lower() in ("true", "yes", "on")

    def texts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts."""
        found = []
        for position, item in enumerate(self._items(name)):
            if _kind(item) == "str":
                found.append(str(item.value))
            else:
                where = self.at(f"{name}[{position}]")
                self._reader.report(
                    line_of(item), where, f"{_describe(item)} where text is expected", "put it in quotes"
                )
        return tuple(found) if self.has(name) else tuple(default)

    def mapping(self, name: str) -> Mapping:
        """A nested mapping; one without fields where it is missing."""
        self._ask(name)
        node = self._values.get(name) or yaml.MappingNode(f"{_TAG}map", [], *self._marks())
        return Mapping(self._reader, node, self.at(name))

    def mappings(self, name: str) -> Iterator[Mapping]:
        """A required list of mappings."""
        self._ask(name)
        if name not in self._values:
            self._missing(name)
        for position, item in enumerate(self._items(name)):
            yield Mapping(self._reader, item, self.at(f"{name}[{position}]"))

    def close(self) -> None:
        """Report the fields nobody asked for."""
        for name in self._values:
            if name not in self._asked:
                self.report(name, "unknown field", _suggest(name, self._asked))

    def _marks(self) -> tuple[yaml.Mark, yaml.Mark]:
        mark = yaml.Mark(self._reader.file, 0, self.line - 1, 0, None, 0)
        return mark, mark

    def _ask(self, name: str) -> None:
        if name not in self._asked:
            self._asked.append(name)

    def _items(self, name: str) -> list[yaml.Node]:
        self._ask(name)
        node = self._values.get(name)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.report(name, f"{_describe(node)} where a list is expected", "write [a, b] or lines that start with -")
            return []
        return list(node.value)

    def _scalar(self, name: str, kind: str, *, required: bool) -> yaml.ScalarNode | None:
        self._ask(name)
        node = self._values.get(name)
        if node is None:
            if required:
                self._missing(name)
            return None
        found = _kind(node)
        if found == kind or (kind == "float" and found == "int"):
            if kind == "str" and not node.value.strip():
                self.report(name, "is empty", "give it a value")
            return node if isinstance(node, yaml.ScalarNode) else None
        remedy = "put it in quotes" if kind == "str" and isinstance(node, yaml.ScalarNode) else f"write {_KINDS[kind]}"
        self.report(name, f"{_describe(node)} where {_KINDS[kind]} is expected", remedy)
        return None

    def _missing(self, name: str) -> None:
        if self.void:
            return  # said once already: these are no fields at all
        similar = difflib.get_close_matches(name, [key for key in self._values if key not in self._asked], n=1)
        hint = f"did you mean it by {similar[0]!r}?" if similar else "add it"
        self.report(name, "is missing", hint)


def _kind(node: yaml.Node) -> str:
    return str(node.tag).removeprefix(_TAG)


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    kind = _KINDS.get(_kind(node), _kind(node))
    return kind if kind == "nothing" else f"{kind} ({_short(str(node.value))})"


def _short(value: str, limit: int = 60) -> str:
    return value if len(value) <= limit else value[: limit - 3] + "..."


def _suggest(value: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(value, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
