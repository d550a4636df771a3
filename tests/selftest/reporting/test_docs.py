"""Commands in the docs that are marked as tested do what the docs say, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelrt.cli import SUBCOMMANDS

ROOT = Path(__file__).parents[3]
DOCS = sorted((ROOT / "docs").glob("*.md"))


def test_the_first_run_goes_as_described(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh tested\n(.*?)^```", (ROOT / "docs/first-run.md").read_text(), re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]
    assert len(commands) == 5
    for name in ("config", "tests", "pyproject.toml", "conftest.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MODELRT_", "PYTEST_"))}
    environment.pop("KUBECONFIG", None)
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "MODELRT_REPORTS": "reports"}
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "reports/index.html").exists()
    assert (tmp_path / "run.json").exists()


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_links_and_commands_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
    for command in re.findall(r"^\s*modelrt (\w+)", text, re.MULTILINE):
        assert command in SUBCOMMANDS, f"{page.name}: modelrt {command}"
