"""The life of an LLMInferenceService, through kubectl."""

from __future__ import annotations

import json

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from tests.selftest.simulator.kserve.conftest import Maas, conditions, model

SELECTOR = "app.kubernetes.io/name={},app.kubernetes.io/part-of=llminferenceservice,kserve.io/component=workload"
DOCUMENTED_SELECTOR = "serving.kserve.io/inferenceservice={}"
HEALTHY = [
    "HTTPRoutesReady", "InferencePoolReady", "MainWorkloadReady", "PresetsCombined", "Ready", "RouterReady",
    "WorkloadsReady",
]  # fmt: skip


def test_conditions_of_a_healthy_service(maas: Maas) -> None:
    service = maas.kubectl.get("llmisvc", "model-a", "-n", "llm")
    assert [entry["type"] for entry in service["status"]["conditions"]] == HEALTHY
    assert all(entry["status"] == "True" for entry in service["status"]["conditions"])
    assert service["status"]["observedGeneration"] == service["metadata"]["generation"]
    assert "url" not in service["status"]
    assert "addresses" not in service["status"]


def test_children_have_the_real_names_ports_and_labels(maas: Maas) -> None:
    kubectl = maas.kubectl
    deployment = kubectl.get("deployment", "model-a-kserve", "-n", "llm")
    assert deployment["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/component": "llminferenceservice-workload",
        "app.kubernetes.io/name": "model-a",
        "app.kubernetes.io/part-of": "llminferenceservice",
        "kserve.io/component": "workload",
        "llm-d.ai/role": "both",
    }
    service = kubectl.get("service", "model-a-kserve-workload-svc", "-n", "llm")
    [port] = service["spec"]["ports"]
    assert (port["name"], port["appProtocol"], port["port"], port["targetPort"]) == ("https", "https", 8000, 8000)
    secret = kubectl.get("secret", "model-a-kserve-self-signed-certs", "-n", "llm")
    assert secret["type"] == "kubernetes.io/tls"
    assert "certificates.kserve.io/expiration" in secret["metadata"]["annotations"]
    for child in (deployment, service, secret):
        [owner] = child["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("LLMInferenceService", "model-a", True)
    assert len(kubectl.get("pods", "-n", "llm", "-l", SELECTOR.format("model-a"))["items"]) == 1
    assert kubectl.get("pods", "-n", "llm", "-l", DOCUMENTED_SELECTOR.format("model-a"))["items"] == []


def test_columns_and_events(maas: Maas) -> None:
    lines = maas.kubectl("get", "llmisvc", "model-a", "-n", "llm").splitlines()
    assert lines[0].split() == ["NAME", "URL", "READY", "REASON", "AGE"]
    assert lines[1].split()[:2] == ["model-a", "True"]
    told = maas.kubectl("get", "events", "-n", "llm", "--field-selector", "involvedObject.kind=LLMInferenceService")
    assert "Created v1.Deployment llm/model-a-kserve" in told
    assert "Created v1.Service llm/model-a-kserve-workload-svc" in told


def test_stock_preset_is_merged_into_the_container_called_main(maas: Maas) -> None:
    deployment = maas.kubectl.get("deployment", "model-a-kserve", "-n", "llm")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["name"] == "main"
    assert container["image"].endswith("llm-d-inference-sim:v0.5.1")
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"
    assert "kserve-pvc-source" in {volume["name"] for volume in pod["volumes"]}
    claim = maas.kubectl.get("pvc", "model-a-files", "-n", "llm")
    assert (claim["status"]["phase"], claim["spec"]["storageClassName"]) == ("Bound", "standard")


def test_from_apply_to_nothing_left(maas: Maas) -> None:
    kubectl = maas.kubectl
    kubectl.apply(model("passing-by"))
    kubectl.wait("llmisvc/passing-by", "condition=Ready", "-n", "llm")
    assert (
        "serving.kserve.io/llmisvc-finalizer"
        in kubectl.get("llmisvc", "passing-by", "-n", "llm")["metadata"]["finalizers"]
    )
    kubectl("patch", "llmisvc", "passing-by", "-n", "llm", "--type=merge", "-p", '{"spec":{"replicas":2}}')
    kubectl.wait("deployment/passing-by-kserve", "jsonpath={.status.readyReplicas}=2", "-n", "llm")
    kubectl("delete", "llmisvc", "passing-by", "-n", "llm", "--timeout=60s")
    kubectl("wait", "pods", "-l", SELECTOR.format("passing-by"), "--for=delete", "-n", "llm", "--timeout=60s")
    left = kubectl("get", "deployment,service,secret,httproute", "-n", "llm", "-o", "name")
    assert "passing-by" not in left


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"router": {"route": {}, "gateway": {"refs": [{"name": "g"}]}}}, "cannot be used with managed route"),
        ({"router": {"route": {"http": {"refs": [{"name": "r"}], "spec": {}}}}}, "choose one"),
        ({"router": {"route": {"http": {"refs": [{"name": "r"}]}}, "gateway": {}}}, "with a managed gateway"),
        ({"worker": {"containers": []}}, "when worker is specified"),
        ({"parallelism": {"data": 2}}, "dataLocal must be set when data is set"),
        ({"parallelism": {"dataLocal": 2}}, "data must be set when dataLocal is set"),
    ],
)  # fmt: skip
def test_webhook_refuses(maas: Maas, spec: dict[str, object], message: str) -> None:
    done = maas.kubectl.run("create", "-f", "-", stdin=json.dumps(model("refused", **spec)))
    assert done.returncode != 0
    assert message in done.stderr


