"""What the rest of the simulator hangs in: admission callbacks, injected faults, starting alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.simulator.apiserver.admission import AdmissionRequest
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.faults import Fault
from pytest_modelrt.simulator.apiserver.values import JSON

from .conftest import WIDGET_PATH, WIDGETS, Cluster, http_client, start_cluster, widget

PATH = WIDGET_PATH.format("default")


async def webhook(request: AdmissionRequest) -> JSON | None:
    """Refuses widgets named bad, keeps those named keep, and marks the others."""
    if request.resource.kind != "Widget":
        return None
    if request.name == "bad" and request.operation == "CREATE":
        raise StatusError(403, "Forbidden", 'admission webhook "w.example.com" denied the request: bad name')
    if request.operation == "DELETE" and request.name == "keep":
        raise StatusError(403, "Forbidden", "kept")
    if request.object is None:
        return None
    request.object.setdefault("spec", {})["text"] = "seen"
    return request.object


@pytest.fixture
def admitted(tmp_path: Path) -> Iterator[httpx.Client]:
    cluster, stop = start_cluster(tmp_path, crds=[WIDGETS], admission=[webhook])
    with http_client(cluster, cluster.server.token("admin")) as client:
        yield client
    stop()


def test_admission_changes_and_refuses(admitted: httpx.Client) -> None:
    assert admitted.post(PATH, json=widget("x")).json()["spec"] == {"tier": "a", "text": "seen"}
    answer = admitted.post(PATH, json=widget("bad"))
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    admitted.post(PATH, json=widget("keep")).raise_for_status()
    assert admitted.delete(f"{PATH}/keep").status_code == 403
    assert admitted.delete(f"{PATH}/x").status_code == 200


def test_faults_answer_for_the_server(cluster: Cluster, api: httpx.Client) -> None:
    rule = Fault(status=429, verbs=frozenset({"list"}), resources=frozenset({"pods"}), retry_after=1, count=2)
    cluster.call(lambda: cluster.server.faults.add(rule))
    for _ in range(2):
        answer = api.get("/api/v1/pods")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert answer.json()["details"]["retryAfterSeconds"] == 1
    assert api.get("/api/v1/pods").status_code == 200
    assert rule.hits == 2
    cut = Fault(reset=True, resources=frozenset({"secrets"}))
    cluster.call(lambda: cluster.server.faults.add(cut))
    with pytest.raises(httpx.TransportError):
        api.get("/api/v1/secrets")
    cluster.call(cluster.server.faults.clear)
    assert api.get("/api/v1/secrets").status_code == 200


def test_watches_can_be_cut(cluster: Cluster, api: httpx.Client, namespace: str) -> None:
    with api.stream("GET", WIDGET_PATH.format(namespace), params={"watch": "true"}) as stream:
        cluster.call(cluster.server.watches.end)
        assert list(stream.iter_lines()) == []


def forgotten(cluster: Cluster, open_before: int) -> bool:
    """Whether only the watches of before are left; the server learns of a closed connection a moment later."""
    deadline = Deadline(ScaledClock(), 10)
    while len(cluster.server.watches) != open_before:
        if deadline.expired:
            return False
        deadline.clock.sleep(0.01)
    return True


def test_a_closed_watch_is_forgotten(cluster: Cluster, api: httpx.Client, namespace: str) -> None:
    path = WIDGET_PATH.format(namespace)
    before = len(cluster.server.watches)
    admin = {"Authorization": f"Bearer {cluster.server.token('admin')}"}
    with http_client(cluster, None) as other, other.stream("GET", path, params={"watch": "true"}, headers=admin):
        assert len(cluster.server.watches) == before + 1
    assert forgotten(cluster, before)
    closed = api.get(path, params={"watch": "true", "timeoutSeconds": "1"})
    assert closed.status_code == 200
    assert forgotten(cluster, before)


def test_the_server_runs_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest_modelrt.simulator.apiserver", "--directory", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == f"export KUBECONFIG={tmp_path / 'kubeconfig'}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    process.stdout.close()
