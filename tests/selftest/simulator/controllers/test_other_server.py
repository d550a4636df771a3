"""The houses know each other by the API only: nodes and controllers work on an API server in another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelrt import launcher
from tests.selftest.simulator.controllers.conftest import CONFIG, Kubectl
from tests.selftest.simulator.controllers.test_life import QWEN, deploy, files, remove

PATIENCE = 30.0


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
    with launcher.start(tmp_path / "sim", speed=600.0, config_dir=CONFIG, nodes=3, apiserver=apiserver) as process:
        kubectl = Kubectl(process.wait_ready())
        model, runtime, service = files(QWEN)
        name = deploy(kubectl, model, runtime, service)
        remove(kubectl, runtime, name)
    # the API server outlives the rest, and still has its nodes
    assert len(Kubectl(apiserver).get("nodes")["items"]) == 3
