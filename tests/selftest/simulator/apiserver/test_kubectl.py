"""Real kubectl, each version there is, against the server."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx
import pytest
import yaml

from .conftest import WIDGET_PATH, Cluster, Kubectl, widget

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "nginx:1", ports: [{containerPort: 80}], env: [{name: A, value: "1"}]}
      - {name: side, image: "side:1"}
"""


def _write(folder: Path, name: str, body: object) -> str:
    path = folder / name
    path.write_text(body if isinstance(body, str) else yaml.safe_dump(body), encoding="utf-8")
    return str(path)


def test_api_resources_and_versions(kubectl: Kubectl) -> None:
    out = kubectl("api-resources")
    assert "wd" in out
    assert "widgets" in out
    assert "deploy" in out
    assert "example.com/v1beta1" in kubectl("api-versions")
    assert "Server Version: v1.36" in kubectl("version")


def test_get_prints_the_declared_columns(kubectl: Kubectl, namespace: str, api: httpx.Client) -> None:
    api.post(WIDGET_PATH.format(namespace), json=widget("one", count=1)).raise_for_status()
    lines = kubectl("get", "widgets", "-n", namespace).splitlines()
    assert lines[0].split() == ["NAME", "TIER", "READY", "AGE"]
    assert lines[1].split()[:2] == ["one", "a"]
    assert lines[1].split()[-1].endswith("s")
    assert "one" in kubectl("get", "wd", "-A")
    assert kubectl("get", "wd", "one", "-n", namespace, "-o", "jsonpath={.spec.tier}") == "a"
    assert kubectl("get", "wd", "one", "-n", namespace, "-o", "name").strip() == "widget.example.com/one"
    assert json.loads(kubectl("get", "wd", "-n", namespace, "-o", "json"))["items"][0]["kind"] == "Widget"
    assert "COUNT" in kubectl("get", "wd", "-n", namespace, "-o", "wide").splitlines()[0]


def test_client_side_apply_changes_custom_resources(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    path = _write(tmp_path, "w.yaml", widget("one", count=1, labels={"x": "1", "y": "2"}))
    assert "created" in kubectl("apply", "-n", namespace, "-f", path)
    assert "unchanged" in kubectl("apply", "-n", namespace, "-f", path)
    path = _write(tmp_path, "w.yaml", widget("one", count=2, labels={"x": "1"}))
    assert "configured" in kubectl("apply", "-n", namespace, "-f", path)
    spec = kubectl.json("get", "wd", "one", "-n", namespace)["spec"]
    assert spec == {"count": 2, "labels": {"x": "1"}, "tier": "a"}


def test_client_side_apply_merges_containers_by_name(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=DEPLOYMENT)
    kubectl("set", "env", "-n", namespace, "deploy/web", "-c", "side", "B=2")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=DEPLOYMENT.replace("nginx:1", "nginx:2"))
    containers = kubectl.json("get", "deploy", "web", "-n", namespace)["spec"]["template"]["spec"]["containers"]
    assert [item["image"] for item in containers] == ["nginx:2", "side:1"]
    assert containers[1]["env"] == [{"name": "B", "value": "2"}]


def test_server_side_apply_conflicts_name_the_other_manager(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    path = _write(tmp_path, "w.yaml", widget("one", count=1))
    kubectl("apply", "--server-side", "--field-manager=first", "-n", namespace, "-f", path)
    path = _write(tmp_path, "w.yaml", widget("one", count=2))
    refused = kubectl.run("apply", "--server-side", "--field-manager=second", "-n", namespace, "-f", path)
    assert refused.returncode != 0
    assert 'Apply failed with 1 conflict: conflict with "first": .spec.count' in refused.stderr
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=second", "-n", namespace, "-f", path)
    found = kubectl.json("get", "wd", "one", "-n", namespace, "--show-managed-fields")
    owners = {item["manager"]: item["fieldsV1"] for item in found["metadata"]["managedFields"]}
    assert owners == {"second": {"f:spec": {"f:count": {}}}}


def test_moving_from_client_side_to_server_side_apply(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=DEPLOYMENT)
    done = kubectl.run(
        "apply", "--server-side", "-n", namespace, "-f", "-", stdin=DEPLOYMENT.replace("nginx:1", "nginx:3")
    )
    assert done.returncode == 0, done.stderr
    assert "failed to re-apply" not in done.stderr
    found = kubectl.json("get", "deploy", "web", "-n", namespace)
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:3"
    assert found["spec"]["replicas"] == 2


def test_apply_kustomization(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    _write(tmp_path, "w.yaml", widget("base", count=1))
    _write(tmp_path, "kustomization.yaml", {"namePrefix": "k-", "resources": ["w.yaml"], "namespace": namespace})
    assert "widget.example.com/k-base created" in kubectl("apply", "-k", str(tmp_path))
    kubectl("delete", "-k", str(tmp_path))


def test_apply_of_a_list(kubectl: Kubectl, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "List", "items": [widget("a", count=1), widget("b", count=2)]}
    out = kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))
    assert out.count("created") == 2


