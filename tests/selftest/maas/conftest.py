"""What the self-tests of the KServe stack start from: a simulated cluster with nothing of ours on it, and kubectl."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelrt import launcher

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config"
SPEED = 30.0
Run = Callable[..., subprocess.CompletedProcess[str]]


def tool_path() -> str:
    """The PATH with this environment's own commands first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@pytest.fixture(scope="session")
def kubectl_binary() -> str:
    found = shutil.which("kubectl", path=tool_path())
    if found is None:
        pytest.skip("no kubectl; it comes with the extra 'dev'")
    return found


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Kubeconfig of a simulated cluster with KServe, the gateway and the policies' operators."""
    with launcher.start(tmp_path_factory.mktemp("sim"), speed=SPEED, config_dir=CONFIG, nodes=2) as process:
        yield process.wait_ready()


@pytest.fixture
def kubectl(kubectl_binary: str, simulator: Path) -> Run:
    """Run kubectl on that cluster."""

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {"KUBECONFIG": str(simulator), "PATH": tool_path(), "HOME": str(simulator.parent)}
        done = subprocess.run(
            [kubectl_binary, *arguments], env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done

    return run
