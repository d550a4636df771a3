"""Conditions of an InferenceService."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.simulator.controllers.ome.status import (
    Workload,
    conditions,
    model_status,
    with_times,
    without_times,
)
from pytest_modelrt.simulator.controllers.profile import CURRENT, PROFILES


def workload(component: str, available: str | None) -> Workload:
    reason = "MinimumReplicasAvailable" if available == "True" else "MinimumReplicasUnavailable"
    listed = [{"type": "Available", "status": available, "reason": reason, "message": "m"}] if available else []
    return Workload(component, component, f"http://{component}", {"status": {"conditions": listed}}, False)


def by_type(listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {condition["type"]: condition for condition in listed}


def test_unknown_until_the_engine_reports() -> None:
    listed = conditions([workload("engine", None)], ingress_disabled=True, profile=CURRENT)
    assert [condition["type"] for condition in listed] == ["IngressReady", "Ready"]
    assert by_type(listed)["Ready"]["status"] == "Unknown"
    assert by_type(listed)["IngressReady"]["reason"] == "IngressDisabled"


def test_ready_ignores_the_router() -> None:
    listed = by_type(
        conditions([workload("engine", "True"), workload("router", "False")], ingress_disabled=True, profile=CURRENT)
    )
    assert listed["Ready"] == {"type": "Ready", "status": "True"}
    assert listed["RouterReady"]["status"] == "False"
    assert listed["RouterReady"]["severity"] == "Info"
    assert listed["EngineReady"]["reason"] == "MinimumReplicasAvailable"


def test_real_reason_is_overwritten_while_unavailable() -> None:
    listed = by_type(conditions([workload("engine", "False")], ingress_disabled=True, profile=CURRENT))
    assert listed["EngineReady"]["reason"] == "Initializing"
    assert listed["Ready"]["reason"] == "Initializing"
    assert listed["Ready"]["status"] == "False"


def test_older_release_is_ready_before_any_pod_runs() -> None:
    listed = by_type(conditions([workload("engine", "False")], ingress_disabled=True, profile=PROFILES["v0.1.4"]))
    assert listed["Ready"]["status"] == "True"
    assert listed["RoutesReady"]["status"] == "Unknown"
    waiting = by_type(conditions([workload("engine", "False")], ingress_disabled=False, profile=PROFILES["v0.1.4"]))
    assert waiting["Ready"]["reason"] == "ComponentNotReady"


def test_times_stay_only_for_ready() -> None:
    wanted = conditions([workload("engine", "True")], ingress_disabled=True, profile=CURRENT)
    old = [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"} for condition in wanted]
    timed = by_type(with_times(wanted, old))
    assert timed["Ready"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert timed["EngineReady"]["lastTransitionTime"] != "2026-01-01T00:00:00Z"
    assert without_times(old) == wanted


def crashed(reason: str) -> dict[str, Any]:
    last = {"terminated": {"exitCode": 1, "reason": "Error", "message": "boom"}}
    status = {"name": "ome-container", "state": {"waiting": {"reason": reason}}, "lastState": last}
    return {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"containerStatuses": [status]}}


def test_model_status_over_time() -> None:
    engine = [workload("engine", "False")]
    assert model_status(engine, [], ready=False, old={})["transitionStatus"] == "InProgress"
    failed = model_status(engine, [crashed("CrashLoopBackOff")], ready=False, old={})
    assert failed["transitionStatus"] == "BlockedByFailedLoad"
    assert failed["lastFailureInfo"] == {"reason": "ModelLoadFailed", "exitCode": 1, "message": "boom"}
    recovered = model_status([workload("engine", "True")], [], ready=True, old=failed)
    assert recovered["transitionStatus"] == "UpToDate"
    assert "lastFailureInfo" in recovered