def test_a_service_without_a_uri_is_no_object(maas: Maas) -> None:
    bad = model("no-uri", model={"name": "x"})
    done = maas.kubectl.run("create", "-f", "-", stdin=json.dumps(bad))
    assert "spec.model.uri: Required value" in done.stderr


def settled(maas: Maas, name: str, wanted: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Conditions once they are as wanted; as they are when patience ends."""
    deadline = Deadline(ScaledClock(), 30)
    while True:
        found = conditions(maas.kubectl.get("llmisvc", name, "-n", "llm"))
        if deadline.expired or all(found.get(kind) == state for kind, state in wanted.items()):
            return found
        deadline.clock.sleep(0.1)


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        (
            "bad-scheme",
            {"model": {"uri": "ftp://x/y"}},
            {
                "WorkerWorkloadReady": ("False", "ReconcileMultiNodeWorkloadError"),
                "Ready": ("False", "ReconcileMultiNodeWorkloadError"),
                "PresetsCombined": ("True", ""),
                "RouterReady": ("Unknown", ""),
            },
        ),
        (
            "no-preset",
            {"baseRefs": [{"name": "nowhere"}]},
            {"PresetsCombined": ("False", "CombineBaseError"), "Ready": ("Unknown", "NewObservedGenFailure")},
        ),
        (
            "no-route",
            {"router": {"route": {"http": {"refs": [{"name": "nowhere"}]}}}},
            {"HTTPRoutesReady": ("False", "RefsInvalid"), "RouterReady": ("False", "RefsInvalid")},
        ),
    ],
)
def test_errors_show_in_conditions_and_events(
    maas: Maas, name: str, change: dict[str, object], wanted: dict[str, tuple[str, str]]
) -> None:
    maas.kubectl.apply(model(name, **change))
    try:
        found = settled(maas, name, wanted)
        assert {kind: found.get(kind) for kind in wanted} == wanted
        if name != "no-route":
            told = maas.kubectl("get", "events", "-n", "llm", "--field-selector", f"involvedObject.name={name}")
            assert "Reconciliation failed" in told
    finally:
        maas.kubectl("delete", "llmisvc", name, "-n", "llm", "--timeout=60s")


def test_two_containers_on_one_port_never_become_available(maas: Maas) -> None:
    """The stock preset's own container comes along when the service's has another name, and fails without a GPU."""
    clash = model("clash")
    clash["spec"]["template"]["containers"][0]["name"] = "kserve-container"
    maas.kubectl.apply(clash)
    try:
        wanted = {"MainWorkloadReady": ("False", "MinimumReplicasUnavailable")}
        assert settled(maas, "clash", wanted)["Ready"] == ("False", "MinimumReplicasUnavailable")
        [pod] = maas.kubectl.get("pods", "-n", "llm", "-l", SELECTOR.format("clash"))["items"]
        names = [container["name"] for container in pod["spec"]["containers"]]
        assert names == ["main", "kserve-container"]
        log = "jsonpath={.status.containerStatuses[?(@.name=='main')].lastState.terminated.exitCode}=1"
        maas.kubectl.wait(f"pod/{pod['metadata']['name']}", log, "-n", "llm")
    finally:
        maas.kubectl("delete", "llmisvc", "clash", "-n", "llm", "--timeout=60s")


def test_a_mistake_in_the_arguments_ends_with_exit_code_zero(maas: Maas) -> None:
    wrong = model("typo")
    wrong["spec"]["template"]["containers"][0]["args"] += ["--mode", "chatty"]
    maas.kubectl.apply(wrong)
    try:
        maas.kubectl.wait("llmisvc/typo", "jsonpath={.status.observedGeneration}=1", "-n", "llm")
        select = ("pod", "-n", "llm", "-l", SELECTOR.format("typo"))
        maas.kubectl("wait", *select, "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "--timeout=60s")
        [pod] = maas.kubectl.get("pods", *select[1:])["items"]
        ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
        logs = maas.kubectl("logs", pod["metadata"]["name"], "-n", "llm", "--previous")
        assert "invalid mode 'chatty'" in logs
    finally:
        maas.kubectl("delete", "llmisvc", "typo", "-n", "llm", "--timeout=60s")


def test_a_managed_route_gives_the_service_an_address(maas: Maas) -> None:
    gateway = [{"name": "maas-gateway", "namespace": "istio-system"}]
    path = {"type": "PathPrefix", "value": "/llm/routed"}
    rewrite = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
    rule = {
        "matches": [{"path": path}],
        "filters": [rewrite],
        "backendRefs": [{"name": "routed-kserve-workload-svc", "port": 8000}],
    }
    spec = {"parentRefs": gateway, "hostnames": ["localhost"], "rules": [rule]}
    maas.kubectl.apply(model("routed", router={"route": {"http": {"spec": spec}}}))
    try:
        maas.kubectl.wait("llmisvc/routed", "condition=Ready", "-n", "llm")
        assert maas.kubectl.get("llmisvc", "routed", "-n", "llm")["status"]["url"] == "http://localhost/llm/routed"
        assert maas.kubectl.get("httproute", "routed-kserve-route", "-n", "llm")["metadata"]["ownerReferences"]
    finally:
        maas.kubectl("delete", "llmisvc", "routed", "-n", "llm", "--timeout=60s")


def test_a_pod_waits_for_its_claim(maas: Maas) -> None:
    maas.kubectl.apply(model("claimless", model={"uri": "pvc://nothing-there"}))
    try:
        select = ("pod", "-n", "llm", "-l", SELECTOR.format("claimless"))
        maas.kubectl.wait("llmisvc/claimless", "jsonpath={.status.observedGeneration}=1", "-n", "llm")
        unscheduled = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].reason}=Unschedulable"
        maas.kubectl("wait", *select, f"--for={unscheduled}", "--timeout=60s")
        [pod] = maas.kubectl.get("pods", *select[1:])["items"]
        [condition] = pod["status"]["conditions"]
        assert 'persistentvolumeclaim "nothing-there" not found' in condition["message"]
    finally:
        maas.kubectl("delete", "llmisvc", "claimless", "-n", "llm", "--timeout=60s")
