"""What the cluster's nodes offer bounds a run; a case larger than the cluster says why and deploys nothing."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.journal.model import Stage
from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from pytest_modelrt.scheduling.jobs import without_hopeless
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.placement import Machine
from pytest_modelrt.session.capacity import Capacity, free_gpus
from tests.selftest.scheduling.build import CAMPAIGN, case, job


def node(name: str, *taints: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]}}


def pod(where: str, gpus: str, phase: str = "Running", **labels: str) -> dict[str, Any]:
    container = {"resources": {"limits": {"nvidia.com/gpu": gpus}}}
    return {
        "metadata": {"labels": labels},
        "spec": {"nodeName": where, "containers": [container, {}]},
        "status": {"phase": phase},
    }


def test_two_nodes_of_eight_on_the_simulator(campaign: pytest.Pytester) -> None:
    result = campaign.runpytest_subprocess("-n1", "-k", "DeepSeek-V3-0324", "--modelrt-nodes=2")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        [
            "modelrt: 2 nodes of the cluster have 16 GPUs (2 x 8): the budget is 16 instead of 112, larger cases are "
            "skipped",
            "*32 GPUs asked, the cluster has 16*",
        ]
    )


def test_a_small_cluster_is_not_asked_for_more_nodes_than_it_has(campaign: pytest.Pytester) -> None:
    result = campaign.runpytest_subprocess("-n1", "-k", "Qwen3-0.6B", "--modelrt-nodes=2")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*download-partial-nodes*")
    [trace] = read_run(find_run(campaign.path / "pages")).traces
    model = next(span for span in trace.spans if span.stage is Stage.MODEL)
    assert model.data["facts"]["nodes_ready"] == 2


def test_the_smaller_of_campaign_and_cluster_is_the_budget() -> None:
    assert Limits.of(CAMPAIGN, 16).gpu_budget == 16
    assert Limits.of(CAMPAIGN, 500).gpu_budget == CAMPAIGN.gpu_budget
    assert Limits.of(CAMPAIGN, 16).refusal(32) == "asks for 32 GPUs, and the cluster's nodes have 16"


def test_a_case_larger_than_the_cluster_holds_nothing_while_its_preflight_speaks() -> None:
    cases = {made.id: made for made in (case("a", "large", 32), case("a", "fits", 16), case("a", "marked", 1))}
    jobs = [job("a/large", 32), job("a/fits", 16), job("a/marked", 32)]
    large, fitting, marked = without_hopeless(jobs, Limits.of(CAMPAIGN, 16), cases)
    assert (large.gpus, fitting.gpus) == (0, 16)
    assert marked.gpus == 32, "its preflight knows the plan's number only: the scheduler refuses it"


def test_a_cluster_that_has_enough_is_said_without_a_warning() -> None:
    assert Capacity({"a": 8, "b": 4}).text(12) == "2 nodes of the cluster have 12 GPUs (1 x 8, 1 x 4)"
    assert Capacity({}).total is None


def test_gpus_of_strangers_and_tainted_nodes_are_not_for_downloads() -> None:
    nodes = [node("a", "nvidia.com/gpu"), node("b", "team/reserved"), node("c"), node("d")]
    pods = [pod("a", "3"), pod("a", "1", "Succeeded"), pod("c", "2", **{"modelrt.io/run-id": "r"}), pod("d", "8")]
    assert free_gpus({"a": 8, "b": 8, "c": 8, "d": 8}, nodes, pods) == (Machine("a", 5), Machine("c", 8))
