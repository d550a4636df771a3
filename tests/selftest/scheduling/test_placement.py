"""Which nodes download which model: a few each, enough for the case, downloads spread, large pods out of harm's way."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.placement import Machine, place
from tests.selftest.scheduling.build import LIMITS, TIERS, case

FOURTEEN = [Machine(f"n{number:02}", 8) for number in range(14)]


def cases(*gpus: int) -> list[Case]:
    return [case("a", f"m{number}", count, index=number) for number, count in enumerate(gpus)]


def placed(
    chosen: list[Case], machines: list[Machine], copies: int = 4, limits: Limits = LIMITS
) -> dict[str, set[str]]:
    seconds = {item.id: float(item.weights_bytes) for item in chosen}
    found = place(chosen, machines, limits, copies=copies, seconds=seconds)
    return {case_id: set(nodes) for case_id, nodes in found.items()}


def test_downloads_are_spread_evenly_and_whole_nodes_are_kept_for_large_pods() -> None:
    chosen = cases(*[1] * 40, *[2] * 20, *[4] * 10, *[8] * 10, 32)
    found = placed(chosen, FOURTEEN)
    assert {len(nodes) for nodes in found.values()} == {4}
    load = Counter(node for nodes in found.values() for node in nodes)
    assert len(load) == 14
    large = {node for item in chosen if item.gpus >= 8 for node in found[item.id]}
    small = {node for item in chosen if item.gpus < 8 for node in found[item.id]}
    assert not large & small
    assert max(load[node] for node in small) - min(load[node] for node in small) <= 1


def test_several_large_cases_have_room_to_download_for_the_next_one() -> None:
    assert len(set().union(*placed(cases(*[8] * 6, 1), FOURTEEN).values())) > 4 + 4
    one = placed(cases(8, *[1] * 6), FOURTEEN)
    assert len(one["a/m0"]) == 4
    six = placed(cases(32, 32, 1), FOURTEEN[:8])
    assert len(six["a/m0"] | six["a/m1"]) == 4, "where the others need the rest, what they need must do"


def test_a_case_on_several_nodes_gets_that_many() -> None:
    found = placed(cases(48, 1), FOURTEEN, limits=Limits(TIERS, 112, 64))
    assert len(found["a/m0"]) == 6


@pytest.mark.parametrize("machines", [[], FOURTEEN[:2], [Machine("n", 0)] * 14])
def test_a_cluster_without_a_choice_is_left_alone(machines: list[Machine]) -> None:
    assert placed(cases(1, 8, 16), machines) == {}


def test_nodes_too_small_for_a_pod_are_not_chosen() -> None:
    machines = [Machine("big", 8), *(Machine(f"small{number}", 2) for number in range(8))]
    found = placed(cases(4, 2, 8), machines, copies=1)
    assert "a/m0" not in found, "no node of those that pods share takes 4 GPUs: it keeps all"
    assert found["a/m2"] == {"big"}
    assert "big" not in found["a/m1"]


def test_whatever_the_cluster_every_choice_can_serve_its_case() -> None:
    for seed in range(300):
        every_choice_can_serve(random.Random(seed))


def every_choice_can_serve(rng: random.Random) -> None:
    machines = [Machine(f"n{number}", rng.choice([0, 1, 2, 4, 8, 8, 8])) for number in range(rng.randint(0, 20))]
    chosen = cases(*rng.choices([1, 2, 4, 8, 16, 32], k=rng.randint(1, 40)))
    copies = rng.randint(1, 6)
    found = placed(chosen, machines, copies)
    gpus = {machine.name: machine.gpus for machine in machines}
    alone: dict[bool, set[str]] = {True: set(), False: set()}
    for item in chosen:
        nodes = found.get(item.id)
        if nodes is None:
            continue
        assert len(nodes) == max(copies, item.serving.nodes)
        assert all(gpus[node] >= item.serving.gpus_per_node for node in nodes)
        alone[2 * item.serving.gpus_per_node > max(gpus.values())] |= nodes
    assert not alone[True] & alone[False]
