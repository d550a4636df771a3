"""Part (a): every policy in virtual time, over many seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.scheduling.forecast import forecast
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.order import Order

from .measure import Result, jobs_of, judge
from .stock import KINDS, Stay, World
from .workloads import NAMES, Workload, workload

OURS = {
    "ours, fast": (Order.FAST, "history"),
    "ours, fast, exact times": (Order.FAST, "actual"),
    "ours, fast, no history": (Order.FAST, "model"),
    "ours, plan": (Order.PLAN, "history"),
    "ours, strict phases": (Order.STRICT, "history"),
}


def play(policy: str, load: Workload, workers: int, seed: int) -> Result:
    """One run of one policy."""
    limits = Limits.of(load.campaign)
    if policy in OURS:
        order, source = OURS[policy]
        jobs = jobs_of(load.cases, getattr(load, source))
        plan = forecast(jobs, limits, workers, order, lambda job: load.actual[job.key])
        stays = [Stay(span.job.key, span.worker, span.start, span.start, span.end) for span in plan.spans]
    else:
        kind = policy.removeprefix("xdist ").removesuffix(" + gate")
        stays = World(kind, load.cases, limits, workers, load.actual, seed).run()
    return judge(stays, load.cases, limits, workers)


def table(plan: Plan, campaign: Campaign, seeds: int, workers: Sequence[int]) -> str:
    """Markdown: median and worst ratio per workload and number of workers, and the worst of everything else."""
    columns = [(name, count) for name in NAMES for count in workers]
    head = [
        "policy",
        *(f"{name} -n {count}" for name, count in columns),
        "limits exceeded",
        "avoidable idle",
        "in gate",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for policy in [*OURS, *(f"xdist {kind} + gate" for kind in KINDS)]:
        cells, results = [], list[Result]()
        for name, count in columns:
            runs = [play(policy, workload(name, seed, plan, campaign), count, seed) for seed in range(seeds)]
            ratios = sorted(run.ratio for run in runs)
            cells.append(f"{median(ratios):.3f} / {ratios[int(0.9 * len(ratios))]:.3f} / {ratios[-1]:.3f}")
            results += runs
        cells.append(f"{max(run.violated for run in results):.1%}")
        cells.append(f"{max(run.avoidable for run in results):.1%}")
        cells.append(f"{max(run.gated for run in results):.1%}")
        lines.append("| " + " | ".join([policy, *cells]) + " |")
    return "\n".join(lines)