def test_unknown_fields_are_refused_by_name(kubectl: Kubectl, namespace: str) -> None:
    body = widget("one", count=1, bogus=1, storage={"uri": "hf://a", "zzz": 1})
    refused = kubectl.run("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))
    assert refused.returncode != 0
    assert 'strict decoding error: unknown field "spec.bogus", unknown field "spec.storage.zzz"' in refused.stderr
    warned = kubectl.run("apply", "-n", namespace, "--validate=warn", "-f", "-", stdin=json.dumps(body))
    assert warned.returncode == 0
    assert 'Warning: unknown field "spec.bogus"' in warned.stderr


def test_invalid_values_are_refused_with_the_field(kubectl: Kubectl, namespace: str) -> None:
    refused = kubectl.run("apply", "-n", namespace, "-f", "-", stdin=json.dumps(widget("one", tier="z", count=9)))
    assert 'spec.tier: Unsupported value: "z": supported values: "a", "b"' in refused.stderr
    assert "spec.count: Invalid value: 9: spec.count in body should be less than or equal to 5" in refused.stderr


def test_patch_types_and_labels(kubectl: Kubectl, namespace: str, api: httpx.Client) -> None:
    api.post(WIDGET_PATH.format(namespace), json=widget("one", count=1)).raise_for_status()
    at = ("-n", namespace)
    kubectl("patch", "wd", "one", *at, "--type=merge", "-p", '{"spec":{"count":2}}')
    kubectl("patch", "wd", "one", *at, "--type=json", "-p", '[{"op":"replace","path":"/spec/tier","value":"b"}]')
    kubectl("patch", "wd", "one", *at, "--subresource=status", "--type=merge", "-p", '{"status":{"count":3}}')
    kubectl("label", "wd", "one", *at, "colour=red")
    kubectl("annotate", "wd", "one", *at, "note=hello")
    found = kubectl.json("get", "wd", "one", *at)
    assert found["spec"] == {"count": 2, "tier": "b"}
    assert found["status"] == {"count": 3}
    assert found["metadata"]["labels"] == {"colour": "red"}
    assert "one" in kubectl("get", "wd", *at, "-l", "colour in (red,blue)")
    assert "one" not in kubectl("get", "wd", *at, "-l", "colour!=red")
    assert "one" in kubectl("get", "wd", *at, "--field-selector", "spec.tier=b")
    kubectl("label", "wd", "one", *at, "colour-")
    refused = kubectl.run("patch", "wd", "one", *at, "--type=strategic", "-p", '{"spec":{"count":3}}')
    assert refused.returncode != 0


def test_wait_for_condition_jsonpath_and_deletion(kubectl: Kubectl, namespace: str, api: httpx.Client) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("one", count=1)).raise_for_status()
    at = ("-n", namespace, "--timeout=30s")
    ready = kubectl.start("wait", "wd/one", "--for=condition=Ready", *at)
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    merge = {"Content-Type": "application/merge-patch+json"}
    api.patch(f"{path}/one/status", json=status, headers=merge).raise_for_status()
    assert ready.wait(60) == 0
    ready.communicate()
    assert "condition met" in kubectl("wait", "wd/one", "--for=jsonpath={.spec.tier}=a", *at)
    gone = kubectl.start("wait", "wd/one", "--for=delete", *at)
    api.delete(f"{path}/one").raise_for_status()
    assert gone.wait(60) == 0
    gone.communicate()


