"""Pods of engine and router from runtime and service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_modelrt.simulator.controllers.ome import children
from pytest_modelrt.simulator.controllers.ome.components import Component, ComponentError, Setting, make_component
from pytest_modelrt.simulator.controllers.ome.merge import merge_specs
from pytest_modelrt.simulator.controllers.profile import CURRENT, PROFILES, Profile
from pytest_modelrt.simulator.resources import DEPLOYMENTS, LEADER_WORKER_SETS, ROLES, SERVICES


def engine_container(**changes: Any) -> dict[str, Any]:
    return {
        "name": "ome-container",
        "image": "docker.io/lmsysorg/sglang:v0.5.5.post3",
        "args": ["--model-path", "$(MODEL_PATH)"],
        "ports": [{"containerPort": 8080, "name": "http1"}],
        "resources": {"limits": {"nvidia.com/gpu": 2}},
        **changes,
    }


ROUTER = {"runner": {"name": "router", "image": "router", "ports": [{"containerPort": 8080, "name": "http"}]}}


def setting(
    service: dict[str, Any] | None = None, runtime: dict[str, Any] | None = None, profile: Profile = CURRENT
) -> Setting:
    metadata = {"name": "qwen3-8b", "namespace": "qwen3-8b", "uid": "1", "labels": {"team": "a"}}
    model = {
        "metadata": {"name": "qwen3-8b"},
        "spec": {"vendor": "Qwen", "storage": {"storageUri": "hf://Qwen/Qwen3-8B", "path": "/raid/models/q"}},
    }
    runtime_object = {
        "metadata": {"name": "srt-qwen3-8b"},
        "spec": {"engineConfig": {"runner": engine_container()}, "routerConfig": ROUTER, **(runtime or {})},
    }
    spec = service if service is not None else {"engine": {"minReplicas": 1, "maxReplicas": 1}}
    isvc = {"apiVersion": "ome.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec}
    return Setting(isvc, model, runtime_object, profile)


def component(kind: str, made_from: Setting) -> Component:
    made = make_component(kind, made_from)
    assert made is not None
    return made


def test_engine_pod() -> None:
    engine = component("engine", setting())
    pod = engine.pod_spec()
    container = pod["containers"][0]
    assert pod["nodeSelector"] == {"models.ome.io/clusterbasemodel.qwen3-8b": "Ready"}
    assert pod["volumes"] == [{"name": "qwen3-8b", "hostPath": {"path": "/raid/models/q"}}]
    assert container["volumeMounts"] == [{"name": "qwen3-8b", "mountPath": "/raid/models/q", "readOnly": True}]
    assert {e["name"]: e["value"] for e in container["env"]} == {
        "MODEL_PATH": "/raid/models/q",
        "PARALLELISM_SIZE": "2",
    }
    assert container["readinessProbe"]["tcpSocket"] == {"port": 8080}
    assert pod["terminationGracePeriodSeconds"] == 30
    assert "runner" not in pod
    assert "minReplicas" not in pod


def test_engine_labels() -> None:
    assert component("engine", setting()).labels == {
        "team": "a",
        "ome.io/inferenceservice": "qwen3-8b",
        "component": "engine",
        "app": "qwen3-8b-engine",
        "fine-tuned-serving": "false",
        "base-model-type": "Serving",
        "serving-runtime": "srt-qwen3-8b",
        "base-model-name": "qwen3-8b",
        "base-model-size": "SMALL",
        "base-model-vendor": "Qwen",
    }


def test_own_model_path_is_kept_by_the_current_release_only() -> None:
    runtime = {"engineConfig": {"runner": engine_container(env=[{"name": "MODEL_PATH", "value": "/mine"}])}}
    for profile, expected in ((CURRENT, "/mine"), (PROFILES["v0.1.4"], "/raid/models/q")):
        pod = component("engine", setting(runtime=runtime, profile=profile)).pod_spec()
        assert {e["name"]: e["value"] for e in pod["containers"][0]["env"]}["MODEL_PATH"] == expected


def test_interim_release_only_prefers_nodes() -> None:
    pod = component("engine", setting(profile=PROFILES["interim"])).pod_spec()
    assert "nodeSelector" not in pod
    preferred = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred[0]["preference"]["matchExpressions"][0]["key"] == "models.ome.io/clusterbasemodel.qwen3-8b"


def test_router_only_if_asked_for() -> None:
    assert make_component("router", setting()) is None
    router = component("router", setting({"engine": {}, "router": {"config": {"LEVEL": "debug"}}}))
    pod = router.pod_spec()
    assert pod["serviceAccountName"] == "qwen3-8b-router"
    assert "nodeSelector" not in pod
    assert "volumeMounts" not in pod["containers"][0]
    assert pod["containers"][0]["env"] == [{"name": "LEVEL", "value": "debug"}]
    resources = [resource for resource, _ in children.raw_children(router)]
    assert ROLES in resources


def test_router_without_a_container_fails() -> None:
    router = component("router", setting({"engine": {}, "router": {}}, {"routerConfig": None}))
    with pytest.raises(ComponentError, match="no containers found in pod spec and no runner spec provided"):
        router.pod_spec()


def test_zero_replicas_means_serverless() -> None:
    assert component("engine", setting({"engine": {"minReplicas": 0}})).mode == "Serverless"
    assert component("engine", setting({"engine": {"minReplicas": 0}, "decoder": {}})).mode == "RawDeployment"


def test_service_is_laid_over_the_runtime_and_arguments_are_joined() -> None:
    asked = {"engine": {"runner": {"name": "ome-container", "args": ["--tp", "2"], "image": "other"}}}
    pod = component("engine", setting(asked)).pod_spec()
    assert pod["containers"][0]["args"] == ["--model-path", "$(MODEL_PATH)", "--tp", "2"]
    assert pod["containers"][0]["image"] == "other"


def test_templates_are_expanded_and_foreign_ones_fail() -> None:
    good = {"engineConfig": {"runner": engine_container(args=["--name", "{{.Name}}.{{ .Namespace }}"])}}
    pod = component("engine", setting(runtime=good)).pod_spec()
    assert pod["containers"][0]["args"] == ["--name", "qwen3-8b.qwen3-8b"]
    bad = {"engineConfig": {"runner": engine_container(args=["--chat-template", "{{ system_message }}"])}}
    with pytest.raises(ComponentError, match='template: container-tmpl:1: function "system_message" not defined'):
        component("engine", setting(runtime=bad)).pod_spec()


def test_raw_children() -> None:
    engine = component("engine", setting())
    found = dict(children.raw_children(engine))
    deployment = found[DEPLOYMENTS]
    assert deployment["metadata"]["name"] == "qwen3-8b-engine"
    assert "replicas" not in deployment["spec"]
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment["metadata"]["ownerReferences"][0]["kind"] == "InferenceService"
    assert found[SERVICES]["spec"]["ports"] == [{"name": "http1", "port": 8080, "targetPort": 8080, "protocol": "TCP"}]
    old = replace(engine, setting=setting(profile=PROFILES["v0.1.3"]))
    assert len(dict(children.raw_children(old))) == len(found) - 1


def test_multinode_children() -> None:
    runtime = {
        "engineConfig": {
            "leader": {"runner": engine_container()},
            "worker": {"size": 1, "runner": engine_container(ports=[])},
        }
    }
    engine = component("engine", setting(runtime=runtime))
    assert engine.mode == "MultiNode"
    found = dict(children.multinode_children(engine))
    template = found[LEADER_WORKER_SETS]["spec"]["leaderWorkerTemplate"]
    assert template["size"] == 2
    for part in ("leaderTemplate", "workerTemplate"):
        env = template[part]["spec"]["containers"][0]["env"]
        assert {"name": "PARALLELISM_SIZE", "value": "4"} in env
    assert found[SERVICES]["spec"]["selector"] == {"ray.io/node-type": "head"}
    assert found[LEADER_WORKER_SETS]["metadata"]["name"] == "lws-qwen3-8b-engine"


def test_external_service_port_by_release() -> None:
    for profile, port in ((CURRENT, 8080), (PROFILES["v0.1.4"], 80)):
        made = setting(profile=profile)
        _, service = children.external_service(made, component("engine", made))
        assert service["spec"]["ports"][0]["port"] == port
        assert service["spec"]["selector"] == {"ome.io/inferenceservice": "qwen3-8b", "component": "engine"}


def test_ingress_leads_to_the_entry_component() -> None:
    made = setting({"engine": {}, "router": {}})
    resource, body = children.ingress(made, component("router", made), "qwen3-8b.qwen3-8b.svc.cluster.local")
    assert resource.plural == "ingresses"
    backend = body["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "qwen3-8b-router", "port": {"number": 8080}}


def test_merge_by_key() -> None:
    base = {"volumes": [{"name": "a", "emptyDir": {}}], "tolerations": [{"key": "x"}]}
    over = {"volumes": [{"name": "b", "emptyDir": {}}], "tolerations": [{"key": "y"}]}
    assert merge_specs(base, over) == {
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
        "tolerations": [{"key": "y"}],
    }
    assert base["volumes"] == [{"name": "a", "emptyDir": {}}]
