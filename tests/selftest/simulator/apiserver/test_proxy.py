"""Requests a node answers, with a node that is a few lines of asyncio."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pytest_modelrt.simulator.apiserver import pki

from .conftest import Cluster, Kubectl

MERGE = {"Content-Type": "application/merge-patch+json"}


async def _kubelet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo bytes after an upgrade to port 8080, refuse others; answer the rest with its head as JSON."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
        method, path, _ = first.split(" ")
        if path.startswith("/portForward") and path.endswith("?port=8080"):
            protocol = headers["upgrade"]
            writer.write(
                f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n".encode()
            )
            while data := await reader.read(1024):
                writer.write(data.upper())
        else:
            sent = await reader.readexactly(int(headers.get("content-length", "0")))
            seen = {"method": method, "path": path, "headers": headers, "body": sent.decode()}
            body = json.dumps(seen).encode()
            code = "403 Forbidden" if path.startswith("/portForward") else "200 OK"
            kind = "Content-Type: application/json\r\nX-Node: yes\r\nConnection: close"
            writer.write(f"HTTP/1.1 {code}\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Iterator[int]:
    """The port of a fake kubelet; its certificate is of another authority, as when nodes are of another process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pki.load_chain(context, *pki.Authority().issue("127.0.0.1"))
    server = cluster.run(asyncio.start_server(_kubelet, "127.0.0.1", 0, ssl=context))
    yield server.sockets[0].getsockname()[1]
    cluster.call(server.close)


@pytest.fixture
def pods(api: httpx.Client, namespace: str, node: int) -> str:
    """Path of pods; ``one`` runs on a node with the fake kubelet, ``two`` has two containers and no node."""
    name = f"node-{namespace}"
    endpoint = {"daemonEndpoints": {"kubeletEndpoint": {"Port": node}}}
    addresses = [{"type": "InternalIP", "address": "10.9.9.9"}, {"type": "Hostname", "address": "127.0.0.1"}]
    api.post("/api/v1/nodes", json={"metadata": {"name": name}, "status": {"addresses": addresses, **endpoint}})
    path = f"/api/v1/namespaces/{namespace}/pods"
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 8080}]}
    for pod, containers in (("one", [container]), ("two", [container, {"name": "d", "image": "i"}])):
        body = {"metadata": {"name": pod, "labels": {"app": pod}}, "spec": {"containers": containers}}
        api.post(path, json=body).raise_for_status()
    target = {"metadata": {"name": "one"}, "target": {"kind": "Node", "name": name}}
    api.post(f"{path}/one/binding", json=target).raise_for_status()
    set_state(api, path, {"running": {}})
    return path


def set_state(api: httpx.Client, pods: str, state: dict[str, Any]) -> None:
    statuses = [
        {"name": "c", "state": state, "ready": "running" in state, "restartCount": 0, "image": "i", "imageID": ""}
    ]
    status = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": statuses,
              "conditions": [{"type": "Ready", "status": "True"}]}  # fmt: skip
    api.patch(f"{pods}/one/status", json={"status": status}, headers=MERGE).raise_for_status()


def test_logs_come_from_the_node(api: httpx.Client, pods: str, namespace: str) -> None:
    answer = api.get(f"{pods}/one/log", params={"tailLines": "5", "follow": "true"})
    assert answer.status_code == 200
    assert answer.json()["path"] == f"/containerLogs/{namespace}/one/c?tailLines=5&follow=true"
    assert answer.headers["X-Node"] == "yes"
    assert "authorization" not in answer.json()["headers"]


def test_log_requests_are_checked(api: httpx.Client, pods: str) -> None:
    def refused(name: str, **params: str) -> str:
        answer = api.get(f"{pods}/{name}/log", params=params)
        assert answer.status_code in (400, 422)
        return str(answer.json()["message"])

    assert refused("two") == "a container name must be specified for pod two, choose one of: [c d]"
    assert refused("two", container="zz") == "container zz is not valid for pod two"
    assert "at most one of" in refused("one", sinceSeconds="1", sinceTime="2026-01-01T00:00:00Z")
    assert api.get(f"{pods}/two/log", params={"container": "c"}).text == ""
    set_state(api, pods, {"waiting": {"reason": "ContainerCreating"}})
    assert refused("one") == 'container "c" in pod "one" is waiting to start: ContainerCreating'
    assert api.get(f"{pods}/absent/log").status_code == 404


