"""The official Python client, unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cluster, widget

POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_typed_objects_round_trip(official: Any, namespace: str) -> None:
    from kubernetes import client

    core = client.CoreV1Api(official)
    pod = core.create_namespaced_pod(namespace, POD)
    assert pod.status.phase == "Pending"
    assert pod.spec.containers[0].image_pull_policy == "Always"
    core.patch_namespaced_pod("p", namespace, {"metadata": {"labels": {"a": "b"}}})
    assert core.read_namespaced_pod("p", namespace).metadata.labels == {"a": "b"}
    core.patch_namespaced_pod_status("p", namespace, {"status": {"phase": "Running"}})
    assert [item.metadata.name for item in core.list_namespaced_pod(namespace, label_selector="a=b").items] == ["p"]
    assert core.delete_namespaced_pod("p", namespace).metadata.name == "p"
    service = core.create_namespaced_service(namespace, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    assert service.spec.cluster_ip
    assert core.delete_namespaced_service("s", namespace).metadata.name == "s"
    config = core.create_namespaced_config_map(namespace, {"metadata": {"name": "m"}, "data": {"a": "b"}})
    config.data["a"] = "c"
    assert core.replace_namespaced_config_map("m", namespace, config).data == {"a": "c"}
    assert core.delete_namespaced_config_map("m", namespace)["status"] == "Success"
    assert client.VersionApi(official).get_code().minor == "36"


def test_deployments_and_accounts(official: Any, namespace: str) -> None:
    from kubernetes import client

    apps = client.AppsV1Api(official)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    assert apps.create_namespaced_deployment(namespace, body).spec.replicas == 1
    apps.patch_namespaced_deployment_scale("d", namespace, {"spec": {"replicas": 3}})
    assert apps.read_namespaced_deployment_scale("d", namespace).spec.replicas == 3
    core = client.CoreV1Api(official)
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "robot"}})
    request = {"spec": {"audiences": ["model"], "expirationSeconds": 600}}
    token = core.create_namespaced_service_account_token("robot", namespace, request)
    assert token.status.token.count(".") == 2
    assert token.spec.audiences == ["model"]


def test_custom_objects_and_patch_types(official: Any, namespace: str) -> None:
    from kubernetes import client

    custom = client.CustomObjectsApi(official)
    at = ("example.com", "v1beta1", namespace, "widgets")
    custom.create_namespaced_custom_object(*at, widget("x", count=1))
    assert custom.patch_namespaced_custom_object(*at, "x", {"spec": {"count": 2}})["spec"]["count"] == 2
    with pytest.raises(client.ApiException) as refused:
        custom.patch_namespaced_custom_object(*at, "x", [{"op": "remove", "path": "/spec/count"}])
    assert refused.value.status == 400
    operations = [{"op": "remove", "path": "/spec/count"}]
    found = custom.patch_namespaced_custom_object(*at, "x", operations, _content_type="application/json-patch+json")
    assert found["spec"] == {"tier": "a"}
    applied = custom.patch_namespaced_custom_object(
        *at, "x", widget("x", count=3), _content_type="application/apply-patch+yaml", field_manager="suite", force=True
    )
    assert applied["spec"]["count"] == 3
    status = custom.patch_namespaced_custom_object_status(*at, "x", {"status": {"count": 1}})
    assert status["status"] == {"count": 1}
    with pytest.raises(client.ApiException) as missing:
        custom.get_namespaced_custom_object(*at, "nope")
    assert missing.value.status == 404
    assert custom.delete_namespaced_custom_object(*at, "x")["status"] == "Success"


def test_dynamic_client(official: Any, namespace: str, tmp_path: Any) -> None:
    from kubernetes import dynamic

    client = dynamic.DynamicClient(official, cache_file=str(tmp_path / "cache"))
    widgets = client.resources.get(api_version="example.com/v1beta1", kind="Widget")
    widgets.create(body=widget("x", count=1), namespace=namespace)
    change = {"metadata": {"name": "x"}, "spec": {"count": 2}}
    merge = "application/merge-patch+json"
    assert widgets.patch(body=change, namespace=namespace, content_type=merge).spec["count"] == 2
    applied = widgets.server_side_apply(body=widget("x", text="t"), namespace=namespace, field_manager="suite")
    assert applied.spec.text == "t"
    assert [item.metadata.name for item in widgets.get(namespace=namespace).items] == ["x"]
    pods = client.resources.get(api_version="v1", kind="Pod")
    assert pods.create(body=POD, namespace=namespace).status.phase == "Pending"
    widgets.delete(name="x", namespace=namespace)


def test_watch_follows_and_reports_what_is_gone(official: Any, namespace: str, cluster: Cluster) -> None:
    from kubernetes import client, watch

    core = client.CoreV1Api(official)
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "m"}})
    core.delete_namespaced_config_map("m", namespace)
    stream = watch.Watch()
    kinds = []
    for event in stream.stream(core.list_namespaced_config_map, namespace, resource_version=version):
        if event["object"].metadata.name == "m":
            kinds.append(event["type"])
        if kinds[-1:] == ["DELETED"]:
            stream.stop()
    assert kinds == ["ADDED", "DELETED"]
    window = cluster.server.store.window

    def resize(size: int) -> None:
        cluster.server.store.window = size

    cluster.call(lambda: resize(1))
    try:
        for number in range(3):
            core.create_namespaced_config_map(namespace, {"metadata": {"name": f"n{number}"}})
        with pytest.raises(client.ApiException) as gone:
            list(watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version=version))
        assert gone.value.status == 410
    finally:
        cluster.call(lambda: resize(window))
