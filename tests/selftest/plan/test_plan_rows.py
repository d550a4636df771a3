"""Every row of the plan's tables is a case."""

import re
from pathlib import Path

import pytest

from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Case, Plan, ProbeKind
from pytest_modelrt.plan.sizes import parameters

ROOT = Path(__file__).parents[3]
TABLES = Path(__file__).with_name("plan-tables.md")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(ROOT / "config")


@pytest.fixture(scope="module")
def cases(plan: Plan) -> tuple[Case, ...]:
    return plan.cases


def rows_of_the_plan() -> list[tuple[str, str, str, str, str]]:
    rows, vendor = [], ""
    for line in TABLES.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"### (\S+) \(\d+ models?\)", line):
            vendor = heading[1]
        elif row := re.match(r"\| (\S+) \| (\S+) \| (\S+) \| (\d+\+?) \|", line):
            rows.append((vendor, row[1], row[2], row[3], row[4]))
    return rows


def test_cases_are_the_rows_of_the_tables_in_their_order(cases: tuple[Case, ...]) -> None:
    found = [(case.vendor, case.name, case.size, case.type, case.gpus_text) for case in cases]
    assert found == rows_of_the_plan()
    assert len(found) == 157
    assert len({case.vendor for case in cases}) == 45
    assert [case.index for case in cases] == list(range(1, 158))


def test_ids_and_object_names_are_unique(plan: Plan) -> None:
    assert len(plan.by_id()) == 157
    for names in ([case.resource_name for case in plan.cases], [case.runtime_name for case in plan.cases]):
        assert len(set(names)) == 157


def test_size_ranges_hold_the_parameters(cases: tuple[Case, ...]) -> None:
    for case in cases:
        low, high = parameters(case.serving.size_min), parameters(case.serving.size_max)
        assert 0 < low <= case.parameters <= high, case.id


def test_gpus_are_the_plans_also_over_several_nodes(cases: tuple[Case, ...]) -> None:
    for case in cases:
        assert case.serving.tensor_parallel == case.gpus, case.id
        assert case.serving.gpus_per_node == min(8, case.gpus), case.id
        assert case.multinode == (case.gpus > 8), case.id
    spread = {case.name: case.serving.nodes for case in cases if case.multinode}
    assert spread["DeepSeek-R1"] == 4
    assert spread["grok-1"] == 2
    assert len(spread) == 9


def test_models_without_text_start_as_embedding_servers(cases: tuple[Case, ...]) -> None:
    pooled = {ProbeKind.EMBEDDING, ProbeKind.RERANK, ProbeKind.REWARD, ProbeKind.CLASSIFY}
    for case in cases:
        assert ("--is-embedding" in case.serving.extra_args) == (case.probe in pooled), case.id


def test_no_engine_argument_is_a_template_for_the_platform(cases: tuple[Case, ...]) -> None:
    assert not [case.id for case in cases if "{{" in " ".join(case.serving.extra_args)]


@pytest.mark.parametrize(
    ("case_id", "phase"),
    [
        ("HuggingFaceTB/SmolLM-135M", 1),
        ("Qwen/Qwen3-8B", 1),
        ("google/gemma-2b", 1),
        ("google/gemma-2-27b", 2),
        ("meta/Llama-3.2-1B-Instruct", 2),
        ("meta/Llama-2-70b-hf", 3),
        ("Qwen/Qwen2.5-72B", 3),
        ("nvidia/Llama-3.1-Nemotron-Nano-8B-v1", 3),
        ("deepseek-ai/DeepSeek-V2", 2),
        ("deepseek-ai/DeepSeek-V3", 4),
        ("moonshotai/Kimi-VL-A3B-Instruct", 4),
        ("xai-org/grok-1", 4),
        ("adept/persimmon-8b-chat", 1),
        ("databricks/dbrx-instruct", 3),
    ],
)
def test_phases_follow_the_plans_priority_order(plan: Plan, case_id: str, phase: int) -> None:
    assert plan.by_id()[case_id].phase == phase


def test_the_same_weights_from_two_vendors_are_two_cases(plan: Plan) -> None:
    pairs = [(plan.by_id()[f"{vendor}/gpt-oss-20b"]) for vendor in ("lmsys", "openai")]
    assert [case.resource_name for case in pairs] == ["gpt-oss-20b-bf16", "gpt-oss-20b"]
    assert [case.hub_id for case in pairs] == ["lmsys/gpt-oss-20b-bf16", "openai/gpt-oss-20b"]


def test_gated_rows_are_those_of_the_facts(cases: tuple[Case, ...]) -> None:
    gated = [case for case in cases if case.gated]
    assert len(gated) == 47
    assert {"google", "meta", "bigcode", "mistralai"} <= {case.vendor for case in gated}


def test_the_tiers_limits_are_the_plans() -> None:
    campaign = load_campaign(ROOT / "config")
    assert [(tier.name, tier.limit) for tier in campaign.tiers] == [("gpu1", 10), ("gpu2", 5), ("gpu4", 3), ("gpu8", 1)]
    assert [campaign.tier_of(gpus).name for gpus in (1, 2, 4, 8, 16, 32)] == ["gpu1", "gpu2", "gpu4"] + ["gpu8"] * 3
    assert (campaign.gpu_budget, campaign.gpus_per_test, campaign.hardware.gpus) == (112, 32, 112)
    assert (campaign.nodes_wanted, campaign.nodes_minimum) == (3, 1)


def test_a_tree_without_a_plan_of_its_own_gets_the_built_in_one(tmp_path: Path, cases: tuple[Case, ...]) -> None:
    assert load_plan(tmp_path).cases == cases
    assert load_campaign(tmp_path) == load_campaign(ROOT / "config")
