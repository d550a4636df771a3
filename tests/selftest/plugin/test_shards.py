"""``--modelrt-shard``: parts of a selection that are disjoint, complete and even."""

from __future__ import annotations

import pytest

from tests.selftest.plugin.conftest import Collect


def test_shards_are_disjoint_complete_and_spread_the_tiers(collect: Collect) -> None:
    everything = collect("-m", "gpu8 or gpu4")
    parts = [collect("-m", "gpu8 or gpu4", f"--modelrt-shard={number}/3") for number in (1, 2, 3)]
    assert sorted(nodeid for part in parts for nodeid in part) == sorted(everything)
    assert max(map(len, parts)) - min(map(len, parts)) <= 2


def test_a_shard_that_cannot_be_is_refused(campaign: pytest.Pytester) -> None:
    result = campaign.runpytest("--collect-only", "--modelrt-shard=4/3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --modelrt-shard: '4/3' cannot be used: '4/3' is no shard*"])
