"""Evidence built from a few words, shaped as the platform shows it."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.diagnosis.model import Evidence, PodSnapshot, ProbeExchange, Refusal
from pytest_modelrt.journal.model import Stage

NAME = "llama-3-8b"
TIME = "2026-01-31T12:00:00Z"


def model(*, ready: int = 0, failed: int = 0, state: str = "In_Transit", key: str = "", **spec: Any) -> dict[str, Any]:
    storage = {"storageUri": "hf://meta-llama/Llama-3-8B", "path": "/raid/models/x", **({"key": key} if key else {})}
    return {
        "kind": "ClusterBaseModel",
        "metadata": {"name": NAME},
        "spec": {"storage": storage, **spec},
        "status": {
            "state": state,
            "nodesReady": [f"node-{number}" for number in range(ready)],
            "nodesFailed": [f"node-{number + 8}" for number in range(failed)],
        },
    }


def event(
    reason: str, message: str, *, kind: str = "InferenceService", name: str = NAME, time: str = TIME
) -> dict[str, Any]:
    return {
        "reason": reason,
        "message": message,
        "type": "Warning",
        "firstTimestamp": time,
        "involvedObject": {"kind": kind, "name": name},
    }


def service(**engine: Any) -> dict[str, Any]:
    return {
        "kind": "InferenceService",
        "metadata": {"name": NAME, "finalizers": ["inferenceservice.finalizers"]},
        "spec": {"engine": engine or {"minReplicas": 1}, "runtime": {"name": f"srt-{NAME}"}},
    }


def pod(
    *,
    log: str = "",
    previous: str = "",
    component: str = "engine",
    waiting: tuple[str, str] | None = None,
    ended: str = "",
    exit_code: int = 1,
    unschedulable: str = "",
    gpus: int = 1,
    node: str = "node-0",
    restarts: int = 0,
    reason: str = "",
    message: str = "",
) -> PodSnapshot:
    state = {"waiting": {"reason": waiting[0], "message": waiting[1]}} if waiting else {"running": {}}
    status: dict[str, Any] = {
        "phase": "Pending" if waiting or unschedulable else "Running",
        "containerStatuses": [
            {
                "name": "ome-container",
                "image": "registry/x:1",
                "restartCount": restarts,
                "state": state,
                "lastState": {"terminated": {"reason": ended, "exitCode": exit_code}} if ended else {},
            }
        ],
        "conditions": [],
        **({"reason": reason, "message": message} if reason else {}),
    }
    if unschedulable:
        status["conditions"] = [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unschedulable}
        ]
    manifest = {
        "kind": "Pod",
        "metadata": {"name": f"{NAME}-{component}-0", "labels": {"component": component}},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "ome-container", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}],
        },
        "status": status,
    }
    return PodSnapshot(
        manifest,
        {"ome-container": log} if log else {},
        {"ome-container": previous} if previous else {},
    )


def node(name: str, *, gpus: int = 8, **conditions: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {
            "allocatable": {"nvidia.com/gpu": str(gpus)},
            "conditions": [{"type": kind, "status": value, "message": ""} for kind, value in conditions.items()],
        },
    }


def crash(exception: str, *, before: str = "", where: str = "model_runner.py", scheduler: bool = True) -> str:
    lines = [
        "[2026-01-31 12:00:00] server_args=ServerArgs(model_path='/raid/models/x', oom_error='no')",
        "[2026-01-31 12:00:02] INFO: 127.0.0.1 - \"GET /health_generate HTTP/1.1\" 503 Service Unavailable",
        *before.splitlines(),
        *(["[2026-01-31 12:00:10 TP0] Scheduler hit an exception: Traceback (most recent call last):"] if scheduler
          else ["Traceback (most recent call last):"]),
        f'  File "/sgl/{where}", line 10, in load_model',
        "    self.load()",
        exception,
        "[2026-01-31 12:00:11] Received sigquit from a child process. It usually means the child failed.",
    ]  # fmt: skip
    return "\n".join(lines)


def started(*milestones: str) -> str:
    return "\n".join(["server_args=ServerArgs(x)", *milestones])


WARMING = started("Load weight begin", "Load weight end", "Application startup complete", "Start of co-locate warmup")
READY = WARMING + "\nThe server is fired up and ready to roll!"


def at_model(**fields: Any) -> Evidence:
    return Evidence(Stage.MODEL, fields.pop("waited", 600.0), fields.pop("reason", "idle"), nodes_wanted=3,
                    model=fields.pop("model", model()), **fields)  # fmt: skip


def at_service(*pods: PodSnapshot, **fields: Any) -> Evidence:
    return Evidence(
        Stage.SERVICE, fields.pop("waited", 200.0), fields.pop("reason", "terminal-state"), pods=pods,
        service=fields.pop("service", service()), model=fields.pop("model", model(ready=3, state="Ready")), **fields,
    )  # fmt: skip


def at_probe(problem: str, *, status: int | None = 200, body: str = "", error: str = "", **fields: Any) -> Evidence:
    exchange = ProbeExchange("POST", "/v1/chat/completions", "{}", status, body, 1.0, error)
    return Evidence(Stage.PROBE, 10.0, "probe", exchanges=(exchange,), probe_problem=problem, **fields)


def refused(code: int, message: str, *, reason: str = "", resource: str = "clusterbasemodels.ome.io") -> Evidence:
    return Evidence(Stage.MODEL, 1.0, "rejected", refusal=Refusal(code, reason, message, "patch", resource))


def agent_log(text: str, nodes: int = 3) -> dict[str, str]:
    return {f"node-{number}": f"starting\n{text}\nbye" for number in range(nodes)}


def updating(completed: int, nodes: int = 3) -> dict[str, Any]:
    progress = {"phase": "downloading", "totalBytes": 16 * 10**9, "completedBytes": completed, "lastUpdated": TIME}
    return {f"node-{number}": {"name": NAME, "status": "Updating", "progress": progress} for number in range(nodes)}
