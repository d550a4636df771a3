"""Reads a scenario file into records; every mistake of the file is reported at once, with its line."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from pytest_modelrt.plan.document import compose, line_of
from pytest_modelrt.plan.load import display, read_text
from pytest_modelrt.plan.problems import ConfigError, Problem
from pytest_modelrt.simulator import resources
from pytest_modelrt.simulator.scenario.model import MILESTONES, ScenarioFile

_CHOICES = {
    "platform": ("v0.1.3", "v0.1.4", "interim", "v0.1.5"),
    "downloads": ("sunny", "calm", "crowded"),
    "startups": ("sunny", "recorded"),
    "component": ("engine", "router"),
    "embedding": ("nan", "zero", "short"),
    "hang": MILESTONES,
    "clients": ("all", "suite", "platform"),
    "token": ("good", "missing", "wrong-namespace", "wrong-key", "empty"),
    "outcome": ("passed", "failed", "skipped", "error", "not-run"),
}
_CHOICES_AT = {"Crash": MILESTONES, "LogLines": MILESTONES}
_KINDS = sorted(value.kind for value in vars(resources).values() if isinstance(value, resources.Resource))
_Record = TypeVar("_Record")


def read_scenario(path: Path) -> ScenarioFile:
    """The file as records.

    Raises:
        ConfigError: it cannot be read, is not YAML, or says something a scenario cannot say.
    """
    documents = compose(read_text(path), display(path))
    if not documents:
        return ScenarioFile()
    if len(documents) > 1:
        raise ConfigError([Problem(display(path), 0, "", f"has {len(documents)} documents", "write one document")])
    reader = _Reader(display(path))
    scenario = reader.record(ScenarioFile, documents[0], "")
    if scenario is None:
        raise ConfigError(reader.problems)
    return scenario


class _Reader:
    """Walks YAML nodes along the types of the records."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def problem(self, node: yaml.Node, where: str, what: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, line_of(node), where, what, remedy))

    def record(self, kind: type[_Record], node: yaml.Node, where: str) -> _Record | None:
        """``node`` as an instance of the dataclass ``kind``; None after a reported problem."""
        before = len(self.problems)
        if isinstance(node, yaml.ScalarNode) and node.value in (short := getattr(kind, "SHORTHAND", {})):
            return kind(**short[node.value])
        if not isinstance(node, yaml.MappingNode):
            words = "".join(f", or the word {word}" for word in getattr(kind, "SHORTHAND", {}))
            self.problem(node, where, "not a mapping", f"write fields below it{words}")
            return None
        hints = get_type_hints(kind)
        fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            path = f"{where}.{key}" if where else key
            if key not in fields:
                self.problem(key_node, path, "unknown field", f"known here: {', '.join(fields)}")
            elif key in values:
                self.problem(key_node, path, "given twice", "remove one")
            else:
                values[key] = self.value(hints[key], value_node, path)
                self._check_choice(kind.__name__, key, values[key], value_node, path)
        for name, field in fields.items():
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and name not in values:
                self.problem(node, where, f"field {name} is missing", "add it")
        return kind(**values) if len(self.problems) == before else None

    def _check_choice(self, kind: str, key: str, value: Any, node: yaml.Node, where: str) -> None:
        allowed = _CHOICES_AT.get(kind) if key == "at" else _CHOICES.get(key)
        if allowed and isinstance(value, str) and value not in allowed:
            self.problem(node, where, f"unknown value {value!r}", f"use one of {', '.join(allowed)}")
        if kind == "Injection" and key == "object" and isinstance(value, str) and value.partition("/")[0] not in _KINDS:
            self.problem(node, where, f"unknown kind in {value!r}", f"use one of {', '.join(_KINDS)}, then /name")

    def value(self, hint: Any, node: yaml.Node, where: str) -> Any:
        """``node`` as a value of the type ``hint``; None after a reported problem."""
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
                return None
            return self.value(next(arg for arg in get_args(hint) if arg is not type(None)), node, where)
        if origin is tuple:
            return self._sequence(get_args(hint)[0], node, where)
        if dataclasses.is_dataclass(hint):
            return self.record(hint, node, where)  # type: ignore[arg-type]
        plain = yaml.SafeLoader("").construct_document(node)
        if hint is Any:
            return plain
        if origin is not None and issubclass(origin, Mapping):
            if isinstance(plain, dict):
                return plain
            self.problem(node, where, "not a mapping", "write fields below it")
            return None
        return self._scalar(hint, plain, node, where)

    def _sequence(self, item: Any, node: yaml.Node, where: str) -> tuple[Any, ...]:
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.value(item, child, f"{where}[{index}]") for index, child in enumerate(node.value))
        if item is str and isinstance(node, yaml.ScalarNode):
            return (str(node.value),)
        self.problem(node, where, "not a list", "write it as a list")
        return ()

    def _scalar(self, hint: Any, plain: Any, node: yaml.Node, where: str) -> Any:
        number = isinstance(plain, int | float) and not isinstance(plain, bool)
        if hint is float and number:
            if plain >= 0:
                return float(plain)
            self.problem(node, where, f"{plain} is negative", "use 0 or more")
        elif hint in (int, bool) and type(plain) is hint:
            return plain
        elif hint is str and isinstance(node, yaml.ScalarNode) and plain is not None:
            return str(node.value)
        else:
            names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
            self.problem(node, where, f"{plain!r} does not fit", f"write {names[hint]}")
        return None
