"""What is handed to a worker in one piece, and how the cases of the plan are found in node ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.limits import Limits

PLAIN_SECONDS = 1.0
"""Assumed for a test that deploys nothing and has no history."""


@dataclass(frozen=True, slots=True)
class Job:
    """Tests that run one after the other on one worker while holding one share of the GPUs."""

    key: str
    """What is held: the id of a case, or the node id of the first test. Two jobs of one key never run together."""
    tests: tuple[str, ...]
    """Node ids, in order."""
    gpus: int = 0
    seconds: float = PLAIN_SECONDS
    """Estimated duration in cluster seconds."""
    case: str | None = None
    phase: int = 0
    """The plan's phase; 0 for tests that are no case: they go first."""
    group: int = 0
    """Vendors in plan order: jobs of one group are kept together."""
    index: int = 0
    """Place in the plan or in the collection: breaks ties."""


def parameter_of(nodeid: str) -> str | None:
    """The text between the brackets of a node id; a suffix behind them (``@group``) is ignored."""
    head, separator, tail = nodeid.partition("::")
    text = tail if separator else head
    start, end = text.find("["), text.rfind("]")
    return text[start + 1 : end] if 0 <= start < end else None


def case_of(nodeid: str, cases: Mapping[str, Case]) -> Case | None:
    """The case a test belongs to: its id is the whole parameter, or the parameter's beginning or end.

    Names of models contain dashes just as parameters joined by pytest do; the longest match wins.
    """
    parameter = parameter_of(nodeid)
    if parameter is None or "/" not in parameter:
        return None
    if parameter in cases:
        return cases[parameter]
    cuts = [place for place, letter in enumerate(parameter) if letter == "-"]
    for text in [parameter[:cut] for cut in reversed(cuts)] + [parameter[cut + 1 :] for cut in cuts]:
        if text in cases:
            return cases[text]
    return None


def make_jobs(
    nodeids: Sequence[str],
    cases: Mapping[str, Case],
    seconds: Mapping[str, float],
    weights: Mapping[str, int],
    workers: int,
) -> list[Job]:
    """The jobs of a collection, in its order.

    Tests of one case in one file form one job, so that they can share a deployment through a module-scoped fixture.
    Tests without GPUs form jobs of neighbours in a file, at most a worker's share of that file. A test with a
    ``gpus`` marker (``weights``: node id -> GPUs) that is no case is a job of its own.

    Args:
        nodeids: as collected.
        cases: case id -> case.
        seconds: case id -> estimated cluster seconds.
        weights: node id -> GPUs, from markers; outranks the plan.
        workers: how many workers share the plain tests of a file.
    """
    groups: dict[str, int] = {}
    for case in cases.values():
        groups.setdefault(case.vendor, case.index)
    of_case: dict[tuple[str, str], list[str]] = {}
    plain: dict[str, list[str]] = {}
    weighted: list[str] = []
    for nodeid in nodeids:
        file = nodeid.partition("::")[0]
        case_found = case_of(nodeid, cases)
        if case_found is not None:
            of_case.setdefault((case_found.id, file), []).append(nodeid)
        elif weights.get(nodeid):
            weighted.append(nodeid)
        else:
            plain.setdefault(file, []).append(nodeid)
    jobs = [
        Job(
            key=case_id,
            tests=tuple(tests),
            gpus=max([weights[test] for test in tests if test in weights], default=cases[case_id].gpus),
            seconds=seconds.get(case_id, PLAIN_SECONDS),
            case=case_id,
            phase=cases[case_id].phase,
            group=groups[cases[case_id].vendor],
            index=cases[case_id].index,
        )
        for (case_id, _), tests in of_case.items()
    ]
    jobs += [Job(key=test, tests=(test,), gpus=weights[test]) for test in weighted]
    for tests in plain.values():
        jobs += [Job(key=chunk[0], tests=chunk) for chunk in _chunks(tests, max(1, workers))]
    place = {nodeid: number for number, nodeid in reversed(list(enumerate(nodeids)))}
    return sorted(jobs, key=lambda job: place[job.tests[0]])


def without_hopeless(jobs: Iterable[Job], limits: Limits, cases: Mapping[str, Case]) -> list[Job]:
    """The jobs, those of cases larger than the whole cluster with nothing to hold: their preflight says the arithmetic,
    and deploys nothing. It does not know of a marker that asks for more than the plan."""
    offered = limits.offered
    return [
        replace(job, gpus=0, seconds=PLAIN_SECONDS)
        if offered is not None and job.case is not None and cases[job.case].gpus > offered
        else job
        for job in jobs
    ]


def _chunks(tests: Sequence[str], parts: int) -> Iterable[tuple[str, ...]]:
    size = -(-len(tests) // parts)
    for start in range(0, len(tests), size):
        chunk = tuple(tests[start : start + size])
        yield chunk
