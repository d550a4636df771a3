"""The circuit breaker in real runs: a cluster in trouble is not asked to prove every model."""

from __future__ import annotations

import pytest

from pytest_modelrt.journal.model import Outcome
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from pytest_modelrt.session.controller import CLUSTER_FAILED
from tests.selftest.plugin.conftest import CONFIG, SPEED

MODELS = ("-k", "SmolLM or Qwen2", "-m", "gpu1 and not gated")
TRIES = 6
"""Of a case that meets this outage, 112 cluster seconds in all."""
CAUSE = "platform-webhook-unavailable"
WEBHOOK_AWAY = """
models:
- {{match: "*", download: cached}}
api:
- status: 500
  groups: [ome.io]
  verbs: [create, patch]
  clients: suite
  times: {times}
  message: >-
    Internal error occurred: failed calling webhook "clusterservingruntime.ome-webhook-server.validator": failed to
    call webhook: no endpoints available for service "ome-webhook-server-service"
"""


@pytest.fixture
def models(campaign: pytest.Pytester) -> pytest.Pytester:
    """A project whose tests end with the model: they are quick, and the breaker does not care."""
    campaign.makepyfile(test_campaign="def test_model(model):\n    assert model\n")
    return campaign


def run(models: pytest.Pytester, times: int, *arguments: str) -> pytest.RunResult:
    """A campaign in an outage that ends after so many requests, not at a time: machines may be slow."""
    (models.path / "outage.yaml").write_text(WEBHOOK_AWAY.format(times=times))
    fast = f"--modelrt-speed={2 * SPEED}"
    return models.runpytest_subprocess(
        *MODELS, "--modelrt-scenario=outage.yaml", fast, "--modelrt-prefetch=0", *arguments
    )


def test_after_an_outage_the_rest_of_the_campaign_passes(models: pytest.Pytester) -> None:
    """Whatever the order: six unfinished cases leave requests for three that end, and take them before a canary."""
    result = run(models, 3 * TRIES + 6 * (TRIES - 1) + 4, "-n", "6")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"modelrt: circuit breaker open: {CAUSE} on 3 models: *; nothing new starts but a canary now and then",
            "*circuit breaker half-open: canary * got through; one case at a time",
            "*circuit breaker closed: * got through; everything may start again",
            "modelrt: circuit breaker open at * min: *",
        ]
    )
    found = read_run(find_run(models.path / "pages"))
    states = [event.data["state"] for event in found.breaker]
    assert (states[0], states[-1]) == ("open", "closed")
    outcomes = [verdict.outcome for verdict in found.verdicts.values()]
    assert {verdict.cause for verdict in found.verdicts.values() if verdict.outcome is Outcome.ERROR} == {CAUSE}
    assert 3 <= outcomes.count(Outcome.ERROR) <= 8
    assert outcomes.count(Outcome.PASSED) == len(outcomes) - outcomes.count(Outcome.ERROR)


@pytest.mark.parametrize("arguments", [["-n", "4"], []], ids=["xdist", "alone"])
def test_a_cluster_that_does_not_recover_is_given_up(models: pytest.Pytester, arguments: list[str]) -> None:
    result = run(models, 1000, *arguments)
    assert result.ret == CLUSTER_FAILED
    result.stdout.fnmatch_lines(
        [
            "*circuit breaker given-up: 3 canaries failed: *; what has not started is not run",
            "not run (*): the circuit breaker gave up: 3 canaries failed:",
            f"modelrt: circuit breaker open at *: {CAUSE} on *",
            "modelrt: circuit breaker given-up at *",
        ]
    )
    assert "unknown" not in result.stdout.str()
    found = read_run(find_run(models.path / "pages"))
    assert [event.data["state"] for event in found.breaker] == ["open", "given-up"]
    assert found.info is not None
    assert found.info.exit_status == CLUSTER_FAILED
    outcomes = [verdict.outcome for verdict in found.verdicts.values()]
    assert len(outcomes) == len(found.info.selection)
    assert outcomes.count(Outcome.NOT_RUN) >= 3
    assert set(outcomes) == {Outcome.ERROR, Outcome.NOT_RUN}
    (reason,) = {verdict.summary for verdict in found.verdicts.values() if verdict.outcome is Outcome.NOT_RUN}
    assert reason == f"not run: the circuit breaker gave up: 3 canaries failed: {CAUSE}"


def test_a_family_that_crashed_is_not_downloaded_again(campaign: pytest.Pytester) -> None:
    scenario = CONFIG / "scenarios" / "crashloop-unsupported-architecture.yaml"
    result = campaign.runpytest_subprocess("-k", "SmolLM", f"--modelrt-scenario={scenario}", f"--modelrt-speed={SPEED}")
    result.assert_outcomes(failed=1, skipped=2, deselected=154)
    found = read_run(find_run(campaign.path / "pages"))
    said = [verdict.summary for verdict in found.verdicts.values() if verdict.outcome is Outcome.NOT_RUN]
    assert len(said) == 2
    assert all(text.startswith("not run: same architecture (") for text in said)
