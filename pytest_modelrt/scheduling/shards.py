"""Splitting a campaign over CI jobs (``--modelrt-shard 2/5``). Pure and the same in every job."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.estimates import model_seconds
from pytest_modelrt.scheduling.limits import Limits


def parse_shard(text: str) -> tuple[int, int]:
    """``2/5`` as numbers.

    Raises:
        ValueError: not of that form, or not between 1 and the second number; the text says what is wanted.
    """
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    number, count = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"{text!r} is no shard: write NUMBER/COUNT with 1 <= NUMBER <= COUNT, for example 2/5")
    return number, count


def shard(
    cases: Iterable[Case],
    number: int,
    count: int,
    limits: Limits,
    seconds: Callable[[Case], float] = model_seconds,
) -> list[Case]:
    """The cases of shard ``number`` of ``count``, in their given order.

    The shards of one selection are disjoint and complete. A shard takes as long as its fullest tier, so every tier is
    spread on its own, longest case first to the shard that has least of it; the shard with the least GPU time
    wins a tie. The scarcest tiers go first.

    Args:
        cases: the selection, the same in every job.
        number: from 1.
        count: how many jobs there are.
        limits: for the tiers.
        seconds: expected duration; must give every job the same answer, so not from a job's own history.
    """
    chosen = list(cases)
    tiers: dict[str, list[Case]] = defaultdict(list)
    for case in chosen:
        tier = limits.tier_of(case.gpus)
        tiers[tier.name if tier else ""].append(case)
    slots = {tier.name: tier.limit for tier in limits.tiers}
    gpu_seconds = [0.0] * count
    mine: set[str] = set()
    for name in sorted(tiers, key=lambda name: (slots.get(name, 0), name)):
        load = [0.0] * count
        for case in sorted(tiers[name], key=lambda case: (-seconds(case), case.id)):
            place = min(range(count), key=lambda place: (load[place], gpu_seconds[place], place))
            load[place] += seconds(case)
            gpu_seconds[place] += seconds(case) * case.gpus
            if place == number - 1:
                mine.add(case.id)
    return [case for case in chosen if case.id in mine]
