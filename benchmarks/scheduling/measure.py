"""What a run is judged by, from the times its tests were really there."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.forecast import lower_bound
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits

from .stock import Stay


@dataclass(frozen=True)
class Result:
    """One run."""

    ratio: float
    """Makespan over the lower bound."""
    violated: float
    """Share of the makespan during which a tier or the GPU budget was exceeded."""
    peak_gpus: int
    gated: float
    """Share of all worker time spent in front of the gate."""
    avoidable: float
    """Share of all worker time idle or in front of the gate while cases that had not started would have fitted."""


def jobs_of(cases: Iterable[Case], seconds: Mapping[str, float]) -> list[Job]:
    """The cases as the scheduler sees them."""
    vendors: dict[str, int] = {}
    result = []
    for case in cases:
        group = vendors.setdefault(case.vendor, len(vendors))
        result.append(Job(case.id, (case.id,), case.gpus, seconds[case.id], case.id, case.phase, group, case.index))
    return result


def judge(stays: Sequence[Stay], cases: Sequence[Case], limits: Limits, workers: int) -> Result:
    """Judge a run by its own durations."""
    by_id = {case.id: case for case in cases}
    took = {stay.case: stay.end - stay.start for stay in stays}
    begin, end = min(stay.asked for stay in stays), max(stay.end for stay in stays)
    bound = lower_bound(jobs_of((by_id[stay.case] for stay in stays), took), limits, workers)
    violated, avoidable, peak = 0.0, 0.0, 0
    moments = sorted({begin, *(stay.start for stay in stays), *(stay.end for stay in stays)})
    for now, later in itertools.pairwise(moments):
        held = [by_id[stay.case].gpus for stay in stays if stay.start <= now < stay.end]
        waiting = [by_id[stay.case].gpus for stay in stays if stay.start > now]
        used = _per_tier(held, limits)
        exceeded = any(used.get(tier.name, 0) > tier.limit for tier in limits.tiers) or sum(held) > limits.gpu_budget
        violated += (later - now) * exceeded
        peak = max(peak, sum(held))
        avoidable += (later - now) * min(workers - len(held), _startable(waiting, used, held, limits))
    total = end - begin
    gated = sum(stay.start - stay.asked for stay in stays)
    return Result(total / bound, violated / total, peak, gated / (total * workers), avoidable / (total * workers))


def _per_tier(held: Iterable[int], limits: Limits) -> dict[str, int]:
    used: dict[str, int] = {}
    for gpus in held:
        tier = limits.tier_of(gpus)
        if tier is not None:
            used[tier.name] = used.get(tier.name, 0) + 1
    return used


def _startable(waiting: Iterable[int], used: Mapping[str, int], held: Sequence[int], limits: Limits) -> int:
    """How many of the waiting cases would fit beside what is held, all together."""
    count, gpus_held, taken = 0, sum(held), dict(used)
    for gpus in sorted(waiting):
        tier = limits.tier_of(gpus)
        if tier and taken.get(tier.name, 0) < tier.limit and gpus_held + gpus <= limits.gpu_budget:
            taken[tier.name] = taken.get(tier.name, 0) + 1
            gpus_held += gpus
            count += 1
    return count
