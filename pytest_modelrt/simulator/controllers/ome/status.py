"""The status of an InferenceService from the state of its workloads (facts: ome.md, 4.8, 4.9). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.platform import timestamp
from pytest_modelrt.simulator.controllers.profile import Profile

_ENGINE, _INGRESS, _READY = "EngineReady", "IngressReady", "Ready"
_CONDITION = {"engine": _ENGINE, "decoder": "DecoderReady", "router": "RouterReady"}


@dataclass(frozen=True, slots=True)
class Workload:
    """The Deployment or LeaderWorkerSet of one component as last seen; ``None``: not seen yet."""

    component: str
    name: str
    url: str
    observed: Object | None
    multinode: bool

    @property
    def available(self) -> Object | None:
        """Its Available condition, if it reports one."""
        conditions = ((self.observed or {}).get("status") or {}).get("conditions") or []
        return next((condition for condition in conditions if condition["type"] == "Available"), None)

    @property
    def is_ready(self) -> bool:
        """Whether it is available."""
        return (self.available or {}).get("status") == "True"


def conditions(workloads: Sequence[Workload], *, ingress_disabled: bool, profile: Profile) -> list[Object]:
    """All conditions, without times, sorted by type."""
    found: dict[str, Object] = {}
    for workload in workloads:
        condition = _component_condition(workload, profile)
        if condition is not None:
            found[condition["type"]] = condition
    found[_INGRESS] = _ingress(workloads, disabled=ingress_disabled)
    if profile.idle_conditions:
        for kind in ("LatestDeploymentReady", "RoutesReady"):
            found[kind] = {"type": kind, "status": "Unknown", "severity": "Info"}
    needed = (_INGRESS, _ENGINE) if profile.ready_needs_engine else (_INGRESS,)
    found[_READY] = _roll_up([found.get(kind) for kind in needed])
    return [found[kind] for kind in sorted(found)]


def with_times(wanted: Sequence[Object], old: Sequence[Object]) -> list[Object]:
    """``wanted`` with transition times: ``Ready`` keeps its own while its status stays, those with a reason do not."""
    known = {condition["type"]: condition for condition in old}
    timed = []
    for condition in wanted:
        before = known.get(condition["type"])
        same = before is not None and before["status"] == condition["status"]
        keeps = same and (condition["type"] == _READY or "reason" not in condition or condition["status"] != "True")
        since = before.get("lastTransitionTime") if keeps and before else None
        timed.append({**condition, "lastTransitionTime": since or timestamp()})
    return timed


def without_times(stored: Sequence[Object]) -> list[Object]:
    """Conditions without their transition times, for comparison."""
    return [{name: value for name, value in c.items() if name != "lastTransitionTime"} for c in stored]


def components(workloads: Sequence[Workload], old: Mapping[str, Any]) -> dict[str, Any]:
    """``status.components``: revision, and address once available."""
    listed: dict[str, Any] = {}
    for workload in workloads:
        entry = dict(old.get(workload.component) or {})
        annotations = ((workload.observed or {}).get("metadata") or {}).get("annotations") or {}
        revision = annotations.get("deployment.kubernetes.io/revision")
        if revision:
            entry["latestCreatedRevision"] = revision
        if workload.is_ready:
            entry["url"] = workload.url
        listed[workload.component] = entry
    return listed


def model_status(
    workloads: Sequence[Workload], pods: Sequence[Object], *, ready: bool, old: Mapping[str, Any]
) -> Object:
    """``status.modelStatus``; a failure seen once is never cleared."""
    failure = old.get("lastFailureInfo") or _failure(pods)
    multinode = bool(workloads) and workloads[-1].multinode
    if failure and not ready:
        state, transition = "FailedToLoad", "BlockedByFailedLoad"
    elif ready and not multinode:
        state, transition = "Loaded", "UpToDate"
    else:
        state, transition = "Pending", "InProgress"
    status: Object = {"transitionStatus": transition, "modelRevisionStates": {"targetModelState": state}}
    if state == "Loaded":
        status["modelRevisionStates"]["activeModelState"] = state
    if failure:
        status["lastFailureInfo"] = failure
    return status


def _component_condition(workload: Workload, profile: Profile) -> Object | None:
    available = workload.available
    if available is None:
        return None
    condition: Object = {"type": _CONDITION[workload.component], "status": available["status"]}
    if available["status"] == "True":
        condition["reason"] = available.get("reason", "")
        condition["message"] = available.get("message", "")
    else:
        condition["reason"] = "Initializing"
        condition["message"] = f"{workload.component} component initializing"
    if workload.component != "engine" or not profile.ready_needs_engine:
        condition["severity"] = "Info"
    return condition


def _ingress(workloads: Sequence[Workload], *, disabled: bool) -> Object:
    if disabled:
        text = "Ingress creation is disabled"
        return {"type": _INGRESS, "status": "True", "reason": "IngressDisabled", "message": text}
    by_name = {workload.component: workload for workload in workloads}
    entry = by_name.get("router") or by_name.get("engine")
    if entry is not None and entry.is_ready:
        return {"type": _INGRESS, "status": "True"}
    what = entry.component.capitalize() if entry else "Engine"
    text = f"{what} is not ready for ingress creation"
    return {"type": _INGRESS, "status": "False", "reason": "ComponentNotReady", "message": text}


def _roll_up(needed: Sequence[Object | None]) -> Object:
    for condition in needed:
        if condition is not None and condition["status"] == "False":
            failed: Object = {"type": _READY, "status": "False"}
            return failed | {name: condition[name] for name in ("reason", "message") if name in condition}
    if any(condition is None or condition["status"] == "Unknown" for condition in needed):
        return {"type": _READY, "status": "Unknown"}
    return {"type": _READY, "status": "True"}


def _failure(pods: Sequence[Object]) -> Object | None:
    """Why the newest pod's engine ended, if it did."""
    if not pods:
        return None
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    for status in (newest.get("status") or {}).get("containerStatuses") or []:
        if status["name"] != "ome-container":
            continue
        state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated")
        ended = state.get("terminated") or (
            last if (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff" else None
        )
        if ended and (ended.get("reason") == "Error" or "waiting" in state):
            failure: Object = {"reason": "ModelLoadFailed", "exitCode": ended.get("exitCode", 0)}
            return {**failure, "message": ended.get("message") or ended.get("reason", "")}
    return None
