"""``python -m benchmarks.scheduling.ahead``: the whole plan on a simulated cluster with and without downloads ahead.

Both campaigns run at the same time, each on a cluster of its own with the same seed, so that a busy machine is busy for
both. Cluster minutes; the bound is what any order needs with the durations the cases really had, had nobody waited for
a download.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pytest_modelrt.journal.reader import read_run

ROOT = Path(__file__).parents[2]
SCENARIO = "downloads: {downloads}\nstartups: recorded\n"
RUNS = {"without": ("--modelrt-prefetch=0",), "on all nodes": ("--modelrt-download-nodes=0",), "placed": ()}


@dataclass(frozen=True, slots=True)
class Measured:
    """One campaign; cluster seconds."""

    makespan: float
    hidden_bound: float
    predicted: float
    waited: float
    hidden: float
    outcomes: str

    @classmethod
    def of(cls, reports: Path) -> Measured:
        """Read its journal."""
        run_dir = next((reports / "runs").iterdir())
        events = [json.loads(line) for line in (run_dir / "events-main.jsonl").read_text().splitlines()]
        told = [event.get("data") or {} for event in events]
        makespan = next(data for data in told if data.get("what") == "makespan")
        ahead = [data for data in told if data.get("what") == "download-ahead"]
        verdicts = Counter(verdict.outcome.value for verdict in read_run(run_dir).verdicts.values())
        return cls(
            makespan["actual"],
            makespan["bound_downloads_hidden"],
            makespan["predicted"],
            sum(data["waited"] for data in ahead),
            sum(data["hidden"] for data in ahead),
            ", ".join(f"{count} {outcome}" for outcome, count in verdicts.most_common()),
        )


def start(name: str, folder: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Begin one campaign."""
    place = folder / name.replace(" ", "-")
    place.mkdir()
    scenario = place / "scenario.yaml"
    scenario.write_text(SCENARIO.format(downloads=options.downloads))
    command = [sys.executable, "-m", "pytest", "tests/models", "-q", "-n", str(options.workers),
               "-p", "no:cacheprovider", f"--modelrt-scenario={scenario}", f"--modelrt-speed={options.speed:g}",
               f"--modelrt-seed={options.seed}", f"--modelrt-reports={place / 'reports'}", *RUNS[name]]  # fmt: skip
    if options.select:
        command += ["-k", options.select]
    environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    with (place / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduling.ahead", description=__doc__)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated clusters")
    parser.add_argument("--speed", type=float, default=25.0, help="cluster seconds per second")
    parser.add_argument("--downloads", default="calm", choices=["calm", "crowded", "sunny"])
    parser.add_argument("--select", help="as -k of pytest; the whole plan when left out")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=["without", "placed"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelrt-ahead-") as name:
        folder = Path(name)
        processes = {run: start(run, folder, options) for run in options.runs}
        found: dict[str, Measured] = {}
        for run, process in processes.items():
            process.wait()
            try:
                found[run] = Measured.of(folder / run.replace(" ", "-") / "reports")
            except (StopIteration, FileNotFoundError):
                sys.exit((folder / run.replace(" ", "-") / "log").read_text())
    print("| downloads ahead | makespan | of the run without | downloads hidden | predicted | waited / hidden | |")
    print("|---|---|---|---|---|---|---|")
    for run, measured in found.items():
        base = found["without"].makespan if "without" in found else measured.makespan
        print(
            f"| {run} | {measured.makespan / 60:.0f} | {measured.makespan / base:.2f} "
            f"| {measured.hidden_bound / 60:.0f} | {measured.predicted / 60:.0f} "
            f"| {measured.waited / 60:.0f} / {measured.hidden / 60:.0f} | {measured.outcomes} |"
        )


if __name__ == "__main__":
    main()