def test_watch_prints_changes(kubectl: Kubectl, namespace: str, api: httpx.Client) -> None:
    path = WIDGET_PATH.format(namespace)
    api.post(path, json=widget("one", count=1)).raise_for_status()
    process = kubectl.start("get", "wd", "-n", namespace, "-w")
    killer = threading.Timer(30, process.kill)
    killer.start()
    assert process.stdout is not None
    assert process.stdout.readline().split()[:2] == ["NAME", "TIER"]
    assert process.stdout.readline().split()[:2] == ["one", "a"]
    merge = {"Content-Type": "application/merge-patch+json"}
    api.patch(f"{path}/one", json={"spec": {"tier": "b"}}, headers=merge).raise_for_status()
    assert process.stdout.readline().split()[:2] == ["one", "b"]
    process.kill()
    process.communicate()
    killer.cancel()


def test_describe_and_explain(kubectl: Kubectl, namespace: str, api: httpx.Client) -> None:
    api.post(WIDGET_PATH.format(namespace), json=widget("one", count=1)).raise_for_status()
    uid = kubectl.json("get", "wd", "one", "-n", namespace)["metadata"]["uid"]
    event = {
        "metadata": {"name": "one.1"},
        "involvedObject": {"kind": "Widget", "namespace": namespace, "name": "one", "uid": uid},
        "reason": "Tested",
        "message": "it works",
        "type": "Normal",
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "source": {"component": "test"},
    }
    api.post(f"/api/v1/namespaces/{namespace}/events", json=event).raise_for_status()
    described = kubectl("describe", "wd", "one", "-n", namespace)
    assert "Tested" in described
    assert "it works" in described
    assert "it works" in kubectl("get", "events", "-n", namespace)
    assert "it works" in kubectl("events", "-n", namespace)
    explained = kubectl("explain", "widget.spec.tier")
    assert "How good it is." in explained
    assert "FIELD: uri <string>" in kubectl("explain", "wd.spec.storage.uri")
    assert "containers" in kubectl("explain", "pods.spec")


def test_typed_create_commands(kubectl: Kubectl, namespace: str) -> None:
    at = ("-n", namespace)
    kubectl("create", "configmap", "settings", *at, "--from-literal=a=b")
    kubectl("create", "secret", "generic", "keys", *at, "--from-literal=token=abc")
    kubectl("create", "serviceaccount", "robot", *at)
    kubectl("create", "namespace", f"{namespace}-more")
    kubectl("create", "role", "reader", *at, "--verb=get", "--resource=pods")
    kubectl("create", "rolebinding", "reads", *at, "--role=reader", f"--serviceaccount={namespace}:robot")
    assert kubectl.json("get", "cm", "settings", *at)["data"] == {"a": "b"}
    assert kubectl.json("get", "secret", "keys", *at)["data"] == {"token": "YWJj"}
    assert kubectl("create", "token", "robot", *at).count(".") == 2
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    account = f"--as=system:serviceaccount:{namespace}:robot"
    assert kubectl.run("auth", "can-i", "get", "pods", account, *at).stdout.strip() == "yes"
    assert kubectl.run("auth", "can-i", "delete", "pods", account, *at).stdout.strip() == "no"
    assert "admin" in kubectl("auth", "whoami")
    kubectl("delete", "namespace", f"{namespace}-more")


def test_scale_and_rollout_history(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=DEPLOYMENT)
    kubectl("scale", "deploy/web", "-n", namespace, "--replicas=5")
    assert kubectl("get", "deploy", "web", "-n", namespace).splitlines()[1].split()[1] == "0/5"
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(widget("one", count=1)))
    kubectl("scale", "wd/one", "-n", namespace, "--replicas=3")
    assert kubectl.json("get", "wd", "one", "-n", namespace)["spec"]["count"] == 3


