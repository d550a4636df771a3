"""Which nodes download which model when models are downloaded ahead. Pure.

Left alone, every node downloads every model, two at a time, and on a large cluster the agents, not the GPUs, decide how
long a campaign takes. A case needs its model on a few nodes only; so each model is given just these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.limits import Limits

ROOM = 1.5
"""So many times the nodes that running pods fill at most: those that share nodes cannot be packed without gaps, and
downloads for cases that come next need nodes of their own."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A node that can run engines."""

    name: str
    gpus: int


def place(
    cases: Iterable[Case],
    machines: Sequence[Machine],
    limits: Limits,
    *,
    copies: int,
    seconds: Mapping[str, float],
) -> dict[str, tuple[str, ...]]:
    """Case id -> names of the nodes that download its model; a case that is left out uses all nodes.

    Pods that need a node for themselves and pods that share one get different nodes, so that no small pod is in the
    way of a large one; within its part, each model goes to the nodes with the least to download so far.

    Args:
        cases: in the order in which they will start.
        machines: nodes that take pods.
        limits: how many cases may run at once.
        copies: nodes that should hold a model at least; more when the case needs more.
        seconds: case id -> what its download takes a node.
    """
    chosen = list(cases)
    parts = _parts(chosen, machines, limits, copies, seconds)
    if parts is None:
        return {}
    load = dict.fromkeys((machine.name for machine in machines), 0.0)
    last = dict.fromkeys(load, 0)
    found = {}
    for turn, case in enumerate(chosen, 1):
        part = parts[_alone(case, machines)]
        fitting = [machine.name for machine in part if machine.gpus >= case.serving.gpus_per_node]
        count = max(copies, case.serving.nodes)
        nodes = sorted(fitting, key=lambda name: (load[name], last[name]))[:count]
        if len(nodes) < count:
            continue
        for name in nodes:
            load[name] += seconds[case.id]
            last[name] = turn
        found[case.id] = tuple(sorted(nodes))
    return found


def _alone(case: Case, machines: Sequence[Machine]) -> bool:
    """Whether two pods of such a case never share a node."""
    return 2 * case.serving.gpus_per_node > max(machine.gpus for machine in machines)


def _parts(
    cases: Sequence[Case], machines: Sequence[Machine], limits: Limits, copies: int, seconds: Mapping[str, float]
) -> dict[bool, list[Machine]] | None:
    """The nodes for pods that need one alone (True) and for those that share (False); None: too few nodes."""
    ordered = sorted(machines, key=lambda machine: (-machine.gpus, machine.name))
    if not ordered or ordered[0].gpus < 1:
        return None
    groups = {alone: [case for case in cases if _alone(case, ordered) is alone] for alone in (True, False)}
    least = {alone: _least(group, limits, ordered[0].gpus, copies, alone=alone) for alone, group in groups.items()}
    work = {
        alone: sum(seconds[case.id] * max(copies, case.serving.nodes) for case in group)
        for alone, group in groups.items()
    }
    most = len(ordered) - least[False]
    roomy = math.ceil(ROOM * least[True]) if len(groups[True]) > 1 else 0
    cuts = range(max(least[True], min(roomy, most)), most + 1)
    if not cuts:
        return None
    cut = min(cuts, key=lambda cut: max(_share(work[True], cut), _share(work[False], len(ordered) - cut)))
    return {True: ordered[:cut], False: ordered[cut:]}


def _share(work: float, nodes: int) -> float:
    return work / nodes if nodes else 0.0


def _least(cases: Sequence[Case], limits: Limits, gpus_per_node: int, copies: int, *, alone: bool) -> int:
    """Nodes that a part needs at least."""
    if not cases:
        return 0
    held: dict[str, list[int]] = {}
    for case in cases:
        tier = limits.tier_of(case.gpus)
        if tier is not None:
            held.setdefault(tier.name, []).append(case.serving.nodes if alone else case.gpus)
    slots = {tier.name: tier.limit for tier in limits.tiers}
    most = sum(sum(sorted(sizes, reverse=True)[: slots[name]]) for name, sizes in held.items())
    needed = most if alone else -(-int(most * ROOM) // gpus_per_node)
    return max(needed, copies, *(case.serving.nodes for case in cases))
