"""Which nodes a pod or a model's storage selects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_modelrt.simulator.client import Object

_DAEMON_TOLERATED = ("node.kubernetes.io/",)
"""Taints of this prefix are tolerated by every DaemonSet pod."""


def selects_node(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether nodeSelector and required node affinity of a pod spec (or of a model's storage) admit the node."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = spec.get("nodeAffinity") or (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_term_matches(term, node) for term in required["nodeSelectorTerms"])


def tolerates_node(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether a DaemonSet pod may run on the node in spite of its taints."""
    for taint in (node.get("spec") or {}).get("taints") or []:
        if taint["effect"] == "PreferNoSchedule" or taint["key"].startswith(_DAEMON_TOLERATED):
            continue
        if not any(_tolerates(toleration, taint) for toleration in spec.get("tolerations") or []):
            return False
    return True


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _term_matches(term: Mapping[str, Any], node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    expressions = term.get("matchExpressions") or []
    on_fields = term.get("matchFields") or []
    if not expressions and not on_fields:
        return False
    return all(_holds(e, labels) for e in expressions) and all(_holds(e, fields) for e in on_fields)


def _holds(expression: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    actual = values.get(expression["key"])
    wanted = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return actual in wanted
        case "NotIn":
            return actual not in wanted
        case "Exists":
            return actual is not None
        case "DoesNotExist":
            return actual is None
        case "Gt":
            return actual is not None and actual.lstrip("-").isdigit() and int(actual) > int(wanted[0])
        case "Lt":
            return actual is not None and actual.lstrip("-").isdigit() and int(actual) < int(wanted[0])
    return False
