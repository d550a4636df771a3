"""Report plugins of other people see short parameters and the facts of a case, and no test that is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.selftest.plugin.live import Live

TOO_BIG = "XVERSE-MoE-A36B"
"""Ends in its preflight: its weights do not fit the GPUs asked for."""
READER = '''
import json
import os
import pytest

class Html:
    """Reads what pytest-html reads."""
    def pytest_runtest_logreport(self, report):
        if "PYTEST_XDIST_WORKER" in os.environ:
            return
        with open("seen.jsonl", "a") as file:
            file.write(json.dumps([report.when, getattr(report, "extras", [])]) + "\\n")

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.pluginmanager.register(Html(), "reader" if config.pluginmanager.hasplugin("html") else "html")

def pytest_runtest_setup(item):
    with open("parameters.txt", "a") as file:
        file.write(f"{item.callspec.params}\\n")
'''


def test_extras_hold_the_facts_of_a_case(campaign: pytest.Pytester, live: Live) -> None:
    campaign.makeconftest(READER)
    campaign.runpytest_subprocess(f"--modelrt-kubeconfig={live.kubeconfig}", "-k", TOO_BIG, "-n", "1")
    seen = [json.loads(line) for line in (campaign.path / "seen.jsonl").read_text().splitlines()]
    contents = [extra["content"] for when, extras in seen for extra in extras]
    assert [when for when, extras in seen if extras] == ["teardown"]
    assert "<tr><th>cause</th><td>gpu-budget-exceeded</td></tr>" in contents[0]
    assert {extra["format_type"] for _, extras in seen for extra in extras} == {"html"}
    parameters = (campaign.path / "parameters.txt").read_text().splitlines()
    assert parameters == [str({"_modelrt_case": f"xverse/{TOO_BIG}"})]


def test_allure_sees_the_tests_and_no_others(campaign: pytest.Pytester, live: Live) -> None:
    arguments = (f"--modelrt-kubeconfig={live.kubeconfig}", "-k", TOO_BIG, "-n", "1", "--alluredir=allure")
    campaign.runpytest_subprocess(*arguments)
    (found,) = (json.loads(path.read_text()) for path in Path(campaign.path / "allure").glob("*-result.json"))
    told = {item["name"]: item for item in found["parameters"]}
    assert found["status"] == "skipped"
    assert told["cause"] == {"name": "cause", "value": "'gpu-budget-exceeded'", "excluded": True}
    assert told["_modelrt_case"]["value"] == f"'xverse/{TOO_BIG}'"
