"""``python -m benchmarks.causes.campaign``: the recorded campaign again at ``-n 10``, every row and what was wasted."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pytest_modelrt.journal.model import Outcome, Stage, Verdict
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.simulator.nodes.ledger import FILE as LEDGER
from pytest_modelrt.simulator.scenario.cluster import Expectation

from .attempts import Attempt, attempt
from .trials import CONFIG, Cluster, Trial

SCENARIO = CONFIG / "scenarios" / "campaign-2025-12.yaml"
ROWS = Path(__file__).with_name("campaign-2025-12.yaml")
RECORDED_WASTE = 386
"""Minutes the record spent on downloads that showed no movement, on the rows played here; 560 with five models that
are not in the plan (174)."""
_HEAD = ("model", "recorded", "given", "outcome", "minutes", "as expected")
_NO_VERDICT = (Outcome.ERROR, Outcome.SKIPPED, Outcome.NOT_RUN)


def main() -> int:
    """Run and print; 1 when a row is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.causes.campaign", description=__doc__)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="folder for the run directory and the ledger")
    parser.add_argument("--later", action="store_true", help="the rows that were tried days later, too")
    words = parser.parse_args()
    rows = [row for row in yaml.safe_load(ROWS.read_text(encoding="utf-8")) if words.later or not row.get("later")]
    cases = {case.resource_name: case for case in load_plan(CONFIG).cases}
    trials = [
        Trial(row["recorded"], cases[row["model"]], Expectation(row.get("cause"), row["outcome"])) for row in rows
    ]
    document = yaml.safe_load(SCENARIO.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="modelrt-campaign-") as name:
        keep = words.keep or Path(name)
        cluster = Cluster(document, trials, words.speed, edits=SCENARIO, nodes=14, limit=1200.0, keep=keep)
        attempts = attempt(cluster, words.workers)
        held = gpu_minutes(keep / LEDGER)
    print("\n".join(f"| {' | '.join(row)} |" for row in (_HEAD, ["---"] * len(_HEAD), *map(_row, attempts))))
    for one in attempts:
        if not one.right and one.verdict is not None:
            print(
                f"\n{one.trial.case.resource_name}: {one.verdict.stage}: {one.verdict.summary}",
                *one.verdict.evidence,
                sep="\n",
            )
    print(f"\n{sum(one.right for one in attempts)} of {len(attempts)} rows as expected")
    waste = sum(map(_waste, attempts))
    print(f"waited without verdict value: {waste:.0f} minutes, recorded on the same rows: {RECORDED_WASTE}")
    hopeless = sum(held.get(one.trial.case.resource_name, 0.0) for one in attempts if _hopeless(one.verdict))
    print(f"GPU-minutes held by hopeless pods: {hopeless:.0f} of {sum(held.values()):.0f}")
    if not any(one.verdict for one in attempts):
        print(attempts[0].output[-4000:])
    return 0 if all(one.right for one in attempts) else 1


def gpu_minutes(ledger: Path) -> Mapping[str, float]:
    """Cluster minutes times GPUs each namespace held, by the nodes' own account."""
    total: dict[str, float] = defaultdict(float)
    open_: dict[str, dict[str, Any]] = {}
    for line in ledger.read_text(encoding="utf-8").splitlines() if ledger.is_file() else ():
        entry = json.loads(line)
        if entry["action"] == "bind":
            open_[entry["pod"]] = entry
        elif entry["pod"] in open_:
            begun = open_.pop(entry["pod"])
            total[entry["namespace"]] += begun["gpus"] * (entry["cluster_seconds"] - begun["cluster_seconds"]) / 60
    return total


def _waste(one: Attempt) -> float:
    """Minutes a download was waited for that said nothing about the model: no verdict, or the files were there."""
    verdict = one.verdict
    if verdict is None:
        return 0.0
    stale = any(text.startswith("download-status-stale") for text in verdict.warnings)
    in_vain = verdict.outcome in _NO_VERDICT and verdict.stage is Stage.MODEL
    return verdict.stages.get(str(Stage.MODEL), 0.0) / 60 if stale or in_vain else 0.0


def _hopeless(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.outcome is not Outcome.PASSED and verdict.stage is Stage.SERVICE


def _row(one: Attempt) -> tuple[str, ...]:
    verdict, expect = one.verdict, one.trial.expect
    given = verdict.cause or "-" if verdict else "no verdict"
    minutes = f"{sum(verdict.stages.values()) / 60:.0f}" if verdict else ""
    mark = "yes" if one.right else f"no: {expect.cause or '-'}, {expect.outcome}"
    outcome = verdict.outcome.value if verdict else ""
    return (one.trial.case.resource_name, one.trial.scenario, given, outcome, minutes, mark)


if __name__ == "__main__":
    sys.exit(main())
