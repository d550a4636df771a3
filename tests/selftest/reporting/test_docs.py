"""Every command in the docs is executed by a test; those that are not say here why."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_modelrt.cli import SUBCOMMANDS, main
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.reporting.pages import RunPages
from tests.selftest.reporting.campaign import START, TROUBLES, Clockwork
from tests.selftest.reporting.conftest import CONFIG

ROOT = Path(__file__).parents[3]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(sh tested|bash run|sh|bash)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(pytest|modelrt|kubectl|scripts/|config/kind/|curl|export|eval) ?\S")
IN_ORDER = "sh tested"
"""Blocks that are run here as they stand, one command after the other."""
ELSEWHERE = "bash run"
"""Blocks of ``docs/kind.md`` that ``tests/selftest/maas`` runs as they stand."""
NOT_HERE = {
    "scripts/campaign": "installs into .venv, then `exec pytest`, which is what the first run does",
    "scripts/selftest": "runs this test",
    "config/kind/install.sh": "installs Kind, Istio, Kuadrant and KServe in a quarter of an hour; needs Docker",
    "pytest -m maas": "the tests of tests/maas, run by tests/selftest/maas on the embedded gateway",
    "export KUBECONFIG": "names a cluster of the reader's",
    "kubectl apply -k config/rbac": "tests/selftest/plugin/test_rbac.py applies these files and runs under the account",
    "kubectl auth can-i": "asks the reader's cluster; test_rbac.py asks the same of each verb",
    "kubectl create -f config/rbac/job.yaml": "a Job that clones and installs; test_rbac.py runs under its account",
    "kubectl logs -n modelrt": "of that Job",
    "modelrt sweep --run-id": "on a cluster of the reader's; tests/selftest/plugin/test_interruptions.py runs it",
    "modelrt sim up --scenario": "tests/selftest/scenarios meets every scenario; up and down are in docs/simulator.md",
    'eval "$(modelrt sim up --speed 20 --apiserver': "on a server of the reader's; controllers/test_other_server.py",
    "modelrt sim tree": "tests/selftest/scenarios writes these trees",
    "modelrt check [PATH]": "a synopsis; tests/selftest/manifests runs it with each option",
}
"""Beginning of a command -> why it is not run here."""


def commands(page: Path, *kinds: str) -> list[str]:
    """Of the blocks of these kinds, without comments, continued lines joined."""
    found = []
    for kind, text in BLOCK.findall(page.read_text()):
        if (kind or "sh") in kinds:
            lines = (re.sub(r"\s+#.*", "", line).strip() for line in text.replace("\\\n", " ").splitlines())
            found += [line for line in lines if COMMAND.match(line)]
    return found


LOOSE = sorted({command for page in DOCS for command in commands(page, "sh", "bash")})
SELECTIONS = [command for command in LOOSE if command.startswith("pytest ") and "maas" not in command]
VIEWS = [command for command in LOOSE if re.match(r"modelrt (watch|report|history|compare)", command)]


def test_every_command_is_run_or_says_why_not() -> None:
    rest = [command for command in LOOSE if command not in SELECTIONS and command not in VIEWS]
    assert [command for command in rest if not command.startswith(tuple(NOT_HERE))] == []
    assert [known for known in NOT_HERE if not any(command.startswith(known) for command in rest)] == []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a reader: this project's files, no cluster named, a state directory of its own."""
    for name in ("config", "tests", "pyproject.toml", "conftest.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MODELRT_", "PYTEST_"))}
    environment.pop("KUBECONFIG", None)
    yield environment | {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "MODELRT_REPORTS": "reports",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    if (tmp_path / "state").exists():
        down = [str(Path(sys.executable).with_name("modelrt")), "sim", "down"]
        subprocess.run(down, env=environment | {"XDG_STATE_HOME": str(tmp_path / "state")}, check=False)


def run_in_order(page: Path, directory: Path, environment: dict[str, str]) -> int:
    """Run a page's commands; what one says to export is exported for the next ones. Returns how many."""
    found = commands(page, IN_ORDER)
    for command in found:
        done = subprocess.run(
            command, shell=True, cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        environment |= dict(re.findall(r"^export (\w+)=(.*)$", done.stdout, re.MULTILINE))
    return len(found)


def test_the_first_run_goes_as_described(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    assert run_in_order(ROOT / "docs/first-run.md", tmp_path, elsewhere) == 5
    assert (tmp_path / "reports/index.html").exists()
    assert (tmp_path / "run.json").exists()


def test_the_simulated_cluster_is_used_as_described(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    assert run_in_order(ROOT / "docs/simulator.md", tmp_path, elsewhere) == 7


@pytest.mark.parametrize("command", SELECTIONS)
def test_selections_select(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Each command, but for running what it selects."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    pytester.path.joinpath("test_latency.py").write_text(python_of(ROOT / "docs/own-tests.md"))
    words = [f"--modelrt-config={CONFIG}" if word.startswith("--modelrt-config") else word
             for word in shlex.split(command)[1:] if not word.startswith("test_")]  # fmt: skip
    place = pytester.path if "test_latency.py" in command else ROOT / "tests" / "models"
    quiet = ["--collect-only", "-q", "-p", "no:cacheprovider", f"--modelrt-config={CONFIG}"]
    result = pytester.runpytest_inprocess(str(place), *words, *quiet)
    assert result.ret == pytest.ExitCode.OK
    assert any("test_" in line for line in result.outlines)


def python_of(page: Path) -> str:
    """The Python of a page."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("command", VIEWS)
def test_views_show_something(
    tmp_path: Path, plan: Plan, campaign: Campaign, capsysbinary: pytest.CaptureFixture[bytes], command: str
) -> None:
    case = next(case for case in plan.cases if "llama-3" in case.resource_name)
    for day, run_id in enumerate(("20260131-120000-a", "RUN-A", "RUN-B")):
        trouble = {case.id: TROUBLES[1]} if run_id == "RUN-B" else {}
        run = Clockwork(tmp_path, [case], trouble, run_id=run_id, started=START + timedelta(days=day))
        run.write()
        run.finish()
        RunPages(tmp_path, plan, campaign, run.directory).update()
    words = shlex.split(command)[1:]
    words = [str(tmp_path / word) if word.startswith("reports/") else word for word in words]
    status = main([*words, "--reports", str(tmp_path), *(["--config", str(CONFIG)] if words[0] == "report" else [])])
    assert status == (1 if words[0] == "compare" else 0)  # something new failed
    assert capsysbinary.readouterr().out or (tmp_path / "reports/junit.xml").exists()


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_links_and_commands_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
    for command in re.findall(r"^\s*modelrt (\w+)", text, re.MULTILINE):
        assert command in SUBCOMMANDS, f"{page.name}: modelrt {command}"
