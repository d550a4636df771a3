"""A model's whole life on the simulated platform, through kubectl."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.model import Case
from tests.selftest.simulator.controllers.conftest import CONFIG, Kubectl

NODES = 14
READY = "jsonpath={.status.state}=Ready"


def files(case: Case) -> tuple[Path, Path, Path]:
    """Model, runtime and service of a case in the committed tree."""
    return tuple(
        next(path for path in sorted((CONFIG / folder).rglob("*.yaml")) if data(path)["metadata"]["name"] == name)
        for folder, name in (
            ("models", case.resource_name),
            ("runtimes", case.runtime_name),
            ("samples/isvc", case.resource_name),
        )
    )  # type: ignore[return-value]


def case_where(fits: Callable[[Case], bool]) -> Case:
    return next(case for case in load_plan(CONFIG).cases if fits(case))


QWEN = case_where(lambda case: case.resource_name == "qwen3-8b")


def data(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def deploy(kubectl: Kubectl, model: Path, runtime: Path, service: Path) -> str:
    """Apply all three, wait until served; returns the name."""
    name = str(data(service)["metadata"]["name"])
    kubectl("apply", "-f", str(model))
    kubectl.wait(f"clusterbasemodel/{name}", READY)
    kubectl("apply", "-f", str(runtime))
    kubectl("create", "namespace", name)
    kubectl("apply", "-f", str(service))
    kubectl.wait(f"isvc/{name}", "condition=Ready", "-n", name)
    return name


def remove(kubectl: Kubectl, runtime: Path, name: str) -> None:
    kubectl("delete", "isvc", name, "-n", name, "--timeout=60s", "--ignore-not-found")
    kubectl("wait", "pods", "--all", "--for=delete", "--timeout=60s", "-n", name)
    kubectl("delete", "namespace", name, "--timeout=60s")
    kubectl("delete", "-f", str(runtime), "--timeout=60s")
    kubectl("delete", "clusterbasemodel", name, "--timeout=60s")


def test_from_apply_to_nothing_left(kubectl: Kubectl) -> None:
    model, runtime, service = files(QWEN)
    name = deploy(kubectl, model, runtime, service)
    kubectl.wait(f"clusterbasemodel/{name}", f"jsonpath={{.status.nodesReady[{NODES - 1}]}}=gpu-node-14")
    spec = kubectl.get("clusterbasemodel", name)["spec"]
    assert spec["modelArchitecture"] == "Qwen3ForCausalLM"
    assert spec["modelConfiguration"]["model_type"] == "qwen3"
    entry = json.loads(kubectl.get("configmap", "gpu-node-01", "-n", "ome")["data"][f"clusterbasemodel.{name}"])
    assert entry["status"] == "Ready"
    assert "progress" not in entry
    label = f"models.ome.io/clusterbasemodel.{name}"
    assert len(kubectl.get("nodes", "-l", f"{label}=Ready")["items"]) == NODES
    found = kubectl.get("isvc", name, "-n", name)
    types = [condition["type"] for condition in found["status"]["conditions"]]
    assert types == sorted(types)
    assert found["status"]["url"] == f"http://{name}.{name}.svc.cluster.local:8080"
    assert found["metadata"]["annotations"]["ome.io/deploymentMode"] == "RawDeployment"
    kubectl.wait(f"deployment/{name}-router", "condition=Available", "-n", name)
    account = f"system:serviceaccount:{name}:{name}-router"
    assert kubectl("auth", "can-i", "list", "pods", "-n", name, f"--as={account}").strip() == "yes"
    reasons = {event["reason"] for event in kubectl.get("events", "-n", name)["items"]}
    assert {"InferenceServiceReady", "ScalingReplicaSet", "SuccessfulCreate"} <= reasons
    remove(kubectl, runtime, name)
    assert kubectl.get("nodes", "-l", label)["items"] == []
    assert name not in json.dumps(kubectl.get("configmaps", "-n", "ome"))


def test_committed_manifests_pass_strict_validation(kubectl: Kubectl) -> None:
    for folder in ("models", "runtimes"):
        done = kubectl.run("apply", "--dry-run=server", "--validate=strict", "-R", "-f", str(CONFIG / folder / ""))
        assert done.returncode == 0, done.stderr[-2000:]


def test_unknown_field_is_refused(kubectl: Kubectl) -> None:
    bad = data(files(QWEN)[2])
    bad["spec"]["model"]["modelId"] = "x"
    done = kubectl.run("apply", "-n", "default", "-f", "-", stdin=json.dumps({**bad, "metadata": {"name": "bad"}}))
    assert 'strict decoding error: unknown field "spec.model.modelId"' in done.stderr


def test_mismatch_is_an_event_and_an_empty_status(kubectl: Kubectl) -> None:
    model, runtime, service = files(case_where(lambda case: case.resource_name == "qwen3-4b"))
    wrong = data(runtime)
    wrong["spec"]["supportedModelFormats"][0]["modelFramework"]["version"] = "4.45.0"
    name = str(data(service)["metadata"]["name"])
    kubectl("apply", "-f", str(model))
    kubectl.wait(f"clusterbasemodel/{name}", READY)
    kubectl.apply(wrong)
    kubectl("create", "namespace", name)
    kubectl("apply", "-f", str(service))
    kubectl.wait(f"isvc/{name}", "jsonpath={.metadata.finalizers[0]}=inferenceservice.finalizers", "-n", name)
    kubectl.wait("events", "jsonpath={.reason}=RuntimeValidationError", "-n", name, "--field-selector=type=Warning")
    event = kubectl.get("events", "-n", name, "--field-selector=type=Warning")["items"][0]
    assert event["message"].startswith(
        f"Runtime srt-{name} does not support model {name}: runtime srt-{name} does not "
    )
    assert "framework version mismatch (model=4.51.0, runtime=4.45.0)" in event["message"]
    found = kubectl.get("isvc", name, "-n", name)
    assert "status" not in found
    assert kubectl.get("deployments", "-n", name)["items"] == []
    # a repaired runtime does not wake the service; any write to it does
    kubectl("apply", "-f", str(runtime))
    kubectl("annotate", "isvc", name, "-n", name, "touched=yes")
    kubectl.wait(f"isvc/{name}", "condition=Ready", "-n", name)
    remove(kubectl, runtime, name)


def test_gated_model_fails_without_a_key_and_says_so_in_the_agents_log(kubectl: Kubectl) -> None:
    model, _, _ = files(case_where(lambda case: case.gated))
    without = data(model)
    without["metadata"]["name"] = name = "no-key"
    without["spec"]["storage"].pop("key")
    kubectl.apply(without)
    kubectl.wait(f"clusterbasemodel/{name}", "jsonpath={.status.state}=Failed")
    kubectl.wait(f"clusterbasemodel/{name}", f"jsonpath={{.status.nodesFailed[{NODES - 1}]}}=gpu-node-14")
    log = kubectl("logs", "-n", "ome", "-l", "app.kubernetes.io/component=ome-model-agent-daemonset", "--tail=-1")
    assert f"Failed to download HuggingFace model ClusterBaseModel {name}: xet error 99: head request failed" in log
    assert "HTTP 401" in log
    # adding the key changes nothing on this release: delete and create again
    kubectl("delete", "clusterbasemodel", name, "--timeout=60s")
    without["metadata"]["name"] = name = "with-key"
    without["spec"]["storage"]["key"] = "hf-token"
    kubectl.apply(without)
    kubectl.wait(f"clusterbasemodel/{name}", READY)
    kubectl("delete", "clusterbasemodel", name, "--timeout=60s")


def test_missing_model_is_denied_by_the_webhook(kubectl: Kubectl) -> None:
    service = data(files(QWEN)[2])
    service["metadata"] = {"name": "orphan", "namespace": "default"}
    service["spec"]["model"]["name"] = "nobody"
    done = kubectl.run("apply", "-f", "-", stdin=json.dumps(service))
    assert 'admission webhook "inferenceservice.ome-webhook-server.validator" denied the request' in done.stderr
    assert 'referenced model "nobody" not found in namespace "default"' in done.stderr


def test_service_over_several_nodes(kubectl: Kubectl) -> None:
    model, runtime, service = files(case_where(lambda case: case.multinode))
    name = deploy(kubectl, model, runtime, service)
    sets = kubectl.get("lws", "-n", name)["items"]
    size = sets[0]["spec"]["leaderWorkerTemplate"]["size"]
    assert sets[0]["metadata"]["name"] == "lws-" + f"{name}-engine"[-50:]
    pods = kubectl.get("pods", "-n", name, "-l", "component=engine")["items"]
    assert len(pods) == size > 1
    assert len({pod["spec"]["nodeName"] for pod in pods}) == size
    names = {entry["name"] for entry in pods[-1]["spec"]["containers"][0]["env"]}
    assert {"LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE", "LWS_WORKER_INDEX", "PARALLELISM_SIZE"} <= names
    remove(kubectl, runtime, name)


def test_agents_come_back_after_their_pod_is_deleted(kubectl: Kubectl) -> None:
    before = {pod["metadata"]["name"] for pod in _agents(kubectl)}
    kubectl("delete", "pod", "-n", "ome", sorted(before)[0], "--timeout=60s")
    kubectl("rollout", "status", "daemonset/ome-model-agent-daemonset", "-n", "ome", "--timeout=60s")
    assert len(_agents(kubectl)) == NODES


def _agents(kubectl: Kubectl) -> list[dict[str, Any]]:
    selector = "app.kubernetes.io/component=ome-model-agent-daemonset"
    pods: list[dict[str, Any]] = kubectl.get("pods", "-n", "ome", "-l", selector)["items"]
    return pods


def test_model_deleted_before_its_service_wedges_both_until_it_is_back(kubectl: Kubectl) -> None:
    model, runtime, service = files(QWEN)
    name = deploy(kubectl, model, runtime, service)
    kubectl("delete", "clusterbasemodel", name, "--timeout=60s")
    kubectl("delete", "isvc", name, "-n", name, "--wait=false")
    kubectl.wait(f"isvc/{name}", "jsonpath={.metadata.deletionTimestamp}", "-n", name)
    log = kubectl("logs", "-n", "ome", "deployment/ome-controller-manager", "--tail=-1")
    assert f'referenced model \\"{name}\\" not found in namespace' in log
    assert kubectl.get("isvc", name, "-n", name)["metadata"]["finalizers"] == ["inferenceservice.finalizers"]
    kubectl("apply", "-f", str(model))
    kubectl.wait(f"isvc/{name}", "delete", "-n", name)
    remove(kubectl, runtime, name)


def test_without_its_manager_the_platform_refuses_services(kubectl: Kubectl) -> None:
    manager = "deployment/ome-controller-manager"
    kubectl("scale", manager, "-n", "ome", "--replicas=0")
    kubectl("wait", "pods", "-n", "ome", "-l", "control-plane=ome-controller-manager", "--for=delete", "--timeout=60s")
    done = kubectl.run("apply", "-n", "default", "-f", str(files(QWEN)[1]))
    assert 'failed calling webhook "clusterservingruntime.ome-webhook-server.validator"' in done.stderr
    assert "no endpoints available for service" in done.stderr
    kubectl("scale", manager, "-n", "ome", "--replicas=1")
    kubectl.wait(manager, "condition=Available", "-n", "ome")
    kubectl("apply", "--dry-run=server", "-f", str(files(QWEN)[1]))


@pytest.mark.parametrize("kind", ["clusterbasemodels", "clusterservingruntimes", "inferenceservices"])
def test_nothing_of_the_tests_is_left(kubectl: Kubectl, kind: str) -> None:
    assert kubectl.get(kind, "-A")["items"] == []
