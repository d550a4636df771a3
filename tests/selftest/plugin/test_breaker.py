"""The circuit breaker in real runs: a cluster in trouble is not asked to prove every model."""

from __future__ import annotations

import pytest

from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from pytest_modelrt.session.controller import CLUSTER_FAILED
from tests.selftest.plugin.conftest import CONFIG, SPEED

MODELS = "SmolLM or Qwen2.5"


@pytest.mark.parametrize("arguments", [["-n", "4"], []], ids=["xdist", "alone"])
def test_a_cluster_that_downloads_nothing_is_given_up(campaign: pytest.Pytester, arguments: list[str]) -> None:
    scenario = CONFIG / "scenarios" / "download-queued.yaml"
    result = campaign.runpytest_subprocess(
        "-k", MODELS, f"--modelrt-scenario={scenario}", f"--modelrt-speed={SPEED}", *arguments
    )
    assert result.ret == CLUSTER_FAILED
    result.stdout.fnmatch_lines(
        ["modelrt: circuit breaker open: download-queued on *", "modelrt: circuit breaker given-up: *"]
    )
    directory = find_run(campaign.path / "pages")
    run = read_run(directory)
    assert [event.data["state"] for event in run.breaker] == ["open", "given-up"]
    assert run.info is not None
    assert run.info.exit_status == CLUSTER_FAILED
    outcomes = [verdict.outcome for verdict in run.verdicts.values()]
    assert len(outcomes) == len(run.info.selection)
    assert outcomes.count(Outcome.NOT_RUN) >= 3
    assert set(outcomes) == {Outcome.ERROR, Outcome.NOT_RUN}
    reasons = {verdict.summary for verdict in run.verdicts.values() if verdict.outcome is Outcome.NOT_RUN}
    (reason,) = reasons
    assert reason.startswith("not run: the circuit breaker gave up: ")
    assert "download-queued" in reason


def test_a_family_that_crashed_is_not_downloaded_again(campaign: pytest.Pytester) -> None:
    scenario = CONFIG / "scenarios" / "crashloop-unsupported-architecture.yaml"
    result = campaign.runpytest_subprocess("-k", "SmolLM", f"--modelrt-scenario={scenario}", f"--modelrt-speed={SPEED}")
    result.assert_outcomes(failed=1, skipped=2, deselected=154)
    run = read_run(find_run(campaign.path / "pages"))
    said = [verdict.summary for verdict in run.verdicts.values() if verdict.outcome is Outcome.NOT_RUN]
    assert len(said) == 2
    assert all(text.startswith("not run: same architecture (") for text in said)
