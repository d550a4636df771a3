"""``python -m benchmarks.handover``: 1-GPU models with as many slots as workers, on a simulated cluster.

So every worker that ends a case has a next one waiting for it. The run shares its limits by leases and downloads
ahead, as on a real cluster. Real milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from pytest_modelrt import launcher
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run

from .plugin import RESULT

ROOT = Path(__file__).parents[2]


def run(kubeconfig: Path, folder: Path, options: argparse.Namespace) -> tuple[list[float], dict[str, float]]:
    """One campaign: the waits between two cases of a worker, and the controller's cost per test by thread."""
    result = folder / "cost.json"
    environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    command = [sys.executable, "-m", "pytest", "tests/models", "-q", "-p", "no:cacheprovider",
               "-p", "benchmarks.handover.plugin", "-m", "gpu1 and not gated", f"-n{options.workers}",
               f"--modelrt-tier=gpu1={options.workers}", f"--modelrt-kubeconfig={kubeconfig}",
               f"--modelrt-reports={folder / 'reports'}", *options.arguments]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**environment, RESULT: str(result)}, capture_output=True, text=True, check=False
    )
    if not result.is_file():
        sys.exit(done.stdout + done.stderr)
    print(next((line for line in reversed(done.stdout.splitlines()) if " passed" in line), done.stdout[-2000:]))
    return waits(folder / "reports"), json.loads(result.read_text(encoding="utf-8"))["milliseconds"]


def waits(reports: Path) -> list[float]:
    """Milliseconds from each verdict to the begin of its worker's next case."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for trace in read_run(find_run(reports)).traces:
        if trace.verdict is not None and trace.worker:
            spans.setdefault(trace.worker, []).append((_at(trace.verdict.started), _at(trace.verdict.finished)))
    return [1000 * (begin - end) for worker in spans.values() for (_, end), (begin, _) in pairwise(sorted(worker))]


def _at(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handover", description=__doc__)
    parser.add_argument("--workers", type=int, default=19)
    parser.add_argument("--speed", type=float, default=60.0, help="cluster seconds per second (60)")
    parser.add_argument("arguments", nargs="*", help="after --: more for pytest, such as --modelrt-leases=off")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelrt-handover-") as name:
        folder = Path(name)
        with launcher.start(folder / "sim", speed=options.speed, config_dir=ROOT / "config") as process:
            found, cost = run(process.wait_ready(), folder, options)
    if found:
        ninety = sorted(found)[int(0.9 * len(found))]
        print(f"hand-over: median {median(found):.0f} ms, 90 % {ninety:.0f} ms, over {len(found)}")
    print(f"controller, per test: {sum(cost.values()):.1f} ms of processor time")
    for thread, milliseconds in sorted(cost.items(), key=lambda item: -item[1]):
        if milliseconds >= 0.05:
            print(f"  {milliseconds:5.1f} ms {thread}")


if __name__ == "__main__":
    main()
