"""Real runs on the simulated cluster: what pytest, JUnit, the journal and the cluster say afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from pytest_modelrt.journal.trace import RunView
from pytest_modelrt.session.controller import CLUSTER_FAILED
from tests.selftest.plugin.conftest import SPEED
from tests.selftest.plugin.live import Live

SCENARIO = """
description: one model crashes, one has no licence, one never arrives
models:
- match: qwen3-0-6b
  startup:
    crash:
      at: load_begin
      exit_code: 0
      log: |-
        Scheduler hit an exception: Traceback (most recent call last):
          File "/usr/lib/x.py", line 1, in <module>
        ModuleNotFoundError: No module named 'vllm'
- match: qwen3-1-7b
  hub: {gated: true, licence_accepted: false}
- match: qwen2-5-0-5b
  download: stuck
"""
FAULTY = "Qwen3-0.6B or Qwen3-1.7B or Qwen2.5-0.5B"


def run_of(project: pytest.Pytester) -> RunView:
    return read_run(find_run(project.path / "pages"))


def junit_of(project: pytest.Pytester) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Model -> its properties, and the tags of its outcome (none: passed)."""
    found = {}
    for case in ElementTree.parse(project.path / "junit.xml").iter("testcase"):
        values = {item.get("name", ""): item.get("value", "") for item in case.iter("property")}
        found[case.get("name", "")] = (values, [child.tag for child in case if child.tag != "properties"])
    return found


def test_one_model_deploys_answers_and_goes_away(campaign: pytest.Pytester, live: Live) -> None:
    result = campaign.runpytest_subprocess(
        "-k", "SmolLM-135M", f"--modelrt-kubeconfig={live.kubeconfig}", "--junitxml=junit.xml", "--modelrt-run-id=one"
    )
    result.assert_outcomes(passed=1, deselected=156)
    result.stdout.fnmatch_lines(["modelrt: cluster simulated, server https://*, context *", "1 passed of 1"])
    assert live.ours() == []
    run = run_of(campaign)
    assert run.info is not None
    assert (run.info.run_id, run.info.exit_status, run.info.selection) == ("one", 0, ("HuggingFaceTB/SmolLM-135M",))
    (trace,) = run.traces
    assert [(span.stage, span.ok) for span in trace.spans] == [(stage, True) for stage in Stage]
    assert trace.verdict is not None
    assert trace.verdict.facts["nodes_ready"] >= 3  # type: ignore[operator]
    assert trace.exchanges
    ((values, tags),) = junit_of(campaign).values()
    assert tags == []
    assert (values["vendor"], values["gpus"], values["tier"], values["run_id"]) == ("HuggingFaceTB", "1", "gpu1", "one")
    assert {f"{stage}_seconds" for stage in Stage} <= set(values)
    assert (campaign.path / "pages" / "huggingfacetb-results.md").exists()
    assert "SmolLM-135M" in (campaign.path / "pages" / "test-results-summary.md").read_text()


def test_auto_asks_for_workers_that_wait_not_for_processors(campaign: pytest.Pytester, live: Live) -> None:
    result = campaign.runpytest_subprocess("-k", "XVERSE-MoE", "-n", "auto", f"--modelrt-kubeconfig={live.kubeconfig}")
    workers = min(19, 5 * (os.cpu_count() or 1))
    result.stdout.fnmatch_lines([f"created: {workers}/{workers} workers"])
    result.assert_outcomes(skipped=1)


def test_several_models_under_xdist_on_a_cluster_of_their_own(campaign: pytest.Pytester) -> None:
    result = campaign.runpytest_subprocess("-k", "SmolLM", "-n", "2", f"--modelrt-speed={SPEED}")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["modelrt: cluster simulated, started for this run*", "3 passed of 3"])
    verdicts = run_of(campaign).verdicts
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.PASSED}
    assert len(verdicts) == 3


