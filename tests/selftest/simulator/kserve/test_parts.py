"""The controller's pure parts: names, presets, storage, conditions."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.simulator.controllers.kserve.conditions import NEW_GENERATION, WORKLOADS, Conditions
from pytest_modelrt.simulator.controllers.kserve.naming import child_name
from pytest_modelrt.simulator.controllers.kserve.presets import PresetError, merge, render
from pytest_modelrt.simulator.controllers.kserve.storage import StorageError, attach_model


def test_child_names_fit_a_label() -> None:
    assert child_name("model-a", "-kserve") == "model-a-kserve"
    long = child_name("m" * 60, "-kserve-workload-svc")
    assert len(long) == 63
    assert long.endswith("-kserve-workload-svc")
    assert long != child_name("m" * 61, "-kserve-workload-svc")


def test_merging_keeps_containers_by_name_and_replaces_words() -> None:
    base = {
        "containers": [
            {"name": "main", "image": "a", "args": ["x", "y"], "ports": [{"containerPort": 8000, "protocol": "TCP"}]}
        ]
    }
    over: dict[str, Any] = {"containers": [{"name": "main", "args": ["z"], "ports": [{"containerPort": 8001}]}]}
    [container] = merge(base, over)["containers"]
    assert container["image"] == "a"
    assert container["args"] == ["z"]
    assert [port["containerPort"] for port in container["ports"]] == [8000, 8001]
    other = merge(base, {"containers": [{"name": "kserve-container", "image": "b"}]})
    assert [container["name"] for container in other["containers"]] == ["main", "kserve-container"]


def test_templates_know_the_service() -> None:
    service = {"metadata": {"name": "m", "namespace": "llm"}, "spec": {"model": {"uri": "hf://o/m"}}}
    spec = {
        "args": ["{{ .Spec.Model.Name }}"],
        "secret": "{{ ChildName .ObjectMeta.Name `-kserve-self-signed-certs` }}",
    }
    assert render(spec, service) == {"args": ["m"], "secret": "m-kserve-self-signed-certs"}
    with pytest.raises(PresetError, match=r"Spec\.Nothing"):
        render({"x": "{{ .Spec.Nothing }}"}, service)


def test_only_the_container_called_main_gets_the_claim() -> None:
    pod: dict[str, Any] = {"containers": [{"name": "main"}, {"name": "other"}]}
    attach_model("pvc://files/some/path", pod)
    [mount] = pod["containers"][0]["volumeMounts"]
    assert mount == {"mountPath": "/mnt/models", "name": "kserve-pvc-source", "readOnly": True, "subPath": "some/path"}
    assert "volumeMounts" not in pod["containers"][1]
    stranger: dict[str, Any] = {"containers": [{"name": "kserve-container"}]}
    attach_model("pvc://files", stranger)
    assert stranger == {"containers": [{"name": "kserve-container"}]}


@pytest.mark.parametrize("uri", ["model", "ftp://x/y", "oci://x/y"])
def test_other_addresses_are_refused(uri: str) -> None:
    with pytest.raises(StorageError):
        attach_model(uri, {"containers": [{"name": "main"}]})


def states(conditions: Conditions) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in conditions.sorted()}


def test_ready_follows_its_two_dependents() -> None:
    conditions = Conditions([])
    conditions.begin(new_generation=True)
    assert conditions.get("Ready") is not None
    assert conditions.sorted()[0]["reason"] == NEW_GENERATION
    conditions.true("PresetsCombined")
    conditions.false(
        "MainWorkloadReady", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    )
    conditions.determine("WorkloadsReady", WORKLOADS)
    assert states(conditions)["Ready"] == "False"
    conditions.true("RouterReady")
    ready = conditions.get("Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", "MinimumReplicasUnavailable")
    conditions.true("MainWorkloadReady")
    conditions.determine("WorkloadsReady", WORKLOADS)
    assert set(states(conditions).values()) == {"True"}
    severities = {entry["type"]: entry.get("severity") for entry in conditions.sorted()}
    assert {kind for kind, severity in severities.items() if severity is None} == {
        "Ready",
        "RouterReady",
        "WorkloadsReady",
    }


def test_failed_presets_leave_ready_unknown() -> None:
    conditions = Conditions([])
    conditions.begin(new_generation=True)
    conditions.false("PresetsCombined", "CombineBaseError", "no such preset")
    found = {entry["type"]: (entry["status"], entry.get("reason")) for entry in conditions.sorted()}
    assert found["Ready"] == ("Unknown", NEW_GENERATION)
    assert found["PresetsCombined"] == ("False", "CombineBaseError")


def test_times_move_only_with_the_condition() -> None:
    moments = iter(["1", "2", "3", "4", "5", "6", "7", "8", "9"])
    first = Conditions([], lambda: next(moments))
    first.begin(new_generation=False)
    first.true("PresetsCombined")
    again = Conditions(first.sorted(), lambda: "later")
    again.begin(new_generation=False)
    again.true("PresetsCombined")
    assert all(entry["lastTransitionTime"] != "later" for entry in again.sorted() if entry["type"] == "PresetsCombined")
