"""The commands of ``docs/kind.md`` run as they stand on the embedded cluster."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.selftest.maas.conftest import ROOT, tool_path

PAGE = ROOT / "docs" / "kind.md"
_BLOCK = re.compile(r"^```bash run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPECTED = re.compile(r"# => (\d{3})$", re.MULTILINE)


def test_every_command_of_the_page_works_and_answers_what_it_says(kubectl_binary: str, tmp_path: Path) -> None:
    del kubectl_binary
    script = "\n".join(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    expected = _EXPECTED.findall(script)
    assert expected, "the page names no status"
    environment = {
        "PATH": tool_path(),
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        subprocess.run(["modelrt", "sim", "down"], env=environment, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert [line for line in done.stdout.splitlines() if re.fullmatch(r"\d{3}", line)] == expected
    assert '"object":"chat.completion"' in done.stdout.replace(" ", "")
