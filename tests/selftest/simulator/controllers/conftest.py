"""A launched simulator, seen as a user sees it: kubectl and a kubeconfig."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt import launcher

ROOT = Path(__file__).parents[4]
CONFIG = ROOT / "config"
SPEED = 600.0


class Kubectl:
    """Runs kubectl against one cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        beside = Path(sys.executable).with_name("kubectl")
        found = str(beside) if beside.exists() else shutil.which("kubectl")
        if found is None:
            pytest.skip("kubectl is not installed")
        self._path = found
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One command, whatever its exit code."""
        return subprocess.run(
            [self._path, *words],
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=120,
        )

    def __call__(self, *words: str, stdin: str = "") -> str:
        """The output of a command that must succeed."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> dict[str, Any]:
        """An object or list as data."""
        found: dict[str, Any] = json.loads(self("get", *words, "-o", "json"))
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects given as data."""
        self("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    def wait(self, what: str, condition: str, *words: str) -> None:
        """Wait for a condition; fails with the object's state."""
        self("wait", what, f"--for={condition}", "--timeout=60s", *words)


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulator")


@pytest.fixture(scope="session")
def simulator(directory: Path) -> Iterator[launcher.SimulatorProcess]:
    with launcher.start(directory, speed=SPEED, config_dir=CONFIG) as process:
        process.wait_ready()
        yield process


@pytest.fixture
def kubectl(simulator: launcher.SimulatorProcess) -> Kubectl:
    return Kubectl(simulator.kubeconfig)
