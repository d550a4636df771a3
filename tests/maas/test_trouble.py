"""What the document's "Troubleshooting" is about: each fault shows where the tests look for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from pytest_modelrt.cluster.model import POD, Object, Selection
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.accounts import Account
from pytest_modelrt.stacks.kserve.calls import Caller
from pytest_modelrt.stacks.kserve.model import ServedModel, ensure
from pytest_modelrt.stacks.kserve.overlay import pick
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from pytest_modelrt.stacks.kserve.waiting import conditions_of, hopeless, wait_ready
from pytest_modelrt.stacks.protocol import StackFailure
from tests.maas import expect
from tests.maas.conftest import Deploy, patience

pytestmark = pytest.mark.maas


def _container(service: Object) -> Object:
    container: Object = service["spec"]["template"]["containers"][0]
    return container


def _broken_image(service: Object) -> None:
    _container(service)["image"] = "ghcr.io/llm-d/llm-d-inference-sim:v0.0.0-no-such-tag"


def _port_clash(service: Object) -> None:
    """Under another name the container stands beside the preset's own, on the same port."""
    _container(service)["name"] = "kserve-container"


def _unknown_scheme(service: Object) -> None:
    service["spec"]["model"]["uri"] = "ftp://somewhere/model"


def _no_preset(service: Object) -> None:
    service["spec"]["baseRefs"] = [{"name": "no-such-preset"}]


def _wait_for(maas: MaasPlatform, model: ServedModel, good: Callable[[Object], bool]) -> Object:
    return maas.cluster.wait_until(model.service, lambda obj: obj is not None and good(obj), patience(maas))


@pytest.mark.usefixtures("repaired")
@pytest.mark.parametrize("change", [_broken_image, _port_clash], ids=["broken-image", "port-clash"])
def test_a_pod_that_does_not_start_shows_as_too_few_replicas(
    maas: MaasPlatform, deploy: Deploy, change: Callable[[Object], None]
) -> None:
    def unavailable(obj: Object) -> bool:
        return conditions_of(obj).get("Ready", {}).get("reason") == "MinimumReplicasUnavailable"

    conditions = conditions_of(_wait_for(maas, deploy(change), unavailable))
    for kind in ("MainWorkloadReady", "WorkloadsReady", "Ready"):
        assert (conditions[kind]["status"], conditions[kind]["reason"]) == ("False", "MinimumReplicasUnavailable")
    assert conditions["RouterReady"]["status"] == "True"


def test_a_uri_of_an_unknown_scheme_ends_the_wait_at_once(maas: MaasPlatform, deploy: Deploy) -> None:
    model = deploy(_unknown_scheme)
    with pytest.raises(StackFailure, match="ReconcileMultiNodeWorkloadError") as failure:
        wait_ready(maas.cluster, model.service, patience(maas))
    assert (failure.value.stage, failure.value.reason) == (Stage.SERVICE, "terminal-state")


def test_a_missing_preset_leaves_ready_unknown_and_ends_the_wait(maas: MaasPlatform, deploy: Deploy) -> None:
    model = deploy(_no_preset)
    with pytest.raises(StackFailure, match="CombineBaseError"):
        wait_ready(maas.cluster, model.service, patience(maas))
    conditions = conditions_of(_wait_for(maas, model, lambda obj: hopeless(obj) is not None))
    assert conditions["PresetsCombined"]["status"] == "False"
    assert conditions["Ready"]["status"] == "Unknown"


def test_a_route_without_a_ready_pod_is_an_error_of_the_gateway_not_a_404(
    maas: MaasPlatform, gateway: Caller, free: Account, deploy: Deploy
) -> None:
    model = deploy(_broken_image)
    _allow(maas, model)
    _wait_for(maas, model, lambda obj: "WorkloadsReady" in conditions_of(obj))
    expect.status(gateway.get(f"/llm/{model.name}/v1/models", free.token), 503)


def test_a_route_of_another_gateway_is_404(maas: MaasPlatform, gateway: Caller, free: Account) -> None:
    copy = maas.copy("model-a", f"model-a-{uuid.uuid4().hex[:6]}")
    route = pick(copy.objects, "HTTPRoute")
    route["spec"]["parentRefs"][0]["name"] = "no-such-gateway"
    (ref,) = ensure(maas.cluster, maas.owner, [route])
    expect.status(gateway.get(f"/llm/{copy.name}/v1/models", free.token), 404)
    maas.cluster.delete(ref)


def _allow(maas: MaasPlatform, model: ServedModel) -> None:
    """The copy brings its own role; nothing else is needed. Waits until the gateway knows the route."""
    route = next(ref for ref in model.everything() if ref.resource == names.HTTP_ROUTE)
    maas.cluster.wait_until(route, lambda obj: bool(obj and (obj.get("status") or {}).get("parents")), patience(maas))


def test_the_kubelet_says_why_the_image_is_not_there(maas: MaasPlatform, deploy: Deploy) -> None:
    model = deploy(_broken_image)
    with maas.cluster.changes([_pods_of(model)]) as changes:
        for change in changes.until(maas.cluster.fair(patience(maas))):
            statuses = (change[1].object.get("status") or {}).get("containerStatuses") or [] if change else []
            if any("Pull" in str((entry["state"].get("waiting") or {}).get("reason")) for entry in statuses):
                return
    pytest.fail("no container waits for its image")


def _pods_of(model: ServedModel) -> Selection:
    return Selection(POD, model.namespace, labels=names.pod_labels(model.name))
