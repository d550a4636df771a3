"""Causes between a pod object and a running container: scheduling, image, node."""

from __future__ import annotations

from pytest_modelrt.diagnosis.model import Cause, Owner, Scope
from pytest_modelrt.journal.model import Outcome, Stage


def _cause(slug: str, owner: Owner, outcome: Outcome, scope: Scope, title: str, hint: str, retries: int = 0) -> Cause:
    return Cause(slug, Stage.SERVICE, owner, outcome, scope, title, hint, retries=retries)


CAUSES = (
    _cause("pod-unschedulable", Owner.CLUSTER, Outcome.ERROR, Scope.TIER, "no node takes the pod",
           "compare what the pod asks for with what the nodes have left: kubectl describe pod -n {namespace}"),
    _cause("image-pull", Owner.RUNTIME, Outcome.FAILED, Scope.TIER, "the image cannot be pulled",
           "check tag and registry access of the image named in the event"),
    _cause("container-config-error", Owner.CONFIG, Outcome.FAILED, Scope.MODEL, "the container cannot be created",
           "mend the reference named in the message"),
    _cause("gpu-device-fault", Owner.CLUSTER, Outcome.ERROR, Scope.NODE, "a GPU of the node is faulty",
           "kubectl cordon {node}, then see its Xid log", retries=1),
    _cause("gpu-memory-occupied", Owner.CLUSTER, Outcome.ERROR, Scope.NODE,
           "another process holds memory of the node's GPUs", "find it with nvidia-smi on {node}", retries=1),
    _cause("node-lost", Owner.CLUSTER, Outcome.ERROR, Scope.NODE, "the node went away under the pod",
           "kubectl describe node {node}", retries=1),
)  # fmt: skip
