"""What a pod's status says."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.stacks.ome import pods

Pod = dict[str, Any]


def pod(*containers: dict[str, Any], **status: Any) -> Pod:
    return {
        "metadata": {"name": "p", "labels": {}},
        "spec": {"containers": [{"name": "ome-container"}]},
        "status": {"containerStatuses": list(containers), **status},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"name": "ome-container", "state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (waiting("ImagePullBackOff", "manifest for x:1 not found"), "ImagePullBackOff: manifest for x:1 not found"),
        (waiting("InvalidImageName"), "InvalidImageName"),
        (
            waiting("CreateContainerConfigError", 'secret "x" not found'),
            'CreateContainerConfigError: secret "x" not found',
        ),
    ],
)
def test_hopeless(state: dict[str, Any], expected: str) -> None:
    assert pods.hopeless(pod(state)) == expected


@pytest.mark.parametrize(
    "state",
    [
        waiting("ContainerCreating"),
        waiting("ErrImagePull", "not found"),
        waiting("ImagePullBackOff", "toomanyrequests: You have reached your pull rate limit"),
        waiting("ImagePullBackOff", "dial tcp: i/o timeout"),
        waiting("CrashLoopBackOff"),
        {"name": "ome-container", "state": {"running": {}}},
    ],
)
def test_there_is_hope(state: dict[str, Any]) -> None:
    assert pods.hopeless(pod(state)) is None


def test_a_pod_that_goes_away_is_neither_hopeless_nor_ready() -> None:
    going = pod(waiting("InvalidImageName"), conditions=[{"type": "Ready", "status": "True"}])
    going["metadata"]["deletionTimestamp"] = "2026-01-31T12:00:00Z"
    assert pods.hopeless(going) is None
    assert not pods.is_ready(going)


def test_an_evicted_pod_is_hopeless() -> None:
    assert pods.hopeless(pod(phase="Failed", reason="Evicted", message="low on ephemeral-storage")) == (
        "low on ephemeral-storage"
    )


@pytest.mark.parametrize(
    ("message", "gpus"),
    [
        ("0/14 nodes are available: 12 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint {x}", True),
        ("0/14 nodes are available: 14 node(s) didn't match Pod's node affinity/selector", False),
    ],
)
def test_waiting_for_gpus_is_not_the_same_as_fitting_nowhere(message: str, gpus: bool) -> None:
    refused = pod(
        conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    )
    assert pods.unschedulable(refused) == message
    assert pods.waits_for_gpus(message) is gpus


def test_startup_window_is_that_of_the_probe() -> None:
    probed = pod()
    probed["spec"]["containers"][0]["startupProbe"] = {
        "initialDelaySeconds": 60,
        "failureThreshold": 150,
        "periodSeconds": 6,
    }
    assert pods.startup_window(probed) == 960
    assert pods.startup_window(pod()) is None


def test_ports_and_roles() -> None:
    engine = pod()
    assert pods.port_of(engine, "ome-container") == 8080
    engine["spec"]["containers"].append({"name": "router", "ports": [{"containerPort": 9000}]})
    assert pods.port_of(engine, "router") == 9000
    assert pods.component(engine) == "engine"
    assert pods.is_leader(engine)
    engine["metadata"]["labels"] = {"component": "router", "leaderworkerset.sigs.k8s.io/worker-index": "1"}
    assert pods.component(engine) == "router"
    assert not pods.is_leader(engine)
