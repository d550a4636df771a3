"""What the document says under "What is model-a", "Quick Deploy" and "Architecture"."""

from __future__ import annotations

import pytest

from pytest_modelrt.cluster.model import POD, Object, Ref
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.model import ServedModel, ensure
from pytest_modelrt.stacks.kserve.overlay import pick
from pytest_modelrt.stacks.kserve.platform import MaasPlatform, to_create, unhappy_policies
from pytest_modelrt.stacks.kserve.stack import READY_SECONDS
from pytest_modelrt.stacks.kserve.waiting import conditions_of, is_true, wait_healthy, wait_ready
from tests.maas.conftest import Deploy, Note, patience

pytestmark = pytest.mark.maas

HEALTHY = {
    "HTTPRoutesReady",
    "InferencePoolReady",
    "MainWorkloadReady",
    "PresetsCombined",
    "Ready",
    "RouterReady",
    "WorkloadsReady",
}

OWN_REAL_SECONDS = 5.0
"""What this process and the API server may take of a minute that passes in a second on a simulated cluster."""


def _live(maas: MaasPlatform, ref: Ref) -> Object:
    obj = maas.cluster.get(ref)
    assert obj is not None, f"{ref} is not there"
    return obj


@pytest.mark.parametrize("model", ["model-a", "model-b"])
def test_a_ready_service_has_exactly_its_seven_conditions(maas: MaasPlatform, model: str) -> None:
    service = _live(maas, names.service(model))
    conditions = conditions_of(service)
    assert set(conditions) == HEALTHY
    assert {kind for kind, condition in conditions.items() if condition["status"] != "True"} == set()
    assert list(conditions) == sorted(conditions)
    assert service["status"]["observedGeneration"] == service["metadata"]["generation"]


def test_a_service_without_router_has_no_url(maas: MaasPlatform) -> None:
    assert not _live(maas, names.service("model-a"))["status"].get("url")


@pytest.mark.parametrize(("model", "tier"), [("model-a", "free"), ("model-b", "premium")])
def test_the_tier_label_is_on_the_service_only(maas: MaasPlatform, model: str, tier: str) -> None:
    assert _live(maas, names.service(model))["metadata"]["labels"]["tier"] == tier
    for pod in maas.model(model).pods():
        assert "tier" not in pod["metadata"]["labels"]


def test_the_pod_asks_for_what_the_document_promises(maas: MaasPlatform) -> None:
    container = _live(maas, names.workload("model-a"))["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["requests"] == {"cpu": "100m", "memory": "128Mi"}
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "256Mi"}
    assert container["image"].startswith("ghcr.io/llm-d/llm-d-inference-sim:v0.")


@pytest.mark.usefixtures("repaired")
def test_one_container_with_probes_serves_the_model(model_a: ServedModel) -> None:
    (pod,) = [pod for pod in model_a.pods() if not pod["metadata"].get("deletionTimestamp")]
    (container,) = pod["spec"]["containers"]
    assert container["name"] == names.CONTAINER
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert is_true(pod, "Ready")


def test_the_documents_pod_label_finds_nothing(maas: MaasPlatform, model_a: ServedModel) -> None:
    assert maas.cluster.list(POD, model_a.namespace, labels="serving.kserve.io/inferenceservice=model-a") == []
    assert len(model_a.pods()) == 1


def test_the_workload_service_leads_to_port_8000(maas: MaasPlatform) -> None:
    (port,) = _live(maas, names.workload_service("model-a"))["spec"]["ports"]
    assert (port["port"], port.get("targetPort", 8000)) == (8000, 8000)
    assert port["name"] in ("https", "http")  # https although nothing encrypts, until KServe mended it


def test_the_model_has_its_certificates(maas: MaasPlatform) -> None:
    secrets = maas.cluster.list_metadata(names.certificates("model-a").resource, names.MODELS_NAMESPACE)
    assert names.certificates("model-a").name in {secret["metadata"]["name"] for secret in secrets}


@pytest.mark.usefixtures("repaired")
@pytest.mark.parametrize("model", ["model-a", "model-b"])
def test_each_model_mounts_a_claim_of_its_own(maas: MaasPlatform, model: str) -> None:
    claim = maas.cluster.kinds.ref(pick(maas.overlay.models[model], "PersistentVolumeClaim"))
    assert _live(maas, claim)["status"]["phase"] == "Bound"
    (pod, *_) = maas.model(model).pods()
    claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["spec"]["volumes"]]
    assert claim.name in claims


@pytest.mark.parametrize("route", ["llm/model-a-route", "llm/model-b-route", "maas-api/maas-api-route"])
def test_the_gateway_accepted_the_route(maas: MaasPlatform, route: str) -> None:
    namespace, _, name = route.partition("/")
    (parent, *_) = _live(maas, Ref(names.HTTP_ROUTE, name, namespace))["status"]["parents"]
    assert is_true({"status": parent}, "Accepted")
    assert is_true({"status": parent}, "ResolvedRefs")


def test_every_policy_is_accepted_and_enforced(maas: MaasPlatform) -> None:
    assert unhappy_policies(maas.cluster) == []


def test_deploying_twice_changes_nothing(maas: MaasPlatform) -> None:
    before = _live(maas, names.service("model-a"))["metadata"]["resourceVersion"]
    assert ensure(maas.cluster, maas.owner, to_create(maas.cluster, maas.owner, maas.overlay)) == []
    assert _live(maas, names.service("model-a"))["metadata"]["resourceVersion"] == before


def test_a_new_model_is_ready_and_healthy_within_a_minute(maas: MaasPlatform, deploy: Deploy, note: Note) -> None:
    clock = maas.cluster.clock
    deadline = patience(maas)
    began = clock.monotonic()
    model = deploy()
    wait_ready(maas.cluster, model.service, deadline)
    ready = clock.monotonic() - began
    wait_healthy(maas.cluster, model.service, deadline)
    healthy = clock.monotonic() - began
    note(startup={"ready": round(ready, 1), "healthy": round(healthy, 1)})
    own_time = OWN_REAL_SECONDS * (clock.speed if clock.speed > 1 else 0)
    assert healthy <= READY_SECONDS + own_time
