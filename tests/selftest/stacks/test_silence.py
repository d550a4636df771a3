"""Silence of a watch proves nothing: before a wait gives up it reads what there is."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.stacks.ome.model_wait import ModelWait
from pytest_modelrt.stacks.ome.service_wait import ServiceWait
from pytest_modelrt.stacks.protocol import StackFailure
from tests.selftest.cluster.scripted import Answer, Asked, Json, Script, Stream, listing, missing
from tests.selftest.stacks.conftest import NAME, OnScript


def unheard_of(*objects: Json, after: int = 1) -> Script:
    """Watches are silent; ``objects`` are there whenever their kind is read after the first ``after`` readings."""
    asked: dict[str, int] = {}

    def script(request: Asked) -> Answer | Stream:
        if request.watching:
            return Stream(())
        named = request.path.rpartition("/")[2] == NAME
        found = [obj for obj in objects if f"/{obj['kind'].lower()}s" in request.path]
        key = request.path if named else request.path + "?"
        asked[key] = asked.get(key, 0) + 1
        if named:
            return Answer(body=found[0]) if found else missing(NAME)
        return listing(*(found if asked[key] > after else ()))

    return script


def obj(kind: str, version: str, **fields: Any) -> Json:
    metadata = {"name": NAME, "namespace": NAME, "resourceVersion": version, "labels": {}}
    return {"kind": kind, "metadata": metadata, **fields}


def test_a_workload_nobody_told_us_of_is_no_silence(context: OnScript) -> None:
    waiting = {"state": {"waiting": {"reason": "InvalidImageName", "message": "x:"}}, "name": "ome-container"}
    pod = obj("Pod", "7", status={"containerStatuses": [waiting]})
    with pytest.raises(StackFailure) as caught:
        ServiceWait(context(unheard_of(obj("Deployment", "6"), pod)), engine_pods=1).run()
    assert caught.value.reason == "hopeless-pod"


def test_where_there_really_is_nothing_the_wait_ends(context: OnScript) -> None:
    with pytest.raises(StackFailure) as caught:
        ServiceWait(context(unheard_of()), engine_pods=1).run()
    assert caught.value.reason == "not-reconciled"


def test_a_model_that_became_ready_unheard_is_ready(context: OnScript) -> None:
    model = obj("ClusterBaseModel", "9", status={"state": "Ready", "nodesReady": ["a", "b", "c"]})
    assert ModelWait(context(unheard_of(model))).run().facts["nodes_ready"] == 3


def told(reason: str, message: str = "") -> Json:
    """An event about the pod."""
    event = obj("Event", "8", reason=reason, message=message, involvedObject={"kind": "Pod", "name": NAME})
    event["metadata"]["name"] = reason.lower()
    return {**event, "type": "Normal" if reason == "Pulling" else "Warning"}


@pytest.mark.parametrize(("also", "reason"), [((), "hopeless-pod"), ((told("Pulling"),), "deadline")])
def test_a_node_that_cannot_prepare_a_pod_ends_the_wait_unless_it_could(
    context: OnScript, also: tuple[Json, ...], reason: str
) -> None:
    pod = obj("Pod", "7", status={"phase": "Pending"})
    refused = told("FailedMount", 'MountVolume.SetUp failed for volume "x": configmap "y" not found')
    with pytest.raises(StackFailure) as caught:
        ServiceWait(context(unheard_of(obj("Deployment", "6"), pod, *also, refused, after=0)), engine_pods=1).run()
    assert caught.value.reason == reason
