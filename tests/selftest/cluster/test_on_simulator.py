"""The room against the whole simulated cluster: a model is deployed, asked, and swept away by the command."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from pytest_modelrt import launcher
from pytest_modelrt.cli import main
from pytest_modelrt.clock import Deadline, rfc3339, utc_now
from pytest_modelrt.cluster.cluster import Cluster, ClusterTarget
from pytest_modelrt.cluster.model import (
    CLUSTER_BASE_MODEL,
    INFERENCE_SERVICE,
    POD,
    ApiError,
    Object,
    Ownership,
    Ref,
)
from pytest_modelrt.cluster.ownership import stamp
from pytest_modelrt.cluster.sweep import Wanted, find

CONFIG = Path(__file__).parents[3] / "config"
NAME = "qwen3-0-6b"
FILES = ("models/Qwen/Qwen3-0.6B.yaml", "runtimes/srt/Qwen/qwen3-0-6b-rt.yaml", "samples/isvc/Qwen/qwen3-0-6b.yaml")
RUN = "r-sweep"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with launcher.start(tmp_path / "simulator", speed=120, config_dir=CONFIG, nodes=4) as simulator:
        yield simulator.wait_ready()


@pytest.fixture
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    cluster = Cluster.connect(ClusterTarget(kubeconfig), run_id=RUN)
    yield cluster
    cluster.close()


def is_ready(service: Object | None) -> bool:
    conditions = ((service or {}).get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def deploy(cluster: Cluster) -> None:
    """Model, runtime, namespace and service of the plan's smallest Qwen, until it is ready."""
    owner = Ownership(RUN, NAME, rfc3339(utc_now() + timedelta(hours=1)))
    model, runtime, service = (
        [item for item in yaml.safe_load_all((CONFIG / path).read_text(encoding="utf-8")) if item] for path in FILES
    )
    for item in [*model, *runtime]:
        cluster.apply(stamp(item, owner))
    cluster.wait_until(
        Ref(CLUSTER_BASE_MODEL, NAME),
        lambda found: len(((found or {}).get("status") or {}).get("nodesReady") or []) >= 3,
        Deadline(cluster.clock, 7200),
    )
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}
    for item in [namespace, *(found for found in service if found["kind"] != "Namespace")]:
        cluster.apply(stamp(item, owner))
    cluster.wait_until(Ref(INFERENCE_SERVICE, NAME, NAME), is_ready, Deadline(cluster.clock, 7200))


def test_deploy_ask_and_sweep(cluster: Cluster, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster.info.simulated
    assert sum(cluster.allocatable_gpus().values()) == 32
    deploy(cluster)
    engine = cluster.list(POD, NAME, labels="component=engine")[0]["metadata"]["name"]

    assert "fired up and ready to roll" in cluster.logs(NAME, engine, tail_lines=50)
    assert "Scheduled" in {event["reason"] for event in cluster.events(namespace=NAME, name=engine, kind="Pod")}
    with pytest.raises(ApiError, match="not valid for pod"):
        cluster.logs(NAME, engine, "nobody")

    with httpx.Client(transport=cluster.tunnel(NAME, engine, 8080), base_url="http://engine") as http:
        assert http.get("/v1/models").json()["data"][0]["id"] == "Qwen/Qwen3-0.6B"
        question = {"model": "Qwen/Qwen3-0.6B", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        with http.stream("POST", "/v1/chat/completions", json=question) as answer:
            lines = [line for line in answer.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"
    closed = pytest.raises(httpx.ConnectError, match="connection refused")
    with httpx.Client(transport=cluster.tunnel(NAME, engine, 9)) as http, closed:
        http.get("http://engine/")

    assert main(["sweep", "--run-id", RUN, "--kubeconfig", str(kubeconfig)]) == 0
    printed = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("delete ")]
    assert printed == ["InferenceService", "Namespace", "ClusterServingRuntime", "ClusterBaseModel"]
    assert find(cluster, Wanted(run_id=RUN)) == []
    assert main(["sweep", "--all-runs", "--kubeconfig", str(kubeconfig)]) == 0
