"""What a pod's status says: ready, not yet, or hopeless. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.stacks.ome.context import condition, dig, is_true, label
from pytest_modelrt.stacks.ome.names import COMPONENT_LABEL, DEFAULT_PORT, ENGINE, LEADER_INDEX_LABEL

_HOPELESS_WAITING = frozenset(
    {"InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError",
     "RunContainerError"}
)  # fmt: skip
"""Waiting reasons after which the kubelet only repeats itself; ``ErrImagePull`` alone may still be a hiccup."""
_PASSING = ("toomanyrequests", "rate limit", "i/o timeout", "connection refused", "connection reset", "TLS handshake")
"""Words of an image pull that may succeed at the next try."""


def component(pod: Object) -> str:
    """``engine`` or ``router``; pods of a LeaderWorkerSet without the label belong to the engine."""
    return label(pod, COMPONENT_LABEL) or ENGINE


def is_ready(pod: Object) -> bool:
    """Ready and not going away."""
    return is_true(pod, "Ready") and not is_going(pod)


def is_going(pod: Object) -> bool:
    """Being deleted."""
    return dig(pod, "metadata", "deletionTimestamp") is not None


def is_leader(pod: Object) -> bool:
    """The pod that answers for its group; every pod outside a LeaderWorkerSet."""
    return label(pod, LEADER_INDEX_LABEL) in (None, "0")


def container_statuses(pod: Object) -> Iterator[Object]:
    """Statuses of init and main containers."""
    for key in ("initContainerStatuses", "containerStatuses"):
        yield from dig(pod, "status", key) or []


def restarts(pod: Object) -> int:
    """Restarts of all its containers."""
    return sum(int(status.get("restartCount") or 0) for status in container_statuses(pod))


def has_started(pod: Object) -> bool:
    """Whether a main container is or was running."""
    statuses = dig(pod, "status", "containerStatuses") or []
    return any(dig(s, "state", "running") or dig(s, "lastState", "terminated") for s in statuses)


def hopeless(pod: Object) -> str | None:
    """Why this pod will never get ready by itself; None while there is hope. Crashes are judged by their logs."""
    if is_going(pod):
        return None
    for status in container_statuses(pod):
        waiting = dig(status, "state", "waiting") or {}
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if reason in _HOPELESS_WAITING and not any(word in message for word in _PASSING):
            return f"{reason}: {message}" if message else reason
    if dig(pod, "status", "phase") == "Failed":
        return str(dig(pod, "status", "message") or dig(pod, "status", "reason") or "pod failed")
    return None


def unschedulable(pod: Object) -> str | None:
    """The scheduler's words while no node takes the pod."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("message") or scheduled.get("reason") or "unschedulable")
    return None


def waits_for_gpus(message: str) -> bool:
    """Whether GPUs that others hold are part of the reason: those come free."""
    return "Insufficient nvidia.com/gpu" in message


def port_of(pod: Object, container: str) -> int:
    """The first declared port of that container (or of the first one)."""
    containers = dig(pod, "spec", "containers") or []
    chosen = next((c for c in containers if c.get("name") == container), containers[0] if containers else {})
    ports = chosen.get("ports") or []
    return int(ports[0]["containerPort"]) if ports else DEFAULT_PORT


def startup_window(pod: Object) -> float | None:
    """Cluster seconds the engine's own startup probe allows: delay + failures x period; None without one."""
    windows = []
    for container in dig(pod, "spec", "containers") or []:
        probe = container.get("startupProbe")
        if probe:
            tries = int(probe.get("failureThreshold") or 3) * int(probe.get("periodSeconds") or 10)
            windows.append(float(int(probe.get("initialDelaySeconds") or 0) + tries))
    return max(windows, default=None)
