"""``modelrt sim``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.selftest.simulator.controllers.conftest import Kubectl

CONFIG = Path(__file__).parents[4] / "config"


class Sim:
    """Runs ``modelrt sim`` with a state directory of its own."""

    def __init__(self, state: Path, work: Path) -> None:
        self._environment = {**os.environ, "XDG_STATE_HOME": str(state)}
        self._work = work

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "import sys; from pytest_modelrt.cli import main; sys.exit(main())", "sim"]
        return subprocess.run(
            [*command, *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=self._environment,
            cwd=self._work,
        )


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Sim]:
    made = Sim(tmp_path / "state", tmp_path)
    yield made
    made("down")


def test_up_status_down(sim: Sim, tmp_path: Path) -> None:
    assert sim("status").returncode == 1
    first = sim("up", "--nodes", "2", "--speed", "120", "--seed", "7")
    assert first.returncode == 0, first.stderr
    kubeconfig = tmp_path / "state" / "modelrt" / "sim" / "kubeconfig"
    assert first.stdout == f"export KUBECONFIG={kubeconfig}\n"
    again = sim("up")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "runs already" in again.stderr
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holder", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "x", "resources": {"limits": {"nvidia.com/gpu": "3"}}}]},
    }
    kubectl = Kubectl(kubeconfig)
    kubectl.apply(pod)
    kubectl.wait("pod/holder", "condition=PodScheduled")
    status = sim("status").stdout
    assert "nodes       2 of 2 ready" in status
    assert "GPUs        3 of 16 held" in status
    assert "speed       120 cluster seconds per second" in status
    assert "seed 7" in status
    peaks = sim("peaks", "--config", str(CONFIG))
    assert (peaks.returncode, " ".join(peaks.stdout.splitlines()[-1].split())) == (0, "total 1 cases 3 GPUs of 112")
    small = tmp_path / "small" / "campaign.yaml"
    small.parent.mkdir()
    small.write_text(re.sub(r"(?m)^(gpu_budget|gpus_per_test):.*", r"\1: 2", (CONFIG / "campaign.yaml").read_text()))
    peaks = sim("peaks", "--config", str(small.parent))
    assert (peaks.returncode, peaks.stderr) == (1, "a limit was exceeded\n")
    assert "modelrt sim peaks: " in sim("peaks", "--config", "nowhere").stderr
    assert sim("down").stdout == "stopped\n"
    assert not kubeconfig.parent.exists()
    assert "no simulated cluster ran" in sim("down").stdout


def test_failure_to_start_is_one_clear_message(sim: Sim) -> None:
    done = sim("up", "--scenario", "no-such-scenario")
    assert done.returncode == 1
    assert "modelrt sim up: the simulated cluster ended while starting" in done.stderr
    assert "no such scenario" in done.stderr
    assert "Traceback" not in done.stderr