def test_replace_diff_and_dry_run(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(widget("one", count=1)))
    found = kubectl.json("get", "wd", "one", "-n", namespace)
    found["spec"]["count"] = 4
    path = _write(tmp_path, "w.yaml", found)
    differing = kubectl.run("diff", "-n", namespace, "-f", path)
    assert differing.returncode == 1
    assert "+  count: 4" in differing.stdout
    kubectl("apply", "-n", namespace, "--dry-run=server", "-f", path)
    assert kubectl.json("get", "wd", "one", "-n", namespace)["spec"]["count"] == 1
    kubectl("replace", "-n", namespace, "-f", path)
    assert kubectl.json("get", "wd", "one", "-n", namespace)["spec"]["count"] == 4


def test_delete_waits_for_finalizers(kubectl: Kubectl, namespace: str, api: httpx.Client) -> None:
    path = WIDGET_PATH.format(namespace)
    body = widget("held", count=1)
    body["metadata"]["finalizers"] = ["example.com/hold"]
    api.post(path, json=body).raise_for_status()
    process = kubectl.start("delete", "wd", "held", "-n", namespace, "--timeout=30s")
    with api.stream("GET", path, params={"watch": "true", "resourceVersion": "0"}) as stream:
        for line in stream.iter_lines():
            if json.loads(line)["object"]["metadata"].get("deletionTimestamp"):
                break
    merge = {"Content-Type": "application/merge-patch+json"}
    answer = api.patch(f"{path}/held", json={"metadata": {"finalizers": None}}, headers=merge)
    assert answer.status_code == 200
    assert process.wait(60) == 0
    process.communicate()
    assert api.get(f"{path}/held").status_code == 404


def test_namespaces_empty_themselves(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(widget("one", count=1)))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=DEPLOYMENT)
    kubectl("delete", "namespace", namespace, "--timeout=30s")
    assert "NotFound" in kubectl.run("get", "namespace", namespace).stderr
    assert "No resources found" in kubectl.run("get", "all,wd,cm,sa", "-n", namespace).stderr


def test_definitions_come_and_go(kubectl: Kubectl, namespace: str, cluster: Cluster) -> None:
    definition = cluster.server.config.crds[0]
    text = json.dumps(definition).replace("widgets", "gadgets").replace("Widget", "Gadget").replace('"wd"', '"gd"')
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("wait", "--for=condition=Established", "crd/gadgets.example.com", "--timeout=10s")
    body = json.dumps(widget("one", count=1)).replace("Widget", "Gadget")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=body)
    assert "one" in kubectl("get", "gd", "-n", namespace)
    kubectl("delete", "crd", "gadgets.example.com", "--timeout=30s")
    assert kubectl.run("get", "gadgets", "-n", namespace).returncode != 0


@pytest.mark.parametrize("resource", ["pods", "services", "nodes", "jobs", "events", "secrets", "crd", "clusterroles"])
def test_every_table_prints(kubectl: Kubectl, resource: str) -> None:
    assert kubectl.run("get", resource, "-A").returncode == 0


def test_every_kind_is_described(kubectl: Kubectl, namespace: str) -> None:
    at = ("-n", namespace)
    kubectl("run", "one", *at, "--image=nginx", "--port=80", "--labels=app=one")
    kubectl("expose", "pod", "one", *at, "--port=80")
    kubectl("apply", *at, "-f", "-", stdin=DEPLOYMENT)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{namespace}"}}
    kubectl("apply", "-f", "-", stdin=json.dumps(node))
    kubectl("cordon", f"node-{namespace}")
    kubectl("taint", "nodes", f"node-{namespace}", "a=b:NoSchedule")
    for target in ("pod/one", "svc/one", "deploy/web", "sa/default", "cm/kube-root-ca.crt"):
        assert "Name:" in kubectl("describe", target, *at)
    described = kubectl("describe", "node", f"node-{namespace}")
    assert "a=b:NoSchedule" in described
    assert "Unschedulable:      true" in described
    assert "Name:" in kubectl("describe", "ns", namespace)
    assert "Name:" in kubectl("describe", "crd", "widgets.example.com")
    assert "web" in kubectl("get", "all", *at)
    kubectl("delete", "node", f"node-{namespace}")
