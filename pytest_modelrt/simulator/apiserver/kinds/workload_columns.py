"""Table columns of pods and workloads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pytest_modelrt.simulator.apiserver.humanize import age, duration
from pytest_modelrt.simulator.apiserver.kinds.columns import AGE, NAME, computed, selector_text, text
from pytest_modelrt.simulator.apiserver.resources import Column
from pytest_modelrt.simulator.apiserver.values import JSON, dig, parse_time


def _statuses(obj: JSON, field: str = "containerStatuses") -> list[JSON]:
    return dig(obj, "status", field) or []


def _pod_ready(obj: JSON) -> str:
    total = len(dig(obj, "spec", "containers") or [])
    ready = sum(1 for item in _statuses(obj) if item.get("ready"))
    return f"{ready}/{total}"


def _state_reason(item: JSON) -> str:
    state = item.get("state") or {}
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason"):
        return str(waiting["reason"])
    if terminated is not None and state.get("running") is None:
        if terminated.get("reason"):
            return str(terminated["reason"])
        if terminated.get("signal"):
            return f"Signal:{terminated['signal']}"
        return f"ExitCode:{terminated.get('exitCode', 0)}"
    return ""


def _init_reason(obj: JSON) -> str:
    """``Init:…`` while an init container holds the pod up, else empty."""
    specs = {item["name"]: item for item in dig(obj, "spec", "initContainers") or []}
    for index, item in enumerate(_statuses(obj, "initContainerStatuses")):
        terminated = dig(item, "state", "terminated")
        sidecar = specs.get(item.get("name", ""), {}).get("restartPolicy") == "Always"
        if (terminated and terminated.get("exitCode") == 0) or (sidecar and item.get("started")):
            continue
        reason = _state_reason(item)
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{index}/{len(specs)}"
    return ""


def pod_status(obj: JSON) -> str:
    """What ``kubectl get pods`` shows as STATUS."""
    status = obj.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "")
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    init = _init_reason(obj)
    if init:
        reason = init
    else:
        running = False
        for item in reversed(_statuses(obj)):
            found = _state_reason(item)
            if found:
                reason = found
            elif item.get("ready") and dig(item, "state", "running") is not None:
                running = True
        if reason == "Completed" and running:
            ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or [])
            reason = "Running" if ready else "NotReady"
    if obj["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def _restarts(obj: JSON) -> str:
    statuses = _statuses(obj)
    count = sum(item.get("restartCount") or 0 for item in statuses)
    ends = [parse_time(dig(item, "lastState", "terminated", "finishedAt")) for item in statuses]
    known = [end for end in ends if end is not None]
    if count and known:
        return f"{count} ({duration((datetime.now(UTC) - max(known)).total_seconds())} ago)"
    return str(count)


def _gates(obj: JSON) -> str:
    gates = dig(obj, "spec", "readinessGates") or []
    if not gates:
        return "<none>"
    true = {c.get("type") for c in dig(obj, "status", "conditions") or [] if c.get("status") == "True"}
    return f"{sum(1 for gate in gates if gate.get('conditionType') in true)}/{len(gates)}"


def _number(*path: str) -> Callable[[JSON], int]:
    return lambda obj: dig(obj, *path) or 0


def _ready_of(wanted: tuple[str, ...], ready: tuple[str, ...]) -> Callable[[JSON], str]:
    return lambda obj: f"{dig(obj, *ready) or 0}/{dig(obj, *wanted) or 0}"


def _containers(field: str) -> Callable[[JSON], str]:
    def cell(obj: JSON) -> str:
        found = dig(obj, "spec", "template", "spec", "containers") or []
        return ",".join(str(item.get(field, "")) for item in found)

    return cell


_TEMPLATE = (
    computed("Containers", _containers("name"), priority=1),
    computed("Images", _containers("image"), priority=1),
    computed("Selector", lambda obj: selector_text(dig(obj, "spec", "selector")), priority=1),
)


def _job_status(obj: JSON) -> str:
    for condition in dig(obj, "status", "conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return "Running"


def _job_completions(obj: JSON) -> str:
    done = dig(obj, "status", "succeeded") or 0
    wanted = dig(obj, "spec", "completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = dig(obj, "spec", "parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(obj: JSON) -> str:
    start, end = parse_time(dig(obj, "status", "startTime")), parse_time(dig(obj, "status", "completionTime"))
    if start is None:
        return ""
    return duration(((end or datetime.now(UTC)) - start).total_seconds())


def _autoscaled(obj: JSON) -> str:
    return f"{dig(obj, 'spec', 'scaleTargetRef', 'kind')}/{dig(obj, 'spec', 'scaleTargetRef', 'name')}"


def _pod_ip(obj: JSON) -> Any:
    return dig(obj, "status", "podIP") or "<none>"


WORKLOAD_COLUMNS: dict[str, tuple[Column, ...]] = {
    "Pod": (
        NAME,
        computed("Ready", _pod_ready),
        computed("Status", pod_status),
        computed("Restarts", _restarts),
        AGE,
        computed("IP", _pod_ip, priority=1),
        text("Node", "spec", "nodeName", absent="<none>", priority=1),
        text("Nominated Node", "status", "nominatedNodeName", absent="<none>", priority=1),
        computed("Readiness Gates", _gates, priority=1),
    ),
    "Deployment": (
        NAME,
        computed("Ready", _ready_of(("spec", "replicas"), ("status", "readyReplicas"))),
        computed("Up-to-date", _number("status", "updatedReplicas"), type="integer"),
        computed("Available", _number("status", "availableReplicas"), type="integer"),
        AGE,
        *_TEMPLATE,
    ),
    "ReplicaSet": (
        NAME,
        computed("Desired", _number("spec", "replicas"), type="integer"),
        computed("Current", _number("status", "replicas"), type="integer"),
        computed("Ready", _number("status", "readyReplicas"), type="integer"),
        AGE,
        *_TEMPLATE,
    ),
    "ReplicationController": (
        NAME,
        computed("Desired", _number("spec", "replicas"), type="integer"),
        computed("Current", _number("status", "replicas"), type="integer"),
        computed("Ready", _number("status", "readyReplicas"), type="integer"),
        AGE,
    ),
    "StatefulSet": (
        NAME,
        computed("Ready", _ready_of(("spec", "replicas"), ("status", "readyReplicas"))),
        AGE,
        *_TEMPLATE[:2],
    ),
    "DaemonSet": (
        NAME,
        computed("Desired", _number("status", "desiredNumberScheduled"), type="integer"),
        computed("Current", _number("status", "currentNumberScheduled"), type="integer"),
        computed("Ready", _number("status", "numberReady"), type="integer"),
        computed("Up-to-date", _number("status", "updatedNumberScheduled"), type="integer"),
        computed("Available", _number("status", "numberAvailable"), type="integer"),
        computed(
            "Node Selector",
            lambda obj: selector_text({"matchLabels": dig(obj, "spec", "template", "spec", "nodeSelector")}),
        ),
        AGE,
        *_TEMPLATE,
    ),
    "Job": (
        NAME,
        computed("Status", _job_status),
        computed("Completions", _job_completions),
        computed("Duration", _job_duration),
        AGE,
        *_TEMPLATE,
    ),
    "CronJob": (
        NAME,
        text("Schedule", "spec", "schedule"),
        text("Timezone", "spec", "timeZone", absent="<none>"),
        computed("Suspend", lambda obj: "True" if dig(obj, "spec", "suspend") else "False"),
        computed("Active", lambda obj: len(dig(obj, "status", "active") or []), type="integer"),
        computed(
            "Last Schedule", lambda obj: age(dig(obj, "status", "lastScheduleTime")).replace("<unknown>", "<none>")
        ),
        AGE,
    ),
    "HorizontalPodAutoscaler": (
        NAME,
        computed("Reference", _autoscaled),
        computed("Targets", lambda _obj: "<unknown>"),
        text("MinPods", "spec", "minReplicas", absent="<unset>"),
        text("MaxPods", "spec", "maxReplicas"),
        computed("Replicas", _number("status", "currentReplicas"), type="integer"),
        AGE,
    ),
}
