"""``python -m benchmarks.limits``: the tests of limits again and again; exit status 1 when one did not pass."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pytest_modelrt import launcher

from .repeat import ROOT, Round, deploy, run_once


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="repetitions (20)")
    parser.add_argument("--workers", type=int, default=2, help="xdist workers of each (2)")
    parser.add_argument("--speed", type=float, default=60.0, help="cluster seconds per second (60)")
    parser.add_argument("--kubeconfig", type=Path, help="of a cluster with config/kind; else an own one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelrt-limits-") as name:
        folder = Path(name)
        if options.kubeconfig is not None:
            return _repeat(options.kubeconfig.resolve(), folder, options)
        with launcher.start(folder / "sim", speed=options.speed, config_dir=ROOT / "config", nodes=2) as process:
            kubeconfig = process.wait_ready()
            deploy(kubeconfig)
            return _repeat(kubeconfig, folder, options)


def _repeat(kubeconfig: Path, folder: Path, options: argparse.Namespace) -> int:
    rounds: list[Round] = []
    for number in range(1, options.times + 1):
        rounds.append(run_once(kubeconfig, folder / f"reports-{number}", options.workers))
        print(f"{number:3}: {rounds[-1]}", flush=True)
    bad = sum(len(each.bad) for each in rounds)
    tests, bursts, needed = (sum(getattr(each, name) for each in rounds) for name in ("tests", "bursts", "needed"))
    print(f"{len(rounds)} repetitions, {tests} tests, {bad} did not pass; {bursts} bursts where {needed} were needed")
    return 1 if bad or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
