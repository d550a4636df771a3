from __future__ import annotations

import pytest

from benchmarks.scheduling.workloads import load
from pytest_modelrt.scheduling.estimates import model_seconds
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.shards import parse_shard, shard
from tests.selftest.scheduling.build import LIMITS, case


@pytest.mark.parametrize("count", [1, 2, 3, 7, 200])
def test_shards_are_disjoint_and_complete(count: int) -> None:
    plan, campaign = load()
    shards = [shard(plan.cases, number, count, Limits.of(campaign)) for number in range(1, count + 1)]
    together = [one.id for part in shards for one in part]
    assert sorted(together) == sorted(one.id for one in plan.cases)
    assert all(part == sorted(part, key=lambda one: one.index) for part in shards)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_tier_is_balanced(count: int) -> None:
    plan, campaign = load()
    limits = Limits.of(campaign)
    shards = [shard(plan.cases, number, count, limits) for number in range(1, count + 1)]
    for tier in limits.tiers:
        of_tier = [[one for one in part if limits.tier_of(one.gpus) == tier] for part in shards]
        loads = [sum(map(model_seconds, part)) for part in of_tier]
        assert max(loads) - min(loads) <= max(model_seconds(one) for part in of_tier for one in part)
        if tier.name == "gpu1":
            assert max(loads) <= 1.05 * min(loads)


def test_more_shards_than_cases_leaves_some_empty() -> None:
    parts = [shard([case("a", "x")], number, 3, LIMITS) for number in (1, 2, 3)]
    assert sorted(map(len, parts)) == [0, 0, 1]


def test_shard_option() -> None:
    assert parse_shard("2/5") == (2, 5)
    for text in ("0/5", "6/5", "2", "a/b", "-1/3", ""):
        with pytest.raises(ValueError, match="NUMBER/COUNT"):
            parse_shard(text)
