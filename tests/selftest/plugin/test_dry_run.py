"""``--modelrt-dry-run`` shows what would happen and touches nothing."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("arguments", [[], ["-n", "3"]], ids=["alone", "xdist"])
def test_order_tiers_and_objects(campaign: pytest.Pytester, arguments: list[str]) -> None:
    result = campaign.runpytest_subprocess("--modelrt-dry-run", "-k", "Qwen3-8B or Mixtral-8x22B", *arguments)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines_random(
        [
            "*Qwen/Qwen3-8B  phase *, tier gpu1, 1 GPU",
            "*ClusterBaseModel qwen3-8b, ClusterServingRuntime srt-qwen3-8b, Namespace qwen3-8b, *qwen3-8b/qwen3-8b",
            "*mistralai/Mixtral-8x22B*tier gpu8, 8 GPUs",
            "2 cases on * workers, about * cluster minutes (no order takes less than *), 0 estimates from *",
        ]
    )
    assert not (campaign.path / "pages").exists()