@pytest.mark.parametrize(("method", "protocol"), [("POST", "SPDY/3.1"), ("GET", "websocket")])
def test_upgraded_connections_are_tunnelled(cluster: Cluster, pods: str, method: str, protocol: str) -> None:
    context = ssl.create_default_context(cadata=cluster.server.ca_pem.decode())
    host, port = cluster.server.url.removeprefix("https://").split(":")
    lines = [
        f"{method} {pods}/one/portforward?ports=8080 HTTP/1.1",
        f"Host: {host}:{port}",
        f"Authorization: Bearer {cluster.server.token('admin')}",
        "Connection: Upgrade",
        f"Upgrade: {protocol}",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    with context.wrap_socket(socket.create_connection((host, int(port)), 20), server_hostname=host) as client:
        client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        stream = client.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        while stream.readline() != b"\r\n":
            pass
        client.sendall(b"hello\n")
        assert stream.readline() == b"HELLO\n"
        client.sendall(b"x" * 200_000 + b"\n")
        assert stream.readline() == b"X" * 200_000 + b"\n"


def test_port_forward_refusals(api: httpx.Client, pods: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    answer = api.post(f"{pods}/two/portforward", headers=upgrade)
    assert (answer.status_code, answer.json()["message"]) == (400, "pod two does not have a host assigned")
    assert api.post(f"{pods}/one/portforward").json()["message"] == "Upgrade request required"
    assert api.post(f"{pods}/one/portforward", headers=upgrade, params={"ports": "1"}).status_code == 403
    answer = api.post(f"{pods}/one/exec", headers=upgrade)
    assert answer.status_code == 501
    assert "not supported by this simulated cluster" in answer.json()["message"]


def test_pod_proxy(api: httpx.Client, pods: str, namespace: str) -> None:
    answer = api.post(f"{pods}/one:9000/proxy/v1/chat%2Fx?a=b", content=b"body", headers={"X-Mine": "1"})
    seen = answer.json()
    assert (seen["method"], seen["path"]) == ("POST", f"/podProxy/{namespace}/one/9000/v1/chat/x?a=b")
    assert seen["body"] == "body"
    assert seen["headers"]["x-mine"] == "1"
    assert "authorization" not in seen["headers"]
    assert api.get(f"{pods}/one%3A9000/proxy/").json()["path"] == f"/podProxy/{namespace}/one/9000/"
    assert api.get(f"{pods}/one/proxy/").json()["path"] == f"/podProxy/{namespace}/one/8080/"


def test_service_proxy(api: httpx.Client, pods: str, namespace: str) -> None:
    services = f"/api/v1/namespaces/{namespace}/services"
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    for name, app in (("good", "one"), ("empty", "nobody")):
        body = {"metadata": {"name": name}, "spec": {"selector": {"app": app}, "ports": ports}}
        api.post(services, json=body).raise_for_status()
    params = {"watch": "true", "fieldSelector": "metadata.name=good"}
    with api.stream("GET", f"/api/v1/namespaces/{namespace}/endpoints", params=params) as stream:
        assert any(json.loads(line)["object"].get("subsets") for line in stream.iter_lines())
    for port in ("80", "http"):
        seen = api.get(f"{services}/http:good:{port}/proxy/health").json()
        assert seen["path"] == f"/podProxy/{namespace}/one/8080/health"
    answer = api.get(f"{services}/empty:80/proxy/")
    assert answer.status_code == 503
    assert answer.json()["message"] == 'no endpoints available for service "empty:80"'
    assert api.get(f"{services}/good:81/proxy/").status_code == 503


def test_kubectl_logs(kubectl: Kubectl, pods: str, namespace: str) -> None:
    assert "/containerLogs/" in kubectl("logs", "one", "-n", namespace, "--tail=3")
    refused = kubectl.run("logs", "two", "-n", namespace, "-c", "zz")
    assert "container zz is not valid for pod two" in refused.stderr
    assert "/podProxy/" in kubectl("get", "--raw", f"{pods}/one:9000/proxy/x")
