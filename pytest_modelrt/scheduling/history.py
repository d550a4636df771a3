"""What cases took in earlier runs: the best estimate there is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.journal.results import Result
from pytest_modelrt.plan.model import Case

ATTEMPTS = 3
"""So many latest attempts speak for a case; the median of them is taken."""


@dataclass(frozen=True, slots=True)
class Past:
    """How long a case took, in cluster seconds."""

    download: float
    """Until enough nodes held the weights, waited for or not."""
    rest: float
    """Everything else."""


def past_of(attempts: Iterable[Result], cases: Mapping[str, Case], *, simulated: bool) -> dict[str, Past]:
    """What earlier runs say about each case; cases without a telling attempt are left out.

    An attempt counts when it ran on the same kind of cluster, with the image the plan names now; one that passed
    counts more than any that did not.

    Args:
        attempts: oldest first.
        cases: case id -> case, of the plan of this run.
        simulated: whether this run is on a simulated cluster.
    """
    found: dict[str, list[Result]] = {}
    for result in attempts:
        case = cases.get(result.case)
        same_image = case is not None and result.image in ("", case.serving.image)
        if same_image and result.simulated == simulated and Stage.MODEL in result.verdict.stages:
            found.setdefault(result.case, []).append(result)
    return {case_id: _summed_up(results) for case_id, results in found.items()}


def _summed_up(results: list[Result]) -> Past:
    passed = [result for result in results if result.verdict.outcome is Outcome.PASSED]
    telling = (passed or results)[-ATTEMPTS:]
    return Past(median(map(_download, telling)), median(map(_rest, telling)))


def _download(result: Result) -> float:
    return result.verdict.stages[Stage.MODEL] + result.hidden_download


def _rest(result: Result) -> float:
    return sum(result.verdict.stages.values()) - result.verdict.stages[Stage.MODEL]
