"""What ``python -m benchmarks.handover`` measures, on a few models."""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks.handover.__main__ import ROOT


def test_it_measures_waits_and_cost() -> None:
    command = [sys.executable, "-m", "benchmarks.handover", "--workers=2", "--speed=120", "--", "-k", "SmolLM"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert re.search(r"^hand-over: median \d+ ms, 90 % \d+ ms, over 1$", done.stdout, re.M), done.stdout
    assert {"loop", "modelrt-leases", "modelrt-prefetch"} <= set(re.findall(r"\d ms (\S+)$", done.stdout, re.M))
