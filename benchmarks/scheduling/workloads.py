"""Campaigns to schedule: the plan's 157 cases with durations drawn like those a real campaign saw.

The figures are those of the duration model in the docs: cached or cold downloads, stuck ones that end at a deadline,
start-ups by parameters, a fixed part. Seconds of cluster time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Campaign, Case, Plan
from pytest_modelrt.scheduling.estimates import estimate

CONFIG = Path(__file__).parents[2] / "config"
CACHED, STUCK = 0.15, 0.17
STUCK_SECONDS = (600.0, 1200.0, 1800.0, 3600.0)
HISTORY_NOISE = 0.3
"""Spread (of the logarithm) between what a case took last time and what it takes this time."""


@dataclass(frozen=True)
class Workload:
    """Cases, what they take, and what the scheduler believes they take."""

    name: str
    cases: tuple[Case, ...]
    campaign: Campaign
    actual: dict[str, float]
    history: dict[str, float]
    """Estimates from a noisy history."""
    model: dict[str, float]
    """Estimates of a first run, without history."""


def load() -> tuple[Plan, Campaign]:
    return load_plan(CONFIG), load_campaign(CONFIG)


def workload(name: str, seed: int, plan: Plan, campaign: Campaign) -> Workload:
    """``full``, ``noxxl`` (without the tier that runs one at a time) or ``warm`` (weights on the nodes)."""
    rng = random.Random(f"{seed} durations")
    noise = random.Random(f"{seed} history")
    actual = {case.id: _seconds(case, rng, warm=name == "warm") for case in plan.cases}
    history = {case_id: value * math.exp(noise.gauss(0, HISTORY_NOISE)) for case_id, value in actual.items()}
    cases = tuple(case for case in plan.cases if _SELECT[name](case))
    return Workload(name, cases, campaign, actual, history, estimate(plan.cases, campaign))


_SELECT: dict[str, Callable[[Case], bool]] = {
    "full": lambda case: True,
    "noxxl": lambda case: case.gpus < 8,
    "warm": lambda case: True,
}
NAMES = tuple(_SELECT)


def _seconds(case: Case, rng: random.Random, warm: bool) -> float:
    gigabytes, billions = max(case.weights_bytes / 1e9, 0.1), max(case.parameters / 1e9, 0.1)
    kind, size, start = rng.random(), rng.gauss(0, 1), rng.gauss(0, 1)
    if warm or kind < CACHED:
        download = math.exp(rng.uniform(0, math.log(16)))
    elif kind < CACHED + STUCK:
        download = rng.choice(STUCK_SECONDS)
    else:
        cold = math.exp(5.2 + 0.2 * math.log(gigabytes) + 1.4 * size)
        download = max(min(cold, 3600.0), gigabytes / 1.75)
    startup = min(max(math.exp(3.9 + 0.27 * math.log(billions) + 0.7 * start), 10.0), case.serving.startup_seconds)
    several_nodes = rng.uniform(200, 600) * (case.serving.nodes - 1)
    return download + startup + several_nodes + rng.uniform(60, 180)
