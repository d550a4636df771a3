"""When an LLMInferenceService is ready to be asked: its conditions and an answer of ``/health``, in that order.

Ready alone proves little: without a readiness probe it only says that a process was started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from pytest_modelrt.clock import Deadline
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import POD, Object, Ref, WaitTimeout
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.protocol import StackFailure

_HOPELESS = frozenset(
    {
        "CombineBaseError",
        "ReconcileCertsError",
        "ReconcileMultiNodeWorkloadError",
        "ReconcileSingleNodeWorkloadError",
        "ReconcileWorkloadServiceError",
        "RefsInvalid",
    }
)
"""Reasons that stay until somebody changes an object."""
_PAUSE = 2.0
"""Cluster seconds between two looks at ``/health``."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Cluster seconds since the wait began."""

    ready: float
    healthy: float


def conditions_of(obj: Object) -> dict[str, Object]:
    """Status conditions by type."""
    found = (obj.get("status") or {}).get("conditions") or []
    return {str(item.get("type")): item for item in found}


def is_true(obj: Object, kind: str) -> bool:
    """Whether that condition is True."""
    return bool(conditions_of(obj).get(kind, {}).get("status") == "True")


def is_ready(obj: Object) -> bool:
    """Ready, and the status speaks of the object as it is now."""
    observed = (obj.get("status") or {}).get("observedGeneration")
    return observed == obj["metadata"].get("generation") and is_true(obj, "Ready")


def hopeless(obj: Object) -> str | None:
    """Why the service will not become ready by itself; None while there is hope.

    Failing presets leave Ready at Unknown, so Ready is not the place to look.
    """
    for kind, condition in conditions_of(obj).items():
        if condition.get("status") == "False" and condition.get("reason") in _HOPELESS:
            return f"{kind} is False, {condition['reason']}: {condition.get('message', '')}".rstrip(": ")
    return None


def explain(obj: Object | None) -> str:
    """The conditions that are not True, in one line."""
    if obj is None:
        return "it is not there"
    conditions = conditions_of(obj)
    unhappy = [
        f"{kind}={condition.get('status')} {condition.get('reason', '')} {condition.get('message', '')}".strip()
        for kind, condition in conditions.items()
        if condition.get("status") != "True"
    ]
    if not conditions:
        return "no condition is set"
    return "; ".join(unhappy) or "all conditions are True"


def wait_ready(cluster: Cluster, ref: Ref, deadline: Deadline) -> Object:
    """Wait until the conditions say ready.

    Raises:
        StackFailure: it cannot become ready (``terminal-state``), or did not in time (``deadline``).
    """

    def done(obj: Object | None) -> bool:
        if obj is None:
            return False
        verdict = hopeless(obj)
        if verdict is not None:
            raise StackFailure(Stage.SERVICE, "terminal-state", f"{ref}: {verdict}")
        return is_ready(obj)

    try:
        return cluster.wait_until(ref, done, deadline)
    except WaitTimeout as error:
        text = f"{ref} is not ready after {deadline.seconds:.0f} s: {explain(error.last)}"
        raise StackFailure(Stage.SERVICE, "deadline", text) from error


def wait_healthy(cluster: Cluster, ref: Ref, deadline: Deadline) -> None:
    """Wait until a pod of the service answers ``/health`` with 200.

    Raises:
        StackFailure: none did in time.
    """
    last = "no pod is ready"
    while True:
        for pod in ready_pods(cluster, ref):
            answer = ask_pod(cluster, pod, "/health")
            if answer == "200":
                return
            last = f"{pod['metadata']['name']}: /health: {answer}"
        if deadline.expired:
            text = f"{ref} does not answer within {deadline.seconds:.0f} s: {last}"
            raise StackFailure(Stage.SERVICE, "deadline", text)
        cluster.clock.sleep(min(_PAUSE, max(deadline.remaining, 0.1)))


def ready_pods(cluster: Cluster, ref: Ref) -> list[Object]:
    """Pods of a service that are ready and stay."""
    pods = cluster.list(POD, ref.namespace, labels=names.pod_labels(ref.name))
    return [pod for pod in pods if is_true(pod, "Ready") and not pod["metadata"].get("deletionTimestamp")]


def ask_pod(cluster: Cluster, pod: Object, path: str, headers: Mapping[str, str] | None = None) -> str:
    """Status of one GET through a port-forward, or what went wrong."""
    metadata = pod["metadata"]
    transport = cluster.tunnel(metadata["namespace"], metadata["name"], names.PORT)
    with httpx.Client(transport=transport, base_url="http://pod", timeout=httpx.Timeout(10.0)) as client:
        try:
            return str(client.get(path, headers=dict(headers or {})).status_code)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
