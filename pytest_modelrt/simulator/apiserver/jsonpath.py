"""The part of Kubernetes' JSONPath that printer columns and selectable fields use."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from pytest_modelrt.simulator.apiserver.values import encode

_TOKEN = re.compile(
    r"""\.\.(?P<deep>[^.\[]+)
      | \.(?P<name>(?:\\.|[^.\[\\])+)
      | \[\?\(@(?P<path>[^=!<>]*?)\s*(?P<op>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[^)]+)\)\]
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\]|\.\*)""",
    re.VERBOSE,
)

Step = tuple[str, Any]


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path; raises ValueError."""
    text = path.strip().removeprefix("{").removesuffix("}")
    if text and text[0] not in ".[":
        text = "." + text
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"cannot read JSONPath {path!r} at {text[position:]!r}")
        position = match.end()
        steps.append(_step(match))
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["all"]:
        return ("all", None)
    if match["deep"]:
        return ("deep", match["deep"])
    if match["index"]:
        return ("index", int(match["index"]))
    if match["op"]:
        text = match["value"].strip()
        wanted = text[1:-1] if text[0] in "\"'" else json.loads(text)
        return ("filter", (parse(match["path"]), match["op"] == "==", wanted))
    name = match["quoted"] or match["name"].replace("\\", "")
    return ("all", None) if name == "*" else ("name", name)


def find(value: Any, path: str) -> list[Any]:
    """All values at ``path``."""
    return _walk([value], parse(path))


def _walk(found: list[Any], steps: tuple[Step, ...]) -> list[Any]:
    for kind, argument in steps:
        following: list[Any] = []
        for value in found:
            following += _advance(value, kind, argument)
        found = following
    return found


def _advance(value: Any, kind: str, argument: Any) -> list[Any]:
    if kind == "name":
        return [value[argument]] if isinstance(value, dict) and argument in value else []
    if kind == "index":
        inside = isinstance(value, list) and -len(value) <= argument < len(value)
        return [value[argument]] if inside else []
    if kind == "all":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if kind == "filter":
        path, equal, wanted = argument
        items = value if isinstance(value, list) else []
        return [item for item in items if any((hit == wanted) is equal for hit in _walk([item], path))]
    if isinstance(value, dict):
        here = [value[argument]] if argument in value else []
        return here + [hit for item in value.values() for hit in _advance(item, kind, argument)]
    return [hit for item in value for hit in _advance(item, kind, argument)] if isinstance(value, list) else []


def printed(values: list[Any]) -> str:
    """Values as kubectl's JSONPath printer writes them: separated by spaces, structures as JSON."""
    return " ".join(item if isinstance(item, str) else encode(item).decode() for item in values)
