"""``config/kind/install.sh`` with tools that answer as a finished, an empty or an old machine would."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.selftest.maas.conftest import CONFIG

SCRIPT = CONFIG / "kind" / "install.sh"
STEPS = ["tools", "cluster", "gateway-api", "cert-manager", "istio", "kuadrant", "kserve", "maas-api", "overlay"]
FINISHED = {
    "kubectl": """case "$*" in
      *version*) echo '{"clientVersion": {"gitVersion": "v1.32.0"}}' ;;
      *nodePort*) echo 30080 ;;
      *containers*) echo main ;;
    esac""",
    "kind": 'case "$*" in *version*) echo 0.30.0 ;; *clusters*) echo maas-local ;; esac',
    "helm": "echo v3.15.0",
    "istioctl": "echo 1.27.1",
    "git": "echo git version 2.40.0",
    "docker": 'case "$*" in *crictl*) echo "localhost/maas-api  dev"; '
    'echo "ghcr.io/llm-d/llm-d-inference-sim  v0.5.1" ;; esac',
}
"""Tool -> what it says on a machine where everything is there."""
UTILITIES = ("bash", "dirname", "grep", "head", "mktemp", "rm", "sed", "sh", "sort", "tail", "tr")


def _machine(folder: Path, tools: dict[str, str]) -> dict[str, str]:
    """An environment with these tools only, each of which writes down how it was called."""
    folder.mkdir()
    for name, body in tools.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    for name in UTILITIES:
        found = shutil.which(name)
        assert found is not None, f"no {name} on this machine"
        (folder / name).symlink_to(found)
    return {"PATH": str(folder), "HOME": str(folder), "ENGINE": "docker"}


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which("bash")), str(SCRIPT), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_on_a_finished_machine_nothing_is_done(tmp_path: Path) -> None:
    environment = _machine(tmp_path / "bin", FINISHED)
    done = _run(environment)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" there")] == STEPS[1:]
    calls = (tmp_path / "bin" / "calls").read_text()
    assert not [word for word in ("apply", "create", "upgrade", "install", "build") if f" {word}" in calls]


def test_check_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    without_kserve = {**FINISHED, "kubectl": FINISHED["kubectl"].replace("echo main", "echo kserve-container")}
    done = _run(_machine(tmp_path / "bin", without_kserve), "check")
    assert done.returncode == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(lines) == STEPS
    assert [step for step, line in lines.items() if "missing" in line] == ["kserve"]
    assert lines["kserve"].endswith("install.sh kserve")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "echo 0.20.0"}, "kind is 0.20.0, at least 0.27.0 is needed"),
        ({"helm": None}, "helm is not on the PATH"),
    ],
    ids=["too-old", "absent"],
)
def test_a_tool_that_will_not_do_is_named_with_its_source(
    tmp_path: Path, change: dict[str, str | None], words: str
) -> None:
    tools = {name: body for name, body in {**FINISHED, **change}.items() if body is not None}
    done = _run(_machine(tmp_path / "bin", tools))
    assert done.returncode == 1
    assert words in done.stderr
    assert "https://" in done.stderr


def test_an_unknown_step_is_refused_with_those_there_are(tmp_path: Path) -> None:
    done = _run(_machine(tmp_path / "bin", FINISHED), "nonsense")
    assert done.returncode == 1
    assert "no such step; there are: tools cluster" in done.stderr


def test_one_step_does_its_own_work_only(tmp_path: Path) -> None:
    tools = {**FINISHED, "kind": 'case "$*" in *version*) echo 0.30.0 ;; esac'}
    done = _run(_machine(tmp_path / "bin", tools), "cluster")
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "bin" / "calls").read_text()
    assert "kind create cluster --name maas-local --image kindest/node:" in calls
    assert "helm" not in calls
