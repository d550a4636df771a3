"""The life of a model through the stack, and that nothing of it is left."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from pytest_modelrt.cluster.model import DEPLOYMENT, POD, SECRET, SERVICE
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.session.run import RUN
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.accounts import Account
from pytest_modelrt.stacks.kserve.calls import Caller
from pytest_modelrt.stacks.kserve.model import ServedModel
from pytest_modelrt.stacks.kserve.platform import MaasPlatform
from pytest_modelrt.stacks.kserve.stack import KserveStack
from pytest_modelrt.stacks.protocol import Stack, StackFailure, StackRequest
from tests.maas import expect
from tests.maas.conftest import Note

pytestmark = pytest.mark.maas

KINDS = (POD, SERVICE, SECRET, DEPLOYMENT, names.CLAIM, names.HTTP_ROUTE, names.ROLE, names.ROLE_BINDING)


@pytest.fixture
def copy(maas: MaasPlatform) -> ServedModel:
    """A copy of model-a, not deployed yet."""
    return maas.copy("model-a", f"model-a-{uuid.uuid4().hex[:6]}")


@pytest.fixture
def stack(maas: MaasPlatform, copy: ServedModel, pytestconfig: pytest.Config) -> Iterator[Stack]:
    """The stack of the copy."""
    run = pytestconfig.stash[RUN]
    case = run.plan.cases[0]  # the copy's objects are given; nothing of the case is used
    request = StackRequest(
        case, maas.cluster, run.campaign, run.settings.config, run.directory, maas.owner, lambda what, data: None
    )
    stack = KserveStack(request, copy)
    yield stack
    stack.delete_service(wait=False)


def _named_like(maas: MaasPlatform, copy: ServedModel) -> list[str]:
    return [
        f"{kind.kind} {obj['metadata']['name']}"
        for kind in KINDS
        for obj in maas.cluster.list_metadata(kind, copy.namespace)
        if obj["metadata"]["name"].startswith(copy.name)
    ]


def test_a_deleted_model_leaves_nothing_and_its_neighbours_alone(
    maas: MaasPlatform, gateway: Caller, premium: Account, stack: Stack, copy: ServedModel, note: Note
) -> None:
    stack.preflight()
    ready = stack.apply_service()
    note(startup=dict(ready.facts))
    assert stack.endpoint().served_name == copy.name
    assert stack.live(Stage.SERVICE)["metadata"]["name"] == copy.name
    path = f"/llm/{copy.name}/v1/models"
    expect.status(gateway.get(path, premium.token), 200)
    assert len(_named_like(maas, copy)) >= len(KINDS)

    assert stack.delete_service().warnings == ()

    assert stack.leftovers() == []
    assert _named_like(maas, copy) == []
    expect.status(gateway.get(path, premium.token), 404)
    listed = expect.status(gateway.get("/v1/models", premium.token), 200).data["data"]
    assert copy.name not in {model["id"] for model in listed}
    expect.status(gateway.get("/llm/model-b/v1/models", premium.token), 200)


def test_deleting_again_finds_nothing_and_is_no_error(stack: Stack) -> None:
    assert stack.delete_service().warnings == ()
    assert stack.leftovers() == []


def test_names_that_are_taken_are_found_before_anything_is_touched(
    maas: MaasPlatform, stack: Stack, copy: ServedModel
) -> None:
    copy.create()
    with pytest.raises(StackFailure, match="exists already") as failure:
        stack.preflight()
    assert failure.value.cause == "leftover-conflict"
    evidence = stack.collect(failure.value)
    assert evidence.service is not None
    assert stack.delete_service().warnings == ()
    assert _named_like(maas, copy) == []
