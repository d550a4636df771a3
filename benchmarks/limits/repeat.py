"""One repetition of the tests of limits in a process of its own, and what its results say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILES = ("tests/maas/test_request_limits.py", "tests/maas/test_token_limits.py")


@dataclass(frozen=True, slots=True)
class Round:
    """What one repetition found."""

    tests: int
    bad: tuple[str, ...]
    """Tests that did not pass, with their words."""
    bursts: int
    """Bursts of the tests that count them, repeated ones included."""
    needed: int
    """Bursts that would have been enough."""
    seconds: float

    def __str__(self) -> str:
        said = f"{self.tests} tests in {self.seconds:.0f} s, {self.bursts - self.needed} bursts repeated"
        load = f"load {os.getloadavg()[0]:.1f}"
        return "\n     ".join([f"{said}, {load}", *self.bad])


def deploy(kubeconfig: Path) -> None:
    """Create the overlay once, so that no repetition has to."""
    command = ["kubectl", "apply", "-k", str(ROOT / "config" / "kind")]
    subprocess.run(command, env=_environment(kubeconfig), stdout=subprocess.DEVNULL, check=True)


def run_once(kubeconfig: Path, reports: Path, workers: int) -> Round:
    """One repetition; its pages go to ``reports``."""
    words = [f"-n{workers}", "-q", "-p", "no:cacheprovider", f"--modelrt-reports={reports}"]
    command = [sys.executable, "-m", "pytest", "-m", "maas", *FILES, *words]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=_environment(kubeconfig), capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    found = _findings(reports / "results.jsonl")
    bad = [f"{test['test']}: {test['text']}" for test in found if test["outcome"] in ("failed", "error")]
    if done.returncode and not bad:
        bad = [f"exit status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"]
    counted = [test["facts"]["limit"]["bursts"] for test in found if "limit" in test["facts"]]
    return Round(len(found), tuple(bad), sum(counted), len(counted), seconds)


def _findings(results: Path) -> list[dict[str, Any]]:
    """What each test found; empty when the run did not come to an end."""
    lines = results.read_text(encoding="utf-8").splitlines()[1:] if results.is_file() else []
    return [test for line in lines for test in json.loads(line)["verdict"]["facts"]["tests"]]


def _environment(kubeconfig: Path) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MODELRT", "PYTEST"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**inherited, "PATH": path, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(kubeconfig.parent / "cache")}
