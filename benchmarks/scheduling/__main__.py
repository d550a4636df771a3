"""``python -m benchmarks.scheduling``: tables on standard output."""

from __future__ import annotations

import argparse

from . import live, simulated, workloads


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduling", description=__doc__)
    parser.add_argument("--seeds", type=int, default=30, help="simulated runs per cell")
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 19])
    parser.add_argument("--live", nargs="*", metavar="WORKLOAD", help="also run real workers (default: all workloads)")
    parser.add_argument("--policies", nargs="+", choices=live.POLICIES, default=live.POLICIES, help="of the real runs")
    parser.add_argument("--seed", type=int, default=1, help="of the real runs")
    parser.add_argument("--scale", type=float, default=40.0, help="real milliseconds per campaign minute")
    options = parser.parse_args()
    plan, campaign = workloads.load()
    if options.seeds:
        print(f"Makespan / lower bound in virtual time, {options.seeds} seeds: median / 90 % / worst\n")
        print(simulated.table(plan, campaign, options.seeds, options.workers))
    if options.live is not None:
        names = options.live or workloads.NAMES
        print(f"\nReal workers, 1 campaign minute = {options.scale:g} ms, seed {options.seed}\n")
        for line in live.table(plan, campaign, names, options.workers, options.seed, options.scale, options.policies):
            print(line, flush=True)


if __name__ == "__main__":
    main()
