"""Downloads ahead in real runs: what is there goes first, and a download that stands still is not waited for."""

from __future__ import annotations

import pytest

from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from pytest_modelrt.journal.trace import WITHDRAWN

STUCK = "HuggingFaceTB/SmolLM-360M"
SCENE = """
models:
- {match: "*", download: cached}
- {match: smollm-1-7b, startup: {seconds: 700}}
- {match: qwen3-0-6b, download: {seconds: 400}}
- {match: smollm-360m, download: {cached: false, stuck_at: 0.0}}
"""


def test_a_download_that_stands_still_is_withdrawn_and_its_case_goes_last(campaign: pytest.Pytester) -> None:
    (campaign.path / "scene.yaml").write_text(SCENE)
    result = campaign.runpytest_subprocess(
        "-n1", "-k", "SmolLM-1.7B or SmolLM-360M or Qwen3-0.6B", "--modelrt-order=plan",
        "--modelrt-scenario=scene.yaml", "--modelrt-speed=60", "--modelrt-prefetch=8",
    )  # fmt: skip
    result.assert_outcomes(passed=2, errors=1)
    run = read_run(find_run(campaign.path / "pages"))
    begun = sorted((trace.started, case) for case, trace in run.latest.items())
    assert begun[-1][1] == STUCK
    assert run.verdicts[STUCK].outcome is Outcome.ERROR
    assert run.verdicts[STUCK].cause == "download-stuck"
    trace = run.latest[STUCK]
    [withdrawn] = [event for event in trace.observations if event.data.get("what") == WITHDRAWN]
    assert withdrawn.time < trace.started
    assert str(withdrawn.data["nodes"]).count("gpu-node-") == 4
    assert any("stood still" in warning for warning in trace.warnings)
    assert run.verdicts[STUCK].retries == 0, "the first try was made ahead of the case"
    assert not [event for event in trace.observations if event.data.get("what") == "download-nodes"]


def test_a_test_that_wants_more_nodes_than_were_chosen_gets_them(campaign: pytest.Pytester) -> None:
    campaign.makepyfile(
        test_campaign="""
        import pytest

        @pytest.mark.modelrt(nodes_wanted=6)
        def test_model(probe):
            assert probe().answer
        """
    )
    result = campaign.runpytest_subprocess(
        "-n1", "-k", "SmolLM-135M or SmolLM-360M", "--modelrt-speed=120", "--modelrt-prefetch=8"
    )
    result.assert_outcomes(passed=2)
    for verdict in read_run(find_run(campaign.path / "pages")).verdicts.values():
        ready = verdict.facts["nodes_ready"]
        assert isinstance(ready, int)
        assert ready >= 6
        assert verdict.warnings == ()
