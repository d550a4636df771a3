"""Whether a pod may run on a node, and why not, in the words of the real scheduler. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.nodes.quantities import Requests, parse_quantity, pod_requests

AFFINITY = "node(s) didn't match Pod's node affinity/selector"
UNSCHEDULABLE = "node(s) were unschedulable"
_RESOLVABLE_BY_PREEMPTION = "Insufficient "


@dataclass(slots=True)
class NodeState:
    """A node with what its pods take."""

    node: Object
    used: Requests

    @property
    def name(self) -> str:
        """Name of the node."""
        return str(self.node["metadata"]["name"])

    def free(self, resource: str) -> float:
        """What is left of a resource."""
        allocatable = (self.node.get("status") or {}).get("allocatable") or {}
        return parse_quantity(allocatable.get(resource, 0)) - self.used.get(resource, 0.0)


def reasons_against(pod: Object, state: NodeState) -> list[str]:
    """Why ``pod`` cannot run on the node; empty when it can. The first failing filter speaks alone, as in a cluster."""
    if state.node["spec"].get("unschedulable") and not _tolerates_cordon(pod):
        return [UNSCHEDULABLE]
    taint = _untolerated_taint(pod, state.node)
    if taint is not None:
        value = f"{taint['key']}: {taint.get('value', '')}"
        return [f"node(s) had untolerated taint {{{value}}}"]
    if not _matches_affinity(pod, state.node):
        return [AFFINITY]
    wanted = pod_requests(pod)
    short = [name for name, amount in wanted.items() if amount > 0 and amount > state.free(name) + 1e-9]
    return ["Too many pods" if name == "pods" else f"Insufficient {name}" for name in short]


def failure_message(total: int, reasons: Mapping[str, Sequence[str]]) -> str:
    """``0/14 nodes are available: 14 Insufficient nvidia.com/gpu. preemption: ...`` from the reasons per node."""
    if not total:
        return "no nodes available to schedule pods"
    counts = Counter(reason for found in reasons.values() for reason in found)
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    helpful = sum(
        1
        for found in reasons.values()
        if any(reason.startswith(_RESOLVABLE_BY_PREEMPTION) or reason == "Too many pods" for reason in found)
    )
    preemption = [
        f"{count} {text}"
        for count, text in (
            (helpful, "No preemption victims found for incoming pod"),
            (total - helpful, "Preemption is not helpful for scheduling"),
        )
        if count
    ]
    available = f"0/{total} nodes are available"
    return f"{available}: {', '.join(parts)}. preemption: {available}: {', '.join(sorted(preemption))}."


def best(pod: Object, states: Iterable[NodeState]) -> NodeState | None:
    """The fitting node with the fewest free GPUs (then the least free cpu, then by name): whole nodes stay free."""
    fitting = [state for state in states if not reasons_against(pod, state)]
    if not fitting:
        return None
    return min(fitting, key=lambda state: (state.free("nvidia.com/gpu"), state.free("cpu"), state.name))


def _tolerates_cordon(pod: Object) -> bool:
    return _tolerated(pod, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})


def _untolerated_taint(pod: Object, node: Object) -> Object | None:
    for taint in node["spec"].get("taints") or []:
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _tolerated(pod, taint):
            return dict(taint)
    return None


def _tolerated(pod: Object, taint: Object) -> bool:
    return any(_tolerates(toleration, taint) for toleration in pod["spec"].get("tolerations") or [])


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _matches_affinity(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_matches_term(term, node, labels) for term in required.get("nodeSelectorTerms") or [])


def _matches_term(term: Object, node: Object, labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    names = {"metadata.name": node["metadata"]["name"]}
    return all(_matches_expression(item, labels) for item in expressions) and all(
        _matches_expression(item, names) for item in fields
    )


def _matches_expression(item: Object, values: Mapping[str, str]) -> bool:
    value = values.get(item["key"])
    wanted = item.get("values") or []
    match item["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and value.isdigit() and int(value) > int(wanted[0])
        case "Lt":
            return value is not None and value.isdigit() and int(value) < int(wanted[0])
        case _:
            return False
