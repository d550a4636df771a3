"""Only what can never start is refused for its weights."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelrt.manifests.fit import shape_fits, weights_fit
from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Hardware

CONFIG = Path(__file__).parents[3] / "config"
CASES = load_plan(CONFIG).cases
HARDWARE = load_campaign(CONFIG).hardware


def test_six_rows_of_the_plan_cannot_fit_the_gpus_it_gives_them() -> None:
    refused = {case.name: weights_fit(case, HARDWARE) for case in CASES}
    assert {name for name, reason in refused.items() if reason} == {
        "Ling-plus",
        "Llama-4-Scout-17B-16E-Instruct",
        "Llama-4-Maverick-17B-128E-Instruct",
        "Llama-4-Maverick-17B-128E-Instruct-FP8",
        "dots.vlm1.inst",
        "XVERSE-MoE-A36B",
    }
    assert refused["Ling-plus"] == (
        "weights 580 x 1.05 = 609 GB > 4 GPUs x 80 GB x 0.9 = 288 GB; at least 16 GPUs are needed"
    )


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("Ling-plus", 16),
        ("Llama-4-Scout-17B-16E-Instruct", 4),
        ("Llama-4-Maverick-17B-128E-Instruct", 16),
        ("Llama-4-Maverick-17B-128E-Instruct-FP8", 8),
        ("dots.vlm1.inst", 32),
        ("XVERSE-MoE-A36B", 8),
    ],
)
def test_with_the_gpus_that_hold_the_weights_they_fit(name: str, needed: int) -> None:
    case = next(case for case in CASES if case.name == name)
    shape = replace(case.serving, gpus_per_node=min(8, needed), nodes=max(1, needed // 8))
    assert weights_fit(replace(case, gpus=needed, serving=shape), HARDWARE) is None
    reason = weights_fit(case, HARDWARE)
    assert reason is not None
    assert f"at least {needed} GPUs are needed" in reason


@pytest.mark.parametrize(("weights", "fits"), [(65.5e9, True), (68.4e9, True), (68.6e9, False), (74e9, False)])
def test_the_margin_is_small(weights: float, fits: bool) -> None:
    reason = shape_fits(round(weights), gpus_per_pod=1, pods=1, mem_fraction=None, hardware=HARDWARE)
    assert (reason is None) is fits


def test_a_pod_larger_than_any_node_never_starts() -> None:
    reason = shape_fits(10**9, gpus_per_pod=16, pods=1, mem_fraction=0.9, hardware=HARDWARE)
    assert reason == "one pod asks for 16 GPUs, the largest node has 8"


def test_more_pods_than_the_cluster_holds_never_start() -> None:
    small = Hardware(nodes=2, gpus_per_node=8)
    assert shape_fits(10**9, gpus_per_pod=8, pods=2, mem_fraction=0.9, hardware=small) is None
    reason = shape_fits(10**9, gpus_per_pod=8, pods=3, mem_fraction=0.9, hardware=small)
    assert reason == "24 GPUs asked, the cluster has 16"
    assert shape_fits(10**9, gpus_per_pod=2, pods=8, mem_fraction=0.9, hardware=small) is None


def test_an_engine_without_gpus_is_not_judged() -> None:
    assert shape_fits(10**12, gpus_per_pod=0, pods=1, mem_fraction=None, hardware=HARDWARE) is None
