"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_modelrt.simulator.apiserver.errors import bad_request
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.values import JSON, dig

Matcher = Callable[[JSON], bool]
LabelTest = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$")
_COMPARE = re.compile(r"^\s*([^\s=!<>]+)\s*(==|=|!=|>|<)\s*([^\s=!<>]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([^\s=!<>(),]+)\s*$")
_KEY = re.compile(r"^([a-z0-9A-Z]([-a-z0-9A-Z.]*[a-z0-9A-Z])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


def parse_labels(text: str) -> LabelTest | None:
    """A test on labels, None for the empty selector; raises 400 on a syntax error."""
    tests = [_requirement(part) for part in _split(text) if part.strip()]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda labels: all(test(labels) for test in tests)


def label_selector(selector: Any) -> LabelTest:
    """A test from a ``LabelSelector`` object (``matchLabels`` and ``matchExpressions``)."""
    wanted = dict(dig(selector, "matchLabels") or {})
    tests = [_expression(item) for item in dig(selector, "matchExpressions") or []]
    return lambda labels: (
        all(labels.get(key) == value for key, value in wanted.items()) and all(test(labels) for test in tests)
    )


def _expression(item: JSON) -> LabelTest:
    key, operator, values = item["key"], item["operator"], frozenset(item.get("values") or [])
    tests: dict[str, LabelTest] = {
        "In": lambda labels: labels.get(key) in values,
        "NotIn": lambda labels: labels.get(key) not in values,
        "Exists": lambda labels: key in labels,
        "DoesNotExist": lambda labels: key not in labels,
    }
    return tests.get(operator, lambda _labels: False)


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts


def _requirement(part: str) -> LabelTest:
    if match := _SET.match(part):
        key, operator = _checked_key(match[1], part), match[2]
        values = frozenset(value.strip() for value in match[3].split(","))
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _COMPARE.match(part):
        return _comparison(_checked_key(match[1], part), match[2], match[3], part)
    if match := _EXISTS.match(part):
        key = _checked_key(match[2], part)
        if match[1]:
            return lambda labels: key not in labels
        return lambda labels: key in labels
    raise bad_request(f"unable to parse requirement: found '{part.strip()}', expected: a requirement")


def _comparison(key: str, operator: str, value: str, part: str) -> LabelTest:
    if operator in ("=", "=="):
        _check_value(value, part)
        return lambda labels: labels.get(key) == value
    if operator == "!=":
        _check_value(value, part)
        return lambda labels: labels.get(key) != value
    if not re.fullmatch(r"-?\d+", value):
        raise bad_request(
            f"unable to parse requirement: values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' "
            "operators, the value must be an integer"
        )
    limit = int(value)

    def compare(labels: Mapping[str, str]) -> bool:
        found = labels.get(key, "")
        if not re.fullmatch(r"-?\d+", found):
            return False
        return int(found) > limit if operator == ">" else int(found) < limit

    return compare


def _checked_key(key: str, part: str) -> str:
    if not _KEY.match(key):
        raise bad_request(
            f'unable to parse requirement: <nil>: Invalid value: "{key}": name part must consist of '
            f"alphanumeric characters, '-', '_' or '.' (in '{part.strip()}')"
        )
    return key


def _check_value(value: str, part: str) -> None:
    if not _VALUE.match(value):
        raise bad_request(
            f'unable to parse requirement: values[0]: Invalid value: "{value}": a valid label must be '
            f"an empty string or consist of alphanumeric characters, '-', '_' or '.' (in '{part.strip()}')"
        )


def parse_fields(text: str, resource: Resource) -> Matcher | None:
    """A test on objects from a field selector, None when empty; raises 400 for unsupported labels."""
    tests: list[Matcher] = []
    for part in text.split(","):
        if not part.strip():
            continue
        match = re.match(r"^\s*([^=!\s]+)\s*(==|=|!=)(.*)$", part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        tests.append(_field_test(resource, match[1], match[2] != "!=", match[3].strip()))
    if not tests:
        return None
    return lambda obj: all(test(obj) for test in tests)


def _field_test(resource: Resource, label: str, equal: bool, wanted: str) -> Matcher:
    labels = resource.strategy.field_labels
    if label == "metadata.name" or (label == "metadata.namespace" and resource.namespaced):
        path: tuple[str, ...] = tuple(label.split("."))
    elif label in labels:
        path = labels[label]
    else:
        raise bad_request(f"field label not supported: {label}")
    absent = resource.strategy.field_defaults.get(label, "")

    def test(obj: JSON) -> bool:
        return (_text(dig(obj, *path), absent) == wanted) is equal

    return test


def _text(value: Any, absent: str) -> str:
    if value is None:
        return absent
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Selection:
    """Which objects of a collection a list or watch is about."""

    __slots__ = ("fields", "labels", "namespace")

    def __init__(self, namespace: str = "", labels: LabelTest | None = None, fields: Matcher | None = None) -> None:
        self.namespace = namespace
        self.labels = labels
        self.fields = fields

    @property
    def narrowed(self) -> bool:
        """Whether a selector, not only a namespace, restricts it."""
        return self.labels is not None or self.fields is not None

    def matches(self, obj: JSON) -> bool:
        """Whether ``obj`` is selected."""
        metadata = obj["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        if self.labels is not None and not self.labels(metadata.get("labels") or {}):
            return False
        return self.fields is None or self.fields(obj)
