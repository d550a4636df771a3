"""Part (b): real pytest-xdist runs, one after the other; tests wait as long as their case would take, scaled down."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.scheduling.limits import Limits

from .measure import judge
from .stock import KINDS, Stay
from .workloads import Workload, workload

REPOSITORY = Path(__file__).parents[2]
POLICIES = ("ours", *KINDS)
HEAD = (
    "workload",
    "-n",
    "policy",
    "makespan / bound",
    "limits exceeded",
    "peak GPUs",
    "avoidable idle",
    "in gate",
    "hand-over ms, median",
    "controller ms per test",
    "passed",
)


@dataclass(frozen=True)
class Outcome:
    """What a real run left behind."""

    stays: list[Stay]
    handover: float
    """Median real milliseconds between the end of a test on a worker and the start of its next one."""
    controller: float
    """CPU milliseconds of the controller per test, xdist's own share included."""


def run(policy: str, load: Workload, workers: int, scale: float) -> Outcome:
    """One real run. ``scale``: real milliseconds per campaign minute."""
    with tempfile.TemporaryDirectory(prefix="modelrt-benchmark-") as name:
        folder = Path(name)
        settings = {
            "folder": name,
            "policy": policy,
            "seconds": {case.id: load.actual[case.id] / 60 * scale / 1000 for case in load.cases},
            "estimates": load.history,
        }
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    xdist_group\n", encoding="utf-8")
        (folder / "test_models.py").write_text("def test_model(case_id, stay): stay()\n", encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MODELRT_BENCHMARK": str(folder / "settings.json")}
        dist = [] if policy == "ours" else ["--dist", policy]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:modelrt", "-p", "no:cacheprovider"]
        command += ["-p", "benchmarks.scheduling.live_plugin", "-n", str(workers), *dist]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(
                f"{policy}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-500:]}"
            )
        return _outcome(folder)


def _outcome(folder: Path) -> Outcome:
    records: list[dict[str, Any]] = []
    for file in folder.glob("stays-*.jsonl"):
        records += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    workers = {name: number for number, name in enumerate(sorted({record["worker"] for record in records}))}
    stays = [Stay(r["case"], workers[r["worker"]], r["asked"], r["start"], r["end"]) for r in records]
    stays.sort(key=lambda stay: (stay.worker, stay.asked))
    gaps = [b.asked - a.end for a, b in itertools.pairwise(stays) if a.worker == b.worker]
    cpu = json.loads((folder / "controller.json").read_text(encoding="utf-8"))["seconds"]
    return Outcome(stays, median(gaps) * 1000 if gaps else 0.0, cpu / len(stays) * 1000)


def table(
    plan: Plan,
    campaign: Campaign,
    names: Iterable[str],
    workers: Sequence[int],
    seed: int,
    scale: float,
    policies: Sequence[str] = POLICIES,
) -> Iterator[str]:
    """Markdown lines, each as soon as its run is over."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    limits = Limits.of(campaign)
    for name in names:
        load = workload(name, seed, plan, campaign)
        for count in workers:
            for policy in policies:
                outcome = run(policy, load, count, scale)
                judged = judge(outcome.stays, load.cases, limits, count)
                cells = [
                    name,
                    str(count),
                    policy if policy == "ours" else f"xdist {policy} + gate",
                    f"{judged.ratio:.3f}",
                    f"{judged.violated:.1%}",
                    str(judged.peak_gpus),
                    f"{judged.avoidable:.1%}",
                    f"{judged.gated:.1%}",
                    f"{outcome.handover:.1f}",
                    f"{outcome.controller:.1f}",
                    str(len(outcome.stays)),
                ]
                yield "| " + " | ".join(cells) + " |"
