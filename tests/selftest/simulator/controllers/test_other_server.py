"""The houses know each other by the API only: nodes and controllers work on an API server in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelrt import launcher
from tests.selftest.simulator.controllers.conftest import CONFIG, Kubectl
from tests.selftest.simulator.controllers.test_life import QWEN, deploy, files, remove

PATIENCE = 30.0
TAINTED = """
apiVersion: v1
kind: Node
metadata: {name: gpu-node-01}
spec: {taints: [{key: node.kubernetes.io/not-ready, effect: NoSchedule}]}
"""
"""As an API server leaves a new node whose control plane has no controller for nodes."""


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[Path]:
    """Kubeconfig of an API server that holds nothing."""
    command = [sys.executable, "-m", "pytest_modelrt.simulator.apiserver", "--directory", str(tmp_path / "api")]
    process = subprocess.Popen([*command, "--speed", "600"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("export KUBECONFIG=")
    yield Path(line.strip().partition("=")[2])
    process.terminate()
    process.wait(PATIENCE)
    process.stdout.close()


def test_life_on_an_api_server_of_its_own(apiserver: Path, tmp_path: Path) -> None:
    tainted = tmp_path / "node.yaml"
    tainted.write_text(TAINTED)
    Kubectl(apiserver)("create", "-f", str(tainted))
    with launcher.start(tmp_path / "sim", speed=600.0, config_dir=CONFIG, nodes=3, apiserver=apiserver) as process:
        kubectl = Kubectl(process.wait_ready())
        model, runtime, service = files(QWEN)
        name = deploy(kubectl, model, runtime, service)
        assert "started" in kubectl("logs", f"deployment/{name}-engine", "-n", name).lower()
        remove(kubectl, runtime, name)
    # the API server outlives the rest, and still has its nodes
    nodes = Kubectl(apiserver).get("nodes")["items"]
    assert [node["spec"].get("taints", []) for node in nodes] == [[], [], []]


def test_an_api_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cluster, user = {"server": "https://127.0.0.1:1"}, {"token": "x"}
    context = {"cluster": "c", "user": "u"}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": context}],
        "current-context": "x",
    }
    kubeconfig.write_text(json.dumps(config))
    command = [sys.executable, "-m", "pytest_modelrt.simulator", "--directory", str(tmp_path / "sim")]
    done = subprocess.run([*command, "--apiserver", str(kubeconfig)], capture_output=True, text=True, check=False)
    assert done.returncode == 4
    (line,) = done.stderr.strip().splitlines()
    assert f"{kubeconfig}: this API server cannot be used: ClientConnectorError" in line
