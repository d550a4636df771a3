"""Campaigns on one simulated cluster whose processes are killed at random moments, and what is found afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_modelrt.plan.load import load_campaign
from pytest_modelrt.plan.model import Tier
from pytest_modelrt.simulator.nodes.ledger import Peak, peak_by_tier

from .pids import FOLDER

ROOT = Path(__file__).parents[2]
LIMITS = {"gpu1": 2, "gpu2": 1, "gpu4": 1, "gpu8": 1}
"""Tighter than shipped, so that a slot given away too early shows."""
SELECTION = (
    "SmolLM or Qwen3-0.6B or Qwen3-4B or Qwen3-8B or Qwen3-14B or Qwen3-32B or Qwen2.5-32B or Qwen2.5-72B or "
    "Llama-3.3-70B-Instruct or Mixtral-8x22B"
)
WORKERS = 5
KILLS_PER_CAMPAIGN = 3
EARLY = 0.2
"""Share of campaigns whose first kill may hit before any worker is there."""
LONGEST = 600.0
"""Real seconds after which a campaign counts as hanging."""


@dataclass(slots=True)
class Findings:
    """What went wrong; all zero is what must be seen."""

    kills: Counter[str] = field(default_factory=Counter)
    campaigns: int = 0
    hung: int = 0
    broken: list[str] = field(default_factory=list)
    """Campaigns that ended by themselves, not killed, and not as campaigns end."""
    not_swept: list[str] = field(default_factory=list)
    torn_lines: list[str] = field(default_factory=list)
    verdicts: int = 0
    peaks: dict[str, Peak] = field(default_factory=dict)
    exceeded: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.hung or self.broken or self.not_swept or self.torn_lines or self.exceeded)

    def lines(self) -> Iterator[str]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        yield f"{sum(self.kills.values())} kills ({kinds}) in {self.campaigns} campaigns, {self.verdicts} verdicts"
        yield f"campaigns that hung: {self.hung}; that broke by themselves: {len(self.broken)}"
        yield from self.broken
        yield f"limits exceeded, by the cluster's own ledger: {len(self.exceeded)}"
        yield from self.exceeded
        peaks = (f"{name} {peak.cases} of {LIMITS[name]}" for name, peak in self.peaks.items() if name in LIMITS)
        yield f"most cases at once: {', '.join(peaks)}"
        yield f"campaigns after which something was left behind modelrt sweep: {len(self.not_swept)}"
        yield from self.not_swept
        yield f"journal lines that are not whole: {len(self.torn_lines)}"
        yield from self.torn_lines


@dataclass(frozen=True, slots=True)
class Stress:
    """One simulated cluster and the places of its campaigns."""

    kubeconfig: Path
    folder: Path
    chance: random.Random
    selection: str = SELECTION

    def run(self, count: int, findings: Findings, tell: Callable[[str], None] = lambda line: None) -> None:
        """Campaigns until ``count`` processes were killed; ``findings`` is true after each of them."""
        while sum(findings.kills.values()) < count:
            findings.campaigns += 1
            self._campaign(f"kills-{findings.campaigns}", findings, count)
            self._look_at_the_ledger(findings)
            killed = sum(findings.kills.values())
            fine = "fine" if findings.fine else "NOT fine"
            tell(f"{killed} of {count} killed in {findings.campaigns} campaigns: {fine}")

    def _look_at_the_ledger(self, findings: Findings) -> None:
        tiers = [Tier(t.name, t.min_gpus, t.max_gpus, LIMITS[t.name]) for t in load_campaign(ROOT / "config").tiers]
        findings.peaks = peak_by_tier(self.kubeconfig.parent / "ledger.jsonl", tiers)
        most = {tier.name: (findings.peaks[tier.name].cases, tier.limit) for tier in tiers}
        findings.exceeded = [f"{name}: {cases} of {limit}" for name, (cases, limit) in most.items() if cases > limit]

    def _campaign(self, run_id: str, findings: Findings, count: int) -> None:
        pids = self.folder / run_id
        pids.mkdir(parents=True)
        command = [sys.executable, "-m", "pytest", "tests/models", "-p", "benchmarks.kills.pids",
                   "-p", "no:cacheprovider", "-q", "-n", str(WORKERS), "-k", self.selection,
                   f"--modelrt-kubeconfig={self.kubeconfig}",
                   f"--modelrt-reports={self.folder / 'reports'}", f"--modelrt-run-id={run_id}",
                   *(f"--modelrt-tier={name}={limit}" for name, limit in LIMITS.items())]  # fmt: skip
        log = (self.folder / f"{run_id}.log").open("wb")
        with (
            log,
            subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, FOLDER: str(pids)}, start_new_session=True
            ) as process,
        ):
            if self.chance.random() > EARLY:
                self._await_workers(process, pids)
            for _ in range(KILLS_PER_CAMPAIGN):
                self._pause(process)
                if process.poll() is not None or sum(findings.kills.values()) >= count:
                    break
                self._kill(pids, findings.kills)
            try:
                process.wait(LONGEST)
            except subprocess.TimeoutExpired:
                findings.hung += 1
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode > pytest.ExitCode.TESTS_FAILED:
            findings.broken.append(f"{run_id}: exit status {process.returncode}, {log.name}")
        self._await_orphans(pids)
        self._check(run_id, findings)

    def _await_workers(self, process: subprocess.Popen[bytes], pids: Path) -> None:
        while process.poll() is None and len(list(pids.glob("gw*.pid"))) < WORKERS:
            time.sleep(0.2)

    def _pause(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(self.chance.uniform(1.0, 8.0))
        except subprocess.TimeoutExpired:
            return

    def _kill(self, pids: Path, kills: Counter[str]) -> None:
        """A worker, several, the controller, or controller and workers at once."""
        known = {path.stem: pid for path in pids.glob("*.pid") if (pid := _pid(path)) is not None}
        controller = known.pop("controller", None)
        workers = self.chance.sample(sorted(known), self.chance.randint(1, min(3, len(known)))) if known else []
        kind = self.chance.choices(["worker", "controller", "both"], [6, 2, 2])[0]
        targets = [known[name] for name in workers] if kind != "controller" else []
        if kind != "worker" and controller is not None:
            targets.append(controller)
        for pid in targets:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            kills["controller" if pid == controller else "worker"] += 1
        for name in workers:
            (pids / f"{name}.pid").unlink(missing_ok=True)

    def _await_orphans(self, pids: Path) -> None:
        """Workers outlive their controller by some seconds; nothing may be swept before they are gone."""
        until = time.monotonic() + 60.0
        for path in pids.glob("*.pid"):
            while time.monotonic() < until and _lives(path):
                time.sleep(0.2)

    def _check(self, run_id: str, findings: Findings) -> None:
        sweep = [sys.executable, "-c", "import sys, pytest_modelrt.cli; sys.exit(pytest_modelrt.cli.main())", "sweep",
                 f"--run-id={run_id}", f"--kubeconfig={self.kubeconfig}"]  # fmt: skip
        done = subprocess.run(sweep, cwd=ROOT, capture_output=True, text=True, check=False)
        again = subprocess.run([*sweep, "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or "nothing of ours" not in again.stdout:
            findings.not_swept.append(f"{run_id}: {done.stdout}{done.stderr}{again.stdout}")
        for path in (self.folder / "reports" / "runs" / run_id).glob("events-*.jsonl"):
            for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
                try:
                    event = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    event = None
                if event is None:
                    findings.torn_lines.append(f"{path.name}:{number} of {run_id}")
                elif event["kind"] == "verdict":
                    findings.verdicts += 1


def _pid(path: Path) -> int | None:
    """What a process wrote; None when it has ended meanwhile and removed its file."""
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _lives(path: Path) -> bool:
    pid = _pid(path)
    try:
        os.kill(pid or 0, 0)
    except OSError:
        return False
    return pid is not None
