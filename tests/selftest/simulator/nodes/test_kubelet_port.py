"""Logs, port-forward and proxy through the API server, with every client there is."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import httpx
import pytest

from tests.selftest.simulator.nodes.hall import PATIENCE, Hall, kubectls, pod

READY = "--for=condition=Ready"
BIG = b"0123456789abcdef" * 20_000


@pytest.fixture(scope="module")
def echoing(cluster: Hall) -> Hall:
    cluster.apply(pod("echo", "test/echo"), pod("talk", "test/talk"))
    cluster.kubectl("wait", "pod/echo", "pod/talk", READY, "--timeout=60s")
    return cluster


@pytest.mark.parametrize("websockets", [True, False], ids=["websocket", "spdy"])
@pytest.mark.parametrize("binary", kubectls())
def test_kubectl_forwards_ports(echoing: Hall, binary: str, websockets: bool) -> None:
    with echoing.port_forward(binary, "pod/echo", websockets=websockets) as url:
        for _ in range(3):
            assert httpx.get(url, timeout=PATIENCE).text == "I am echo"
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            answers = [client.post("/double", content=BIG).content for _ in range(3)]
        assert all(answer == BIG * 2 for answer in answers)


def test_many_connections_through_one_forward(echoing: Hall) -> None:
    answers: list[str] = []

    def ask(url: str) -> None:
        answers.append(httpx.get(url, timeout=PATIENCE).text)

    with echoing.port_forward(kubectls()[0], "pod/echo", websockets=True) as url:
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert answers == ["I am echo"] * 8


def test_a_port_nobody_listens_on_is_refused_with_words(echoing: Hall) -> None:
    command = [kubectls()[0], "port-forward", "pod/echo", ":9999"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=echoing.env
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split(":")[1].split()[0]
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}", timeout=PATIENCE)
        said = ""
        while "refused" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.terminate()


def test_the_python_client_forwards_ports(echoing: Hall) -> None:
    from kubernetes import client, config
    from kubernetes.stream import portforward

    api = client.CoreV1Api(config.new_client_from_config(str(echoing.kubeconfig)))
    tunnel: Any = portforward(api.connect_get_namespaced_pod_portforward, "echo", "default", ports="8080")
    socket = tunnel.socket(8080)
    socket.settimeout(PATIENCE)
    socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while chunk := socket.recv(65536):
        answer += chunk
    assert answer.endswith(b"I am echo")
    assert tunnel.error(8080) is None


def test_logs_by_tail_time_and_size(echoing: Hall) -> None:
    echoing.until(lambda: "line 5" in echoing.kubectl("logs", "talk"), "line 5")
    whole = echoing.kubectl("logs", "talk").splitlines()
    assert whole[:3] == ["line 0", "line 1", "line 2"]
    assert len(echoing.kubectl("logs", "talk", "--tail=2").splitlines()) == 2
    assert echoing.kubectl("logs", "talk", "--limit-bytes=10") == "line 0\nlin"
    stamped = echoing.kubectl("logs", "talk", "--timestamps").splitlines()[1]
    moment, text = stamped.split(" ", 1)
    assert text == "line 1"
    assert moment.endswith("Z")
    path = "/api/v1/namespaces/default/pods/talk/log"
    since = echoing.kubectl("get", "--raw", f"{path}?sinceTime={moment}").splitlines()
    assert since[0] == "line 1"


@pytest.mark.parametrize("binary", kubectls())
def test_logs_are_followed_until_the_pod_ends(cluster: Hall, binary: str) -> None:
    cluster.apply(pod("follow", "test/talk"))
    cluster.kubectl("wait", "pod/follow", READY, "--timeout=60s")
    with subprocess.Popen(
        [binary, "logs", "-f", "follow"], stdout=subprocess.PIPE, text=True, env=cluster.env
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(5)]
        assert lines == [f"line {number}" for number in range(5)]
        cluster.kubectl("delete", "pod", "follow", "--wait=false")
        process.stdout.read()
        assert process.wait(PATIENCE) == 0


def test_logs_of_what_has_not_started_are_refused(cluster: Hall) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "token"}}}]
    cluster.apply(pod("early", container={"env": env}))
    cluster.until(lambda: "CreateContainerConfigError" in cluster.kubectl("get", "pod", "early"), "an error")
    said = cluster.kubectl("logs", "early", check=False)
    assert 'container "main" in pod "early" is waiting to start: CreateContainerConfigError' in said
    assert "previous terminated container" in cluster.kubectl("logs", "echo", "--previous", check=False)
    cluster.delete("early")


def test_the_api_server_proxies_to_pods(echoing: Hall) -> None:
    assert echoing.kubectl("get", "--raw", "/api/v1/namespaces/default/pods/echo:8080/proxy/") == "I am echo"
