"""Pods on nodes, seen with the real kubectl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_modelrt.plan.model import Tier
from pytest_modelrt.simulator.nodes.ledger import peak_by_tier, read_ledger
from tests.selftest.simulator.nodes.hall import Hall, hall, pod
from tests.selftest.simulator.nodes.lab import scenario_of

READY = "--for=condition=Ready"


def state(cluster: Hall, name: str) -> dict[str, Any]:
    return dict(cluster.get("pod", name)["status"]["containerStatuses"][0])


def test_nodes_look_like_gpu_machines(cluster: Hall) -> None:
    nodes = cluster.get("nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["gpu-node-01", "gpu-node-02", "gpu-node-03"]
    assert {node["status"]["allocatable"]["nvidia.com/gpu"] for node in nodes} == {"8"}
    assert {node["metadata"]["labels"]["nvidia.com/gpu"] for node in nodes} == {"true"}
    assert "Ready" in cluster.kubectl("get", "nodes")


def test_a_pod_comes_up_with_the_usual_events_and_goes(cluster: Hall) -> None:
    cluster.apply(pod("plain", gpus=1))
    cluster.kubectl("wait", "pod/plain", READY, "--timeout=60s")
    found = cluster.get("pod", "plain")
    assert found["status"]["podIP"].startswith("10.")
    for reason in ("Scheduled", "Pulling", "Pulled", "Created", "Started"):
        assert cluster.events("plain", reason), reason
    cluster.kubectl("delete", "pod", "plain", "--timeout=60s")
    assert "NotFound" in cluster.kubectl("get", "pod", "plain", check=False)


def test_small_pods_share_a_node_and_large_ones_find_whole_nodes(cluster: Hall) -> None:
    cluster.apply(*(pod(f"small-{n}", gpus=1) for n in range(4)))
    cluster.apply(pod("large-0", gpus=8), pod("large-1", gpus=8))
    names = [*(f"pod/small-{n}" for n in range(4)), "pod/large-0", "pod/large-1"]
    cluster.kubectl("wait", *names, READY, "--timeout=60s")
    where = {p["metadata"]["name"]: p["spec"]["nodeName"] for p in cluster.get("pods")["items"]}
    assert len({where[f"small-{n}"] for n in range(4)}) == 1
    assert len({where["small-0"], where["large-0"], where["large-1"]}) == 3

    cluster.apply(pod("waiting", gpus=8))
    messages = cluster.until(lambda: cluster.events("waiting", "FailedScheduling"), "FailedScheduling")
    assert messages[0].startswith("0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: ")
    condition = cluster.get("pod", "waiting")["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert "Pending" in cluster.kubectl("get", "pod", "waiting")

    cluster.kubectl("delete", "pod", "large-0", "--wait=false")
    cluster.kubectl("wait", "pod/waiting", READY, "--timeout=60s")
    entries = list(read_ledger(cluster.ledger))
    moves = [(e["action"], e["pod"]) for e in entries if e["pod"] in ("large-0", "waiting")]
    assert moves == [("bind", "large-0"), ("release", "large-0"), ("bind", "waiting")]
    assert max(entry["total"] for entry in entries) <= 24
    peaks = peak_by_tier(cluster.ledger, [Tier("small", 1, 1, 10), Tier("xxl", 8, None, 1)])
    assert (peaks["small"].cases, peaks["xxl"].cases, peaks["xxl"].gpus) == (4, 2, 16)
    cluster.delete("large-1", "waiting", *(f"small-{n}" for n in range(4)))


def test_a_pod_that_no_node_suits_says_why(cluster: Hall) -> None:
    cluster.apply(pod("choosy", nodeSelector={"models.ome.io/clusterbasemodel.x": "Ready"}))
    messages = cluster.until(lambda: cluster.events("choosy", "FailedScheduling"), "FailedScheduling")
    assert "3 node(s) didn't match Pod's node affinity/selector" in messages[0]
    assert "Preemption is not helpful for scheduling" in messages[0]
    cluster.kubectl("label", "node", "gpu-node-02", "models.ome.io/clusterbasemodel.x=Ready")
    cluster.kubectl("wait", "pod/choosy", READY, "--timeout=60s")
    assert cluster.get("pod", "choosy")["spec"]["nodeName"] == "gpu-node-02"
    cluster.delete("choosy")


def test_cordoned_and_tainted_nodes_are_left_alone(cluster: Hall) -> None:
    cluster.kubectl("cordon", "gpu-node-01")
    cluster.kubectl("taint", "node", "gpu-node-02", "sick=yes:NoSchedule")
    cluster.apply(pod("third"), pod("tolerant", tolerations=[{"key": "sick", "operator": "Exists"}], gpus=8))
    cluster.kubectl("wait", "pod/third", "pod/tolerant", READY, "--timeout=60s")
    assert cluster.get("pod", "third")["spec"]["nodeName"] == "gpu-node-03"
    assert cluster.get("pod", "tolerant")["spec"]["nodeName"] == "gpu-node-02"
    cluster.kubectl("uncordon", "gpu-node-01")
    cluster.kubectl("taint", "node", "gpu-node-02", "sick-")
    cluster.delete("third", "tolerant")


def test_a_crashing_container_restarts_backs_off_and_keeps_its_previous_log(cluster: Hall) -> None:
    cluster.apply(pod("crashing", "test/crash", container={"env": [{"name": "CODE", "value": "7"}]}))

    def looping() -> bool:
        found = state(cluster, "crashing")
        waiting = found["state"].get("waiting", {}).get("reason")
        return bool(found["restartCount"] >= 2 and waiting == "CrashLoopBackOff")

    cluster.until(looping, "CrashLoopBackOff after two restarts")
    found = state(cluster, "crashing")
    last = found["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (7, "Error")
    assert "CrashLoopBackOff" in cluster.kubectl("get", "pod", "crashing")
    assert "boom" in cluster.kubectl("logs", "crashing")
    previous = cluster.kubectl("logs", "crashing", "--previous")
    assert "start" in previous
    assert previous != cluster.kubectl("logs", "crashing")
    assert cluster.events("crashing", "BackOff")[0].startswith(
        "Back-off restarting failed container main in pod crashing_"
    )
    cluster.delete("crashing")


def test_out_of_memory_and_completion_are_named(cluster: Hall) -> None:
    env = [{"name": "CODE", "value": "137"}, {"name": "REASON", "value": "OOMKilled"}]
    cluster.apply(pod("eaten", "test/crash", container={"env": env}, restartPolicy="Never"))
    cluster.apply(pod("done", "test/speak", restartPolicy="OnFailure"))
    cluster.until(lambda: cluster.get("pod", "eaten")["status"]["phase"] == "Failed", "Failed")
    assert state(cluster, "eaten")["state"]["terminated"]["reason"] == "OOMKilled"
    cluster.until(lambda: cluster.get("pod", "done")["status"]["phase"] == "Succeeded", "Succeeded")
    assert state(cluster, "done")["state"]["terminated"]["reason"] == "Completed"
    cluster.delete("eaten", "done")


def test_probes_are_asked_and_a_failing_one_restarts_the_container(cluster: Hall) -> None:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2, "failureThreshold": 3}
    wrong = {**probe, "httpGet": {"path": "/nothing", "port": 8080}}
    cluster.apply(pod("good", "test/echo", container={"startupProbe": probe, "readinessProbe": probe}))
    cluster.apply(pod("bad", "test/echo", container={"startupProbe": wrong}))
    cluster.apply(pod("deaf", container={"readinessProbe": probe}))
    cluster.kubectl("wait", "pod/good", READY, "--timeout=60s")
    cluster.until(lambda: state(cluster, "bad")["restartCount"] > 0, "a restart")
    assert "Startup probe failed: HTTP probe failed with statuscode: 404" in cluster.events("bad", "Unhealthy")
    assert "Container main failed startup probe, will be restarted" in cluster.events("bad", "Killing")
    refused = cluster.until(lambda: cluster.events("deaf", "Unhealthy"), "Unhealthy")
    assert "connect: connection refused" in refused[0]
    assert not state(cluster, "deaf")["ready"]
    cluster.delete("good", "bad", "deaf")


def test_environment_and_arguments_are_resolved(cluster: Hall) -> None:
    cluster.kubectl("create", "configmap", "settings", "--from-literal=colour=green")
    cluster.kubectl("create", "secret", "generic", "hf-token", "--from-literal=token=s3cret")
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token"}}},
        {"name": "BOTH", "value": "$(NAME)-$(COLOUR)"},
    ]
    args = ["$(BOTH)", "$(APP)", "$(IP)", "$(TOKEN)", "$$(NAME)", "$(UNKNOWN)"]
    cluster.apply(
        pod("speaker", "test/speak", labels={"app": "x"}, container={"env": env, "args": args}, restartPolicy="Never")
    )
    cluster.until(lambda: cluster.get("pod", "speaker")["status"]["phase"] == "Succeeded", "Succeeded")
    words = cluster.kubectl("logs", "speaker").splitlines()
    address = cluster.get("pod", "speaker")["status"]["podIP"]
    assert words == ["speaker-green", "x", address, "s3cret", "$(NAME)", "$(UNKNOWN)"]
    cluster.delete("speaker")


def test_a_missing_secret_keeps_the_container_from_being_created(cluster: Hall) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "token"}}}]
    cluster.apply(pod("secretive", container={"env": env}))

    def waiting() -> Any:
        statuses = cluster.get("pod", "secretive")["status"].get("containerStatuses") or [{"state": {}}]
        found = statuses[0]["state"].get("waiting", {})
        return found if found.get("reason") == "CreateContainerConfigError" else None

    assert cluster.until(waiting, "CreateContainerConfigError")["message"] == 'secret "absent" not found'
    cluster.delete("secretive")


def test_images_that_cannot_be_pulled_and_node_faults_come_from_the_scenario(tmp_path: Path) -> None:
    scenario = scenario_of(
        """
        images: [{match: "private/*", error: "pull access denied"}]
        nodes: [{match: gpu-node-02, at: 1, disk_pressure: true}, {match: gpu-node-03, lost: true}]
        """,
        tmp_path,
    )
    with hall(tmp_path, scenario) as cluster:
        cluster.apply(pod("private", "private/image:1"))
        cluster.until(lambda: "ImagePullBackOff" in cluster.kubectl("get", "pod", "private"), "ImagePullBackOff")
        failed = cluster.events("private", "Failed")
        assert 'Failed to pull image "private/image:1": pull access denied' in failed
        assert "Error: ErrImagePull" in failed
        nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
        ready = {
            n: c["status"] for n, node in nodes.items() for c in node["status"]["conditions"] if c["type"] == "Ready"
        }
        assert ready == {"gpu-node-01": "True", "gpu-node-02": "True", "gpu-node-03": "Unknown"}
        assert nodes["gpu-node-02"]["spec"]["taints"][0]["key"] == "node.kubernetes.io/disk-pressure"


def test_the_timeline_of_a_scenario_reaches_events_status_and_logs(tmp_path: Path) -> None:
    scenario = scenario_of(
        """
        timeline:
        - {object: Pod/default/t-*, at: 5, log: "Xid 79, GPU has fallen off the bus"}
        - {object: Pod/t-1, event: {type: Warning, reason: Evicted, message: "The node was low on resource"}}
        - {object: Pod/t-1, at: 5, status: {nominatedNodeName: gpu-node-09}}
        """,
        tmp_path,
    )
    with hall(tmp_path, scenario, nodes=1) as cluster:
        cluster.apply(pod("t-1"), pod("u-1"))
        cluster.until(lambda: "Xid 79" in cluster.kubectl("logs", "t-1", check=False), "the injected line")
        assert cluster.events("t-1", "Evicted") == ["The node was low on resource"]
        seen = cluster.until(lambda: cluster.get("pod", "t-1")["status"].get("nominatedNodeName"), "the patch")
        assert seen == "gpu-node-09"
        assert "Xid" not in cluster.kubectl("logs", "u-1")


def test_pods_of_a_lost_node_are_evicted_and_end_when_it_comes_back(tmp_path: Path) -> None:
    scenario = scenario_of("nodes: [{match: gpu-node-01, at: 150, lost: true, lasts: 450}]", tmp_path)
    with hall(tmp_path, scenario, nodes=1) as cluster:
        cluster.apply(pod("stranded", gpus=1))
        cluster.kubectl("wait", "pod/stranded", READY, "--timeout=60s")
        cluster.until(lambda: cluster.events("stranded", "NodeNotReady"), "NodeNotReady")
        assert cluster.get("pod", "stranded")["status"]["phase"] == "Running"
        cluster.until(lambda: cluster.events("stranded", "TaintManagerEviction"), "eviction")
        assert "Terminating" in cluster.kubectl("get", "pod", "stranded")
        cluster.kubectl("wait", "pod/stranded", "--for=delete", "--timeout=60s")
        # The scheduler hears of the end as kubectl does: by a watch.
        cluster.until(
            lambda: [entry["action"] for entry in read_ledger(cluster.ledger)] == ["bind", "release"], "bind, release"
        )
