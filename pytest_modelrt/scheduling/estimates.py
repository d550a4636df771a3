"""How long a case will take: history first, else a duration model fitted to a real campaign. Pure.

The model (cluster seconds; G published gigabytes, B billions of parameters), from 71 downloads and 89 start-ups of a
campaign on 14 nodes with 8 GPUs each: download ``exp(4.89 + 0.18 ln G)``, start-up ``exp(3.90 + 0.27 ln B)``, both
medians. A campaign pays for means, so the start-up is multiplied by ``STARTUP_SPREAD``. The downloads have no telling
mean: in the half of the record in which the hub was crowded they took on average two and a half times the median over
all, in the other half a third of it; the median lies in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean

from pytest_modelrt.plan.model import Campaign, Case
from pytest_modelrt.scheduling.limits import Limits

STARTUP_SPREAD = 1.25
"""Mean over median."""
DOWNLOAD_CAP = 3600.0
FIXED_SECONDS = 150.0
"""Pod scheduling, first answers, and the removal of service, namespace, runtime and model."""
SECONDS_PER_EXTRA_NODE = 240.0
"""What every further node of a multi-node replica adds to the start."""


def download_seconds(case: Case) -> float:
    """Expected time until the weights are on the nodes."""
    gigabytes = max(case.weights_bytes / 1e9, 0.1)
    median = math.exp(4.89 + 0.18 * math.log(gigabytes))
    floor = gigabytes / 1.75
    return max(min(median, DOWNLOAD_CAP), floor)


def startup_seconds(case: Case) -> float:
    """Expected time from the pod's start to a ready service."""
    billions = max(case.parameters / 1e9, 0.1)
    usual = math.exp(3.90 + 0.27 * math.log(billions)) * STARTUP_SPREAD
    return usual + SECONDS_PER_EXTRA_NODE * (case.serving.nodes - 1)


def model_seconds(case: Case, *, ahead: bool = False) -> float:
    """Expected duration of a whole case without history; ``ahead``: its download is not waited for."""
    return (0.0 if ahead else download_seconds(case)) + startup_seconds(case) + FIXED_SECONDS


def estimate(
    cases: Iterable[Case], campaign: Campaign, history: Mapping[str, float] | None = None, *, ahead: bool = False
) -> dict[str, float]:
    """Expected cluster seconds of each case.

    A case with history takes what it took; one without takes what the model says, corrected by how far the model was
    off for the cases of its tier that do have history.

    Args:
        cases: the cases of interest.
        campaign: for the tiers.
        history: case id -> cluster seconds of earlier runs with the same inputs; values that are not positive are
            ignored. Without the download when ``ahead``.
        ahead: downloads pass while other cases run, and are not counted.
    """
    known = {case_id: seconds for case_id, seconds in (history or {}).items() if seconds > 0}
    limits = Limits.of(campaign)
    chosen = list(cases)
    modelled = {case.id: model_seconds(case, ahead=ahead) for case in chosen}
    ratios: dict[str, list[float]] = {}
    for case in chosen:
        if case.id in known:
            ratios.setdefault(_tier_name(limits, case), []).append(known[case.id] / modelled[case.id])
    every = [ratio for group in ratios.values() for ratio in group]
    overall = fmean(every) if every else 1.0
    correction = {tier: fmean(group) for tier, group in ratios.items()}
    return {
        case.id: known.get(case.id, modelled[case.id] * correction.get(_tier_name(limits, case), overall))
        for case in chosen
    }


def _tier_name(limits: Limits, case: Case) -> str:
    tier = limits.tier_of(case.gpus)
    return tier.name if tier else ""
