"""A few kills of what ``python -m benchmarks.kills`` does two hundred times."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.kills.stress import ROOT, Findings, Stress
from pytest_modelrt import launcher


def test_killed_processes_break_no_limit_and_leave_nothing(tmp_path: Path) -> None:
    findings = Findings()
    with launcher.start(tmp_path / "sim", speed=120.0, config_dir=ROOT / "config") as process:
        stress = Stress(process.wait_ready(), tmp_path / "runs", random.Random(7), "SmolLM or Qwen3-0.6B or Qwen3-32B")
        stress.run(3, findings)
    assert findings.fine, "\n".join(findings.lines())
    assert sum(findings.kills.values()) >= 3
