"""A pass that took more than one try, and requests that were put off or lost: nobody fails, everybody is told."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_modelrt.journal.model import Stage
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from tests.selftest.plugin.conftest import SPEED

LATER = 30.0
"""Cluster seconds the API server asks for."""
SCENARIO = f"""
models:
- {{match: "*", download: cached}}
api:
- {{status: 429, retry_after: {LATER:.0f}, times: 2, clients: suite, resources: [clusterbasemodels], verbs: [patch]}}
- {{reset: true, times: 6, clients: suite, resources: [clusterservingruntimes], verbs: [get]}}
- status: 500
  times: 1
  clients: suite
  resources: [clusterservingruntimes]
  verbs: [patch]
  message: 'Internal error occurred: failed calling webhook "v": no endpoints available for service "w"'
"""


def test_a_pass_after_a_retry_says_so_everywhere(campaign: pytest.Pytester) -> None:
    campaign.makepyfile(test_campaign="def test_model(runtime):\n    assert runtime\n")
    (campaign.path / "later.yaml").write_text(SCENARIO)
    result = campaign.runpytest_subprocess(
        "-k", "SmolLM-135M", "--modelrt-scenario=later.yaml", f"--modelrt-speed={SPEED}", "--junitxml=junit.xml"
    )
    result.assert_outcomes(passed=1, deselected=156)
    asked = "the API server asked 2 times to come back later"
    result.stdout.fnmatch_lines(["passed after a retry (1): HuggingFaceTB/SmolLM-135M"])
    directory = find_run(campaign.path / "pages")
    (trace,) = read_run(directory).traces
    assert trace.verdict is not None
    assert trace.verdict.retries == 1
    assert [retry["cause"] for retry in trace.retries] == ["platform-webhook-unavailable"]
    (model,) = [span for span in trace.spans if span.stage is Stage.MODEL]
    assert model.seconds is not None
    assert model.seconds >= 2 * LATER
    seen: list[Any] = [event.data for event in trace.observations if event.data["what"] == "api-trouble"]
    assert [sum(data[count] for data in seen) for count in ("throttled", "failures")] == [2, 6]
    assert sum(data["away"] for data in seen) >= 31  # backoff of five pauses: 1, 2, 4, 8, 16
    assert any(text.startswith("api-trouble: the API server was away for ") for text in trace.verdict.warnings)
    values = {
        str(item.get("name")): str(item.get("value"))
        for item in ElementTree.parse(campaign.path / "junit.xml").getroot().iter("property")
    }
    assert values["retries"] == "1"
    assert asked in values["warnings"]
    assert "retried after platform-webhook-unavailable" in values["warnings"]
    pages = [page.read_text() for page in (campaign.path / "pages").rglob("*.md")]
    assert any("Passed after 1 retry." in text for text in pages)
    assert any(asked in text for text in pages)
