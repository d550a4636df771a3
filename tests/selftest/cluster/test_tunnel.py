from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from pytest_modelrt.cluster.cluster import Cluster, ClusterTarget
from pytest_modelrt.cluster.model import ClusterError

from .kubelet import Kubelet, running
from .scripted import Answer, Asked, Cut, ScriptedApi, Stream, kubeconfig, serving


def engine_script(asked: Asked) -> Answer | Stream | Cut:
    """An engine: echoes, streams, or breaks off."""
    if asked.path == "/stream":
        return Stream(["data: one\n\n", "data: two\n\n"], "end")
    if asked.path == "/break":
        return Stream(["half"], "cut")
    if asked.path == "/hang":
        return Stream([])
    return Answer(body={"path": asked.path, "query": asked.query, "body": asked.body})


@pytest.fixture
def kubelet() -> Iterator[Kubelet]:
    with running() as kubelet:
        yield kubelet


@pytest.fixture
def engine(kubelet: Kubelet) -> Iterator[ScriptedApi]:
    with serving(engine_script) as engine:
        kubelet.target = engine.port
        yield engine


@pytest.fixture
def cluster(kubelet: Kubelet, tmp_path: Path) -> Iterator[Cluster]:
    path = _config(kubelet, tmp_path)
    cluster = Cluster.connect(ClusterTarget(path))
    yield cluster
    cluster.close()


def _config(kubelet: Kubelet, directory: Path) -> Path:
    path = kubeconfig(directory, f"https://localhost:{kubelet.port}")
    authority = directory / "ca.pem"
    kubelet.authority.cert_pem.write_to_path(str(authority))
    document = yaml.safe_load(path.read_text())
    document["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    path.write_text(yaml.safe_dump(document))
    return path


def client(cluster: Cluster, pod: str = "p", **options: float) -> httpx.Client:
    return httpx.Client(transport=cluster.tunnel("ns", pod, 8080), base_url="http://engine", **options)  # type: ignore[arg-type]


@pytest.mark.usefixtures("engine")
def test_requests_reach_the_pod_each_through_its_own_tunnel(cluster: Cluster, kubelet: Kubelet) -> None:
    large = "x" * 300_000
    with client(cluster) as http:
        assert http.get("/v1/models", params={"a": "b"}).json()["query"] == {"a": "b"}
        assert http.post("/echo", json={"text": large}).json()["body"] == {"text": large}
    assert kubelet.opened == 2
    assert set(kubelet.authorizations) == {"Bearer a-token-nobody-may-see"}


@pytest.mark.usefixtures("engine")
def test_streams_arrive(cluster: Cluster) -> None:
    with client(cluster) as http, http.stream("GET", "/stream") as response:
        assert [line for line in response.iter_lines() if line] == ["data: one", "data: two"]


@pytest.mark.usefixtures("engine")
def test_an_answer_that_breaks_off_is_an_httpx_error(cluster: Cluster) -> None:
    with client(cluster) as http, pytest.raises(httpx.RemoteProtocolError):
        http.get("/break")


@pytest.mark.usefixtures("engine")
def test_an_engine_that_hangs_is_a_read_timeout(cluster: Cluster) -> None:
    with client(cluster, timeout=0.3) as http, pytest.raises(httpx.ReadTimeout):
        http.get("/hang")


def test_nobody_listening_is_said_in_the_clusters_words(cluster: Cluster, kubelet: Kubelet) -> None:
    kubelet.refuse = "error forwarding port 8080 to pod p: dial tcp4 127.0.0.1:8080: connect: connection refused"
    with client(cluster) as http, pytest.raises(httpx.ConnectError, match=r"Pod ns/p port 8080: .*connection refused"):
        http.post("/v1/chat/completions", json={"text": "x" * 200_000})


def test_a_pod_without_a_node_is_a_connect_error(cluster: Cluster) -> None:
    with client(cluster, pod="unscheduled") as http, pytest.raises(httpx.ConnectError, match="host assigned"):
        http.get("/")


def test_an_api_server_that_is_gone_is_a_connect_error(tmp_path: Path) -> None:
    with running() as kubelet:
        cluster = Cluster.connect(ClusterTarget(_config(kubelet, tmp_path)))
    with client(cluster) as http, pytest.raises(httpx.ConnectError):
        http.get("/")


def test_a_certificate_of_another_authority_is_named_at_once(kubelet: Kubelet, tmp_path: Path) -> None:
    path = _config(kubelet, tmp_path)
    with running() as other:
        other.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with pytest.raises(ClusterError, match="not signed by the authority in the kubeconfig"):
        Cluster.connect(ClusterTarget(path))
