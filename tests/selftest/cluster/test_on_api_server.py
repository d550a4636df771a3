"""The room against the simulated API server: a process of its own, real TLS, real storage."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from pytest_modelrt.clock import Deadline, rfc3339, utc_now
from pytest_modelrt.cluster import leases
from pytest_modelrt.cluster.cluster import Cluster, ClusterTarget
from pytest_modelrt.cluster.model import (
    CLUSTER_BASE_MODEL,
    CLUSTER_SERVING_RUNTIME,
    CONFIG_MAP,
    INFERENCE_SERVICE,
    LEASE,
    NAMESPACE,
    POD,
    ApiError,
    NotOurs,
    Object,
    Ownership,
    Ref,
    Resource,
)
from pytest_modelrt.cluster.ownership import stamp
from pytest_modelrt.cluster.sweep import Wanted, find, sweep

from .wire import Wire

WINDOW = 20
"""Events the server keeps per kind: few, so that a watch that was away gets a 410."""


KINDS = (INFERENCE_SERVICE, CLUSTER_BASE_MODEL, CLUSTER_SERVING_RUNTIME)


def definition(resource: Resource) -> Object:
    """A small CRD: a few fields are known, a misspelt one is refused."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    known = ("engine", "model", "runtime", "storage")
    spec = {"type": "object", "properties": dict.fromkeys(known, anything)}
    schema = {"type": "object", "properties": {"spec": spec, "status": anything}}
    names = {"kind": resource.kind, "plural": resource.plural, "singular": resource.kind.lower()}
    version = {"name": resource.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": names,
            "versions": [version],
        },
    }


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("apiserver")
    definitions = directory / "crds.yaml"
    definitions.write_text(yaml.safe_dump_all(map(definition, KINDS)), encoding="utf-8")
    words = ["--directory", str(directory), "--speed", "60", "--watch-window", str(WINDOW), "--crd", str(definitions)]
    command = [sys.executable, "-m", "pytest_modelrt.simulator.apiserver", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("export KUBECONFIG=")
        yield directory / "kubeconfig"
        process.terminate()


@pytest.fixture
def owner() -> Ownership:
    return Ownership(f"r-{uuid.uuid4().hex[:8]}", "llama", rfc3339(utc_now() + timedelta(hours=1)))


@pytest.fixture
def cluster(kubeconfig: Path, owner: Ownership) -> Iterator[Cluster]:
    cluster = Cluster.connect(ClusterTarget(kubeconfig), run_id=owner.run_id)
    yield cluster
    cluster.close()


def obj(owner: Ownership, resource: Resource, name: str, namespace: str | None = None, **rest: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return stamp({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **rest}, owner)


@pytest.fixture
def namespace(cluster: Cluster, owner: Ownership) -> Iterator[str]:
    name = f"ns-{owner.run_id}"
    cluster.apply(obj(owner, NAMESPACE, name))
    yield name
    sweep(cluster, Wanted(run_id=owner.run_id), patience=300, strip_finalizers=True)


def test_apply_changes_and_removes_what_we_own(cluster: Cluster, owner: Ownership, namespace: str) -> None:
    first = cluster.apply(obj(owner, CONFIG_MAP, "c", namespace, data={"a": "1", "b": "2"}))
    second = cluster.apply(obj(owner, CONFIG_MAP, "c", namespace, data={"a": "9"}))
    assert first["metadata"]["uid"] == second["metadata"]["uid"]
    assert second["data"] == {"a": "9"}
    assert "managedFields" not in second["metadata"]
    assert cluster.get(Ref(CONFIG_MAP, "c", namespace)) == second


def test_others_objects_stay_as_they_are(cluster: Cluster, owner: Ownership, namespace: str) -> None:
    ref = Ref(CONFIG_MAP, "kube-root-ca.crt", namespace)
    before = cluster.wait_until(ref, lambda found: found is not None, Deadline(cluster.clock, 600))
    stranger = cluster.for_run("another-run")
    for attempt in (
        lambda: cluster.apply(obj(owner, CONFIG_MAP, ref.name, namespace, data={"a": "1"})),
        lambda: cluster.delete(ref),
        lambda: stranger.delete(Ref(NAMESPACE, namespace)),
    ):
        with pytest.raises(NotOurs):
            attempt()
    assert cluster.get(ref) == before


def test_refusals_carry_the_servers_words(cluster: Cluster, owner: Ownership, namespace: str) -> None:
    with pytest.raises(ApiError, match=r"spec\.modelId") as caught:
        cluster.apply(obj(owner, INFERENCE_SERVICE, "i", namespace, spec={"modelId": "x"}))
    assert caught.value.code in (400, 500)
    cluster.create(obj(owner, CONFIG_MAP, "c", namespace))
    with pytest.raises(ApiError) as again:
        cluster.create(obj(owner, CONFIG_MAP, "c", namespace))
    assert (again.value.code, again.value.reason) == (409, "AlreadyExists")
    with pytest.raises(ApiError) as unknown:
        cluster.list(Resource("nobody.io", "v1", "things", "Thing", namespaced=False))
    assert unknown.value.code == 404


def test_lists_of_more_than_a_page(cluster: Cluster, owner: Ownership, namespace: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("pytest_modelrt.cluster.objects.PAGE", 3)
    names = [f"c{number}" for number in range(8)]
    for name in names:
        cluster.create(obj(owner, CONFIG_MAP, name, namespace))
    found = cluster.list(CONFIG_MAP, namespace, labels=f"modelrt.io/run-id={owner.run_id}")
    assert [item["metadata"]["name"] for item in found] == names
    assert {item["kind"] for item in cluster.list_metadata(CONFIG_MAP, namespace)} == {"ConfigMap"}


@pytest.fixture
def wire(kubeconfig: Path, tmp_path: Path, owner: Ownership) -> Iterator[tuple[Wire, Cluster]]:
    """The same cluster through a wire that can be cut."""
    document = json.loads(kubeconfig.read_text())
    server = document["clusters"][0]["cluster"]
    wire = Wire(urlsplit(server["server"]).port or 0)
    server["server"] = f"https://127.0.0.1:{wire.port}"
    path = tmp_path / "through-the-wire"
    path.write_text(json.dumps(document))
    cluster = Cluster.connect(ClusterTarget(path), run_id=owner.run_id, tolerate_outage=3000)
    yield wire, cluster
    cluster.close()
    wire.close()


@pytest.mark.parametrize("missed", [3, WINDOW + 30], ids=["resumes", "410"])
def test_a_watch_that_was_cut_tells_the_whole_story(
    cluster: Cluster, owner: Ownership, namespace: str, wire: tuple[Wire, Cluster], missed: int
) -> None:
    cuttable, behind = wire
    ref = Ref(CONFIG_MAP, "c", namespace)
    cluster.create(obj(owner, CONFIG_MAP, "c", namespace, data={"n": "0"}))
    cluster.create(obj(owner, CONFIG_MAP, "gone", namespace))
    away = threading.Event()
    behind.on_outage(lambda _, ended: away.set() if ended is None else None)
    selector = f"modelrt.io/run-id={owner.run_id}"
    told: list[tuple[str, str, str]] = []
    for change in behind.watch(CONFIG_MAP, namespace, labels=selector, deadline=Deadline(behind.clock, 6000)):
        data = change.object.get("data") or {}
        told.append((change.type, change.object["metadata"]["name"], data.get("n", "")))
        if len(told) == 2:
            cuttable.cut(refuse=True)
            assert away.wait(20)
            cluster.delete(Ref(CONFIG_MAP, "gone", namespace))
            for number in range(1, missed + 1):
                cluster.patch(ref, {"data": {"n": str(number)}})
            cuttable.mend()
        if told[-1] == ("MODIFIED", "c", str(missed)) and ("DELETED", "gone", "") in told:
            break
    assert told[:2] == [("ADDED", "c", "0"), ("ADDED", "gone", "")]
    assert told[-1] == ("MODIFIED", "c", str(missed))
    assert behind.outage_seconds > 0


def service(owner: Ownership, namespace: str, model: str, runtime: str) -> Object:
    spec = {"engine": {"minReplicas": 1, "maxReplicas": 1}, "model": {"name": model}, "runtime": {"name": runtime}}
    return obj(owner, INFERENCE_SERVICE, "i", namespace, spec=spec)


def deploy(cluster: Cluster, owner: Ownership, namespace: str) -> dict[str, Ref]:
    """Model, runtime and service of one run, and a lease elsewhere."""
    name = f"m-{owner.run_id}"
    model = obj(owner, CLUSTER_BASE_MODEL, name, spec={"storage": {"storageUri": "hf://a/b"}})
    runtime = obj(owner, CLUSTER_SERVING_RUNTIME, name, spec={"engine": {"runner": {}}})
    for item in (model, runtime, service(owner, namespace, name, name), obj(owner, LEASE, name, "default")):
        cluster.apply(item)
    return {
        "service": Ref(INFERENCE_SERVICE, "i", namespace),
        "namespace": Ref(NAMESPACE, namespace),
        "runtime": Ref(CLUSTER_SERVING_RUNTIME, name),
        "model": Ref(CLUSTER_BASE_MODEL, name),
        "lease": Ref(LEASE, name, "default"),
    }


def test_sweep_goes_from_service_to_model_and_leaves_strangers(
    cluster: Cluster, owner: Ownership, namespace: str
) -> None:
    refs = deploy(cluster, owner, namespace)
    other = Ownership("r-other", "x", owner.expires)
    theirs = cluster.for_run("r-other")
    theirs.apply(obj(other, LEASE, f"other-{owner.run_id}", "default"))
    lines: list[str] = []
    swept = sweep(cluster, Wanted(run_id=owner.run_id), patience=600, tell=lines.append)
    assert lines == [f"delete {refs[key]}" for key in ("service", "namespace", "runtime", "model", "lease")]
    assert (swept.leftovers, swept.unseen) == ([], [])
    assert find(cluster, Wanted(run_id=owner.run_id)) == []
    assert theirs.delete(Ref(LEASE, f"other-{owner.run_id}", "default"))


def test_a_service_that_hangs_keeps_its_model_and_is_explained(
    cluster: Cluster, owner: Ownership, namespace: str
) -> None:
    refs = deploy(cluster, owner, namespace)
    cluster.patch(refs["service"], {"metadata": {"finalizers": ["example.io/hold"]}})
    swept = sweep(cluster, Wanted(run_id=owner.run_id), patience=60)
    whys = {leftover.ref: leftover.why for leftover in swept.leftovers}
    assert "finalizers example.io/hold" in whys[refs["service"]]
    assert "still being deleted" in whys[refs["model"]]
    assert "still being deleted" in whys[refs["runtime"]]
    assert refs["namespace"] in whys
    for kept in (refs["model"], refs["runtime"]):
        assert "deletionTimestamp" not in (cluster.get(kept) or {"metadata": {"deletionTimestamp": "gone"}})["metadata"]
    commands = [leftover.command for leftover in swept.leftovers]
    assert f"kubectl get inferenceservices.ome.io i -n {namespace} -o yaml" in commands
    held = cluster.get(refs["service"])
    assert held is not None
    assert held["metadata"]["finalizers"] == ["example.io/hold"]
    swept = sweep(cluster, Wanted(run_id=owner.run_id), patience=120, strip_finalizers=True)
    assert swept.leftovers == []
    assert find(cluster, Wanted(run_id=owner.run_id)) == []


def test_expired_means_expired_and_ours(cluster: Cluster, owner: Ownership, namespace: str) -> None:
    old = Ownership(owner.run_id, "old", rfc3339(utc_now() - timedelta(minutes=1)))
    cluster.apply(obj(old, CONFIG_MAP, "old", namespace))
    cluster.apply(obj(owner, CONFIG_MAP, "fresh", namespace))
    found = find(cluster, Wanted(run_id=owner.run_id, expired_at=utc_now()))
    assert [item.ref for item in found] == [Ref(CONFIG_MAP, "old", namespace)]


def test_what_belongs_to_a_controller_is_left_to_garbage_collection(
    cluster: Cluster, owner: Ownership, namespace: str
) -> None:
    parent = cluster.apply(obj(owner, CONFIG_MAP, "parent", namespace))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": parent["metadata"]["uid"]}
    child = obj(owner, CONFIG_MAP, "child", namespace)
    child["metadata"]["ownerReferences"] = [{**reference, "controller": True}]
    cluster.apply(child)
    found = {item.ref.name for item in find(cluster, Wanted(run_id=owner.run_id))}
    assert "parent" in found
    assert "child" not in found


def test_a_lease_has_one_holder_and_can_be_taken_from_the_dead(cluster: Cluster, owner: Ownership) -> None:
    other = Ownership(f"{owner.run_id}-b", "llama", owner.expires)
    rival = cluster.for_run(other.run_id)
    name = f"gpu8-{owner.run_id}"
    held = leases.acquire(cluster, name, owner, seconds=60)
    assert held is not None
    assert held.renew()
    assert leases.acquire(rival, name, other, seconds=60) is None
    long_ago = "2020-01-01T00:00:00.000000Z"
    cluster.patch(held.ref, {"spec": {"renewTime": long_ago}})
    taken = leases.acquire(rival, name, other, seconds=60)
    assert taken is not None
    assert not held.renew()
    held.release()
    assert taken.renew()
    live = cluster.get(taken.ref)
    assert live is not None
    assert live["spec"]["holderIdentity"] == f"{other.run_id}/llama"
    taken.release()
    assert cluster.get(taken.ref) is None


@pytest.mark.parametrize("lapsed", [False, True], ids=["free", "lapsed"])
def test_of_many_takers_one_wins(cluster: Cluster, owner: Ownership, lapsed: bool) -> None:
    name = f"race-{owner.run_id}"
    if lapsed:
        dead = leases.acquire(cluster, name, owner)
        assert dead is not None
        cluster.patch(dead.ref, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}})
    start = threading.Barrier(6)
    won: list[leases.HeldLease] = []

    def take(number: int) -> None:
        run = f"{owner.run_id}-{number}"
        start.wait(60)
        held = leases.acquire(cluster.for_run(run), name, Ownership(run, "c", owner.expires))
        if held is not None:
            won.append(held)

    takers = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(60)
    assert len(won) == 1
    won[0].release()


def test_tokens_and_permissions(cluster: Cluster, owner: Ownership, namespace: str) -> None:
    account = Ref(Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True), "default", namespace)
    cluster.wait_until(account, lambda found: found is not None, Deadline(cluster.clock, 600))
    token = cluster.service_account_token(namespace, "default", audiences=["gateway"])
    assert token.count(".") == 2
    assert cluster.can_i("delete", POD, namespace)
    assert cluster.server_version().startswith("v1.")


def test_tunnel_to_a_pod_nobody_runs(cluster: Cluster, owner: Ownership, namespace: str) -> None:
    cluster.create(obj(owner, POD, "p", namespace, spec={"containers": [{"name": "c", "image": "x"}]}))
    refused = pytest.raises(httpx.ConnectError, match="p does not have a host assigned")
    with httpx.Client(transport=cluster.tunnel(namespace, "p", 8080)) as http, refused:
        http.get("http://engine/")
    assert cluster.logs(namespace, "p") == ""
