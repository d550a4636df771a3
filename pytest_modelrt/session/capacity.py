"""What the cluster's nodes offer, read once at the start of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_modelrt.cluster.model import POD, RUN_ID, ApiError, Object
from pytest_modelrt.scheduling.placement import Machine

if TYPE_CHECKING:
    from pytest_modelrt.cluster.cluster import Cluster

GPU = "nvidia.com/gpu"
_TOLERATED = (GPU, "node.kubernetes.io/")
"""Taints that keep no engine away: the usual one of GPU nodes, and passing conditions."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """GPUs of the ready, schedulable nodes that have any."""

    gpus: dict[str, int]
    """Node -> GPUs."""
    machines: tuple[Machine, ...] = ()
    """Nodes any engine may run on, with the GPUs that no stranger's pod holds."""

    @property
    def total(self) -> int | None:
        """GPUs of all nodes; None when no node says that it has any."""
        return sum(self.gpus.values()) or None

    def text(self, budget: int) -> str:
        """For people: what there is, and what that does to a budget."""
        shapes = Counter(self.gpus.values())
        parts = ", ".join(f"{count} x {gpus}" for gpus, count in sorted(shapes.items(), reverse=True))
        nodes = f"{len(self.gpus)} node{'s' * (len(self.gpus) != 1)}"
        text = f"{nodes} of the cluster have {self.total} GPUs ({parts})"
        if self.total is not None and self.total < budget:
            text += f": the budget is {self.total} instead of {budget}, larger cases are skipped"
        return text


def read_capacity(cluster: Cluster) -> Capacity:
    """Ask the cluster; nothing where we may not look.

    Raises:
        ClusterError: it does not answer.
    """
    try:
        gpus = {name: count for name, count in cluster.allocatable_gpus().items() if count > 0}
        nodes = cluster.nodes()
    except ApiError:
        return Capacity({})
    try:
        pods = cluster.list(POD)
    except ApiError:
        pods = []
    return Capacity(gpus, free_gpus(gpus, nodes, pods))


def free_gpus(gpus: Mapping[str, int], nodes: Iterable[Object], pods: Iterable[Object]) -> tuple[Machine, ...]:
    """The nodes any engine may run on, with what strangers leave of their GPUs; none without any."""
    taken = _taken(pods)
    open_nodes = [node["metadata"]["name"] for node in nodes if _is_open(node)]
    free = [Machine(name, gpus.get(name, 0) - taken[name]) for name in sorted(open_nodes)]
    return tuple(machine for machine in free if machine.gpus > 0)


def _is_open(node: Object) -> bool:
    """Whether no taint keeps engines away from the node."""
    taints = node.get("spec", {}).get("taints") or []
    return not any(
        taint.get("effect") in ("NoSchedule", "NoExecute") and not str(taint.get("key", "")).startswith(_TOLERATED)
        for taint in taints
    )


def _taken(pods: Iterable[Object]) -> Counter[str]:
    """Node -> GPUs of pods that no run of ours made and that have not ended."""
    taken = Counter[str]()
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if node and not ended and RUN_ID not in (pod["metadata"].get("labels") or {}):
            taken[node] += sum(_limit(container) for container in pod["spec"].get("containers") or [])
    return taken


def _limit(container: Object) -> int:
    asked = str(((container.get("resources") or {}).get("limits") or {}).get(GPU, "0"))
    return int(asked) if asked.isdigit() else 0
