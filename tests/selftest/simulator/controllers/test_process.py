"""The simulator's process: starts fast, says why it cannot, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_modelrt import launcher
from pytest_modelrt.clock import SIMULATOR_EXTENSION, Deadline, ScaledClock
from pytest_modelrt.simulator.residence import is_occupied
from tests.selftest.simulator.controllers.conftest import CONFIG, Kubectl

PATIENCE = 30.0


def gone(directory: Path) -> bool:
    """Whether the simulator of ``directory`` ends in time: its lock ends with it."""
    deadline = Deadline(ScaledClock(), PATIENCE)
    while is_occupied(directory):
        if deadline.expired:
            return False
        deadline.clock.sleep(0.02)
    return True


def test_kubeconfig_names_the_simulator(simulator: launcher.SimulatorProcess) -> None:
    config = yaml.safe_load(simulator.kubeconfig.read_text(encoding="utf-8"))
    assert config["current-context"] == "modelrt-sim"
    extension = config["clusters"][0]["cluster"]["extensions"][0]
    assert extension["name"] == SIMULATOR_EXTENSION
    gateway = extension["extension"].pop("gateway")
    assert gateway.startswith("http://localhost:")
    assert extension["extension"] == {"speed": 600.0, "directory": str(simulator.directory.resolve())}
    assert simulator.kubeconfig.stat().st_mode & 0o077 == 0


def test_kubeconfig_goes_with_the_process(tmp_path: Path) -> None:
    process = launcher.start(tmp_path, nodes=1)
    kubeconfig = process.wait_ready()
    assert Kubectl(kubeconfig)("get", "nodes", "-o", "name").split() == ["node/gpu-node-01"]
    process.stop()
    assert not kubeconfig.exists()
    assert not is_occupied(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        "import sys, pathlib, signal\n"
        "from pytest_modelrt import launcher\n"
        "process = launcher.start(pathlib.Path(sys.argv[1]), nodes=1)\n"
        "process.wait_ready()\n"
        "print(process.pid, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.send_signal(number)
    parent.wait(PATIENCE)
    parent.stdout.close()
    assert gone(tmp_path)
    assert not (tmp_path / "kubeconfig").exists()


def test_a_mistake_in_the_scenario_is_told_at_the_start(tmp_path: Path) -> None:
    scenario = tmp_path / "bad.yaml"
    scenario.write_text("platfrom: v0.1.4\n", encoding="utf-8")
    process = launcher.start(tmp_path / "sim", scenario=str(scenario), config_dir=CONFIG)
    with pytest.raises(launcher.SimulatorError, match="platfrom: unknown field"):
        process.wait_ready()
    assert not process.running


def test_two_simulators_do_not_share_a_directory(simulator: launcher.SimulatorProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest_modelrt.simulator", "--directory", str(simulator.directory)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 4
    assert "another simulator runs in" in done.stderr
    assert simulator.kubeconfig.exists()


def test_is_ready_soon(tmp_path: Path) -> None:
    """Promised: two seconds. Processor time is judged here, since others may use the machine, too."""
    before = os.times()
    with launcher.start(tmp_path, speed=1.0) as process:
        process.wait_ready()
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert 0 < used < 6