@pytest.mark.parametrize("arguments", [[], ["-n", "3"]], ids=["alone", "xdist"])
def test_failures_errors_and_skips_are_told_apart(campaign: pytest.Pytester, arguments: list[str]) -> None:
    (campaign.path / "faults.yaml").write_text(SCENARIO)
    scenario = campaign.path / "faults.yaml"
    result = campaign.runpytest_subprocess(
        "-k", FAULTY, f"--modelrt-scenario={scenario}", f"--modelrt-speed={SPEED}", "--junitxml=junit.xml", *arguments
    )
    result.assert_outcomes(failed=1, errors=1, skipped=1, deselected=0 if arguments else 154)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "crashloop-missing-module: ModuleNotFoundError: No module named 'vllm'",
            "download-stuck: *",
            "failed   crashloop-missing-module (1), owner runtime image",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    junit = {name.partition("/")[2].rstrip("]"): entry for name, entry in junit_of(campaign).items()}
    assert {name: tags for name, (_, tags) in junit.items()} == {
        "Qwen3-0.6B": ["failure"],
        "Qwen3-1.7B": ["skipped"],
        "Qwen2.5-0.5B": ["error"],
    }
    assert {name: values["cause"] for name, (values, _) in junit.items()} == {
        "Qwen3-0.6B": "crashloop-missing-module",
        "Qwen3-1.7B": "download-gated",
        "Qwen2.5-0.5B": "download-stuck",
    }
    evidence = {path.stem for path in find_run(campaign.path / "pages").glob("evidence/*.json")}
    assert evidence == {"qwen3-0-6b", "qwen3-1-7b", "qwen2-5-0-5b"}


def test_a_users_own_test_gets_the_served_model(campaign: pytest.Pytester, live: Live) -> None:
    campaign.makepyfile(
        test_own="""
        def test_name(endpoint, case, model, runtime, inference_service):
            served = endpoint.get("/v1/models").json()["data"]
            assert [entry["id"] for entry in served] == [case.hub_id]
            assert model["status"]["state"] == "Ready"
            assert runtime["metadata"]["name"] == case.runtime_name
            assert inference_service["status"]["url"]

        def test_wrong(endpoint):
            assert endpoint.get("/v1/models").json() == "something else"
        """
    )
    result = campaign.runpytest_subprocess(
        "test_own.py", "-k", "SmolLM-135M", f"--modelrt-kubeconfig={live.kubeconfig}"
    )
    result.assert_outcomes(passed=1, failed=1, deselected=312)
    assert live.ours() == []
    outcomes = [trace.verdict.outcome for trace in run_of(campaign).traces if trace.verdict]
    assert sorted(outcomes) == [Outcome.FAILED, Outcome.PASSED]


def test_a_cluster_that_refuses_us_is_not_the_models_fault(campaign: pytest.Pytester, live: Live) -> None:
    stranger: dict[str, Any] = yaml.safe_load(live.kubeconfig.read_text())
    for user in stranger["users"]:
        user["user"] = {"token": "not-a-token-of-this-cluster"}
    path = Path(campaign.makefile(".yaml", stranger=yaml.safe_dump(stranger)))
    result = campaign.runpytest_subprocess("-k", "SmolLM-135M", f"--modelrt-kubeconfig={path}")
    result.assert_outcomes(errors=1, deselected=156)
    assert result.ret == CLUSTER_FAILED
    result.stdout.fnmatch_lines(["error    cluster-auth (1), owner cluster"])


def test_objects_of_somebody_else_are_left_alone(campaign: pytest.Pytester, live: Live) -> None:
    owner = live.cluster.for_run("somebody-else")
    theirs = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "smollm-135m",
            "labels": {"app.kubernetes.io/managed-by": "pytest-modelrt", "modelrt.io/run-id": "somebody-else"},
        },
    }
    owner.create(theirs)
    result = campaign.runpytest_subprocess("-k", "SmolLM-135M", f"--modelrt-kubeconfig={live.kubeconfig}")
    result.assert_outcomes(errors=1, deselected=156)
    result.stdout.fnmatch_lines(["leftover-conflict: already there and not of this run: Namespace smollm-135m *"])
    assert live.ours() == ["Namespace smollm-135m"]
    from pytest_modelrt.cluster.model import NAMESPACE, Ref

    owner.delete(Ref(NAMESPACE, "smollm-135m"))
    live.await_nothing_of_ours()


def test_a_run_id_is_used_once(campaign: pytest.Pytester, live: Live) -> None:
    (campaign.path / "pages" / "runs" / "taken").mkdir(parents=True)
    result = campaign.runpytest_subprocess(
        "-k", "SmolLM-135M", f"--modelrt-kubeconfig={live.kubeconfig}", "--modelrt-run-id=taken"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *taken: a run of this id exists already*"])
