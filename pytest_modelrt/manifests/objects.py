"""YAML nodes as the plain objects Kubernetes would see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import yaml

Object = dict[str, Any]


class _Constructor(yaml.constructor.SafeConstructor):
    """Leaves dates as text, which JSON and so Kubernetes have no type for."""

    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **yaml.constructor.SafeConstructor.yaml_constructors,
        "tag:yaml.org,2002:timestamp": yaml.constructor.SafeConstructor.construct_yaml_str,
    }


def construct(node: yaml.Node) -> Any:
    """The value of a composed document.

    Raises:
        yaml.constructor.ConstructorError: a tag or key that no Kubernetes object may have.
    """
    return _Constructor().construct_document(node)


def mapping(source: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A nested mapping; empty where there is none."""
    value = source.get(key)
    return value if isinstance(value, dict) else {}


def sequence(source: Mapping[str, Any], key: str) -> list[Any]:
    """A nested list; empty where there is none."""
    value = source.get(key)
    return value if isinstance(value, list) else []


def duplicate_keys(node: yaml.Node, path: str = "") -> Iterator[tuple[str, int]]:
    """Path and line (from 1) of each field given a second time; readers would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = f"{path}.{name}" if path else name
            if name in seen:
                yield here, key.start_mark.line + 1
            seen.add(name)
            yield from duplicate_keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from duplicate_keys(item, f"{path}[{index}]")


def lines(node: yaml.Node, path: str = "") -> dict[str, int]:
    """Line (from 1) of every field of a document by its path."""
    found = {path: int(node.start_mark.line) + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = f"{path}.{key.value}" if path else str(key.value)
            found |= lines(value, here)
            found[here] = int(key.start_mark.line) + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            found |= lines(item, f"{path}[{index}]")
    return found
