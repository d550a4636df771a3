"""Bad plan and campaign files end in one clear error that names all places."""

import pickle
from pathlib import Path

import pytest

from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.problems import ConfigError

CONFIG = Path(__file__).parents[3] / "config"
PLAN = (CONFIG / "plan.yaml").read_text(encoding="utf-8")
CAMPAIGN = (CONFIG / "campaign.yaml").read_text(encoding="utf-8")
BOMB = b"a0: &a0 [x]\n" + b"".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n".encode() for level in range(1, 10)
)


def plan_error(directory: Path, content: str | bytes) -> ConfigError:
    (directory / "plan.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_plan(directory)
    return caught.value


def campaign_error(directory: Path, content: str) -> ConfigError:
    (directory / "campaign.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_campaign(directory)
    return caught.value


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ("  probe: completion\n", "", "models[0].probe", ["is missing", "add it"]),
        ("  probe: completion\n", "  prob: completion\n", "models[0].prob", ["unknown field", "did you mean 'probe'?"]),
        ("probe: completion", "probe: chatt", "models[0].probe", ["unknown value 'chatt'", "did you mean 'chat'?"]),
        ("gpus: 1\n", "gpus: one\n", "models[0].gpus", ["'one'", "4 or 32+"]),
        ("gpus: 1\n", "gpus: 0\n", "models[0].gpus", ["0 is too small"]),
        ("gpus: 1\n", "gpus: 12\n", "models[0].gpus", ["12 GPUs do not fill whole nodes of 8"]),
        ("gpus: 1\n", "gpus: [1]\n", "models[0].gpus", ["a list where a whole number is expected"]),
        ("gpus: 1\n", "gpus: 0x10\n", "models[0].gpus", ["0x10 is not a plain decimal number"]),
        ("weights_gb: 18.8", "weights_gb: -3", "models[0].weights_gb", ["out of range"]),
        ("weights_gb: 18.8", "weights_gb: .inf", "models[0].weights_gb", ["out of range"]),
        ("mem_fraction: 0.7", "mem_fraction: 1.7", "models[0].mem_fraction", ["at most 1"]),
        ("size: 8B", "size: 8", "models[0].size", ["a whole number (8) where text is expected", "put it in quotes"]),
        ("size: 8B", "size: ''", "models[0].size", ["is empty"]),
        ("chat_template: false", "chat_template: maybe", "models[0].chat_template", ["true or false"]),
        ("resource_name: persimmon-8b-chat", "resource_name: A_b", "models[0].resource_name", ["DNS label"]),
        ("parameter_size: 9.4B", "parameter_size: 9.4b", "models[0].parameter_size", ["8.03B"]),
        ("size_range: [6B, 10B]", "size_range: [6B, 9B]", "models[0].size_range", ["9.4B is outside 6B to 9B"]),
        ("size_range: [6B, 10B]", "size_range: 6B", "models[0].size_range", ["[6B, 10B]"]),
        ("extra_args: [--disable", "extra_args: [4, --disable", "models[0].extra_args[0]", ["put it in quotes"]),
        ("name: persimmon-8b-chat", "name: persimmon-8b-chat\n  name: again", "models[0].name", ["given twice"]),
        ("1: {cpu: 10, memory: 30Gi}", "1: {cpu: 10}", "defaults.resources.1.memory", ["is missing"]),
        ("  storage_root: /raid/models", "  storage_root: raid", "defaults.storage_root", ["absolute path"]),
    ],
)
def test_a_wrong_field_is_named_with_its_line_and_a_remedy(
    tmp_path: Path, old: str, new: str, field: str, words: list[str]
) -> None:
    error = plan_error(tmp_path, replaced(PLAN, old, new))
    problem = next(problem for problem in error.problems if problem.field == field)
    assert problem.file.endswith("plan.yaml")
    assert abs(problem.line - line_of(PLAN, old)) <= 14
    assert problem.remedy
    assert all(word in str(error) for word in words), str(error)


def test_all_problems_of_a_file_come_at_once_in_line_order(tmp_path: Path) -> None:
    text = replaced(PLAN, "gpus: 1\n", "gpus: one\n")
    text = replaced(text, "name: phi-4\n", "name: phi-2\n")
    text = replaced(text, "resource_name: phi-4\n", "resource_name: phi-2\n")
    text = replaced(text, "name: grok-1\n", "nam: grok-1\n")
    error = plan_error(tmp_path, text)
    assert [problem.field for problem in error.problems] == [
        "models[0].gpus",
        "models[91].name",
        "models[91].resource_name",
        "models[151].name",
        "models[151].nam",
    ]
    lines = [problem.line for problem in error.problems]
    assert lines == sorted(lines)
    assert lines[1] == line_of(text, "name: phi-2\n  size: 14B")
    first = line_of(text, "name: phi-2\n  size: 2.7B")
    assert f"'microsoft/phi-2' is already used in line {first}" in str(error)
    assert len(str(error).splitlines()) == 5


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (PLAN.replace("  name: bge-m3", "\tname: bge-m3"), PLAN[: PLAN.index("  name: bge-m3")].count("\n") + 1, "tab"),
        (b"defaults: {}\n# caf\xe9\n", 2, "not UTF-8 (byte 0xe9)"),
        (b"models: []\n" * 1_000_000, 0, "more than the 1,000,000"),
        (b"", 0, "the file is empty"),
        (b"# nothing but this\n", 0, "has no fields"),
        (b"models: 'open\n", 2, "not YAML"),
        (b"models: \x00\n", 1, "control characters"),
        (b"[" * 200_000, 1, "nested more than 64 levels deep"),
        (b"a: 1\n---\nb: 2\n", 0, "has 2 documents"),
        (b"- a\n- b\n", 1, "a list where fields are expected"),
        (b"a: &a [*a, *a]\nmodels: *a\n", 1, "aliases refer to themselves"),
        (b"a: &a [1, 2]\nb: &b [*a, *a]\nmodels: *b\n", 1, "unknown field"),
        (BOMB, 1, "multiply without end"),
        (b"models: !!python/object/apply:os.system [id]\n", 1, "models"),
    ],
    ids=[
        "tab",
        "latin-1",
        "large",
        "empty",
        "comments",
        "quote",
        "nul",
        "deep",
        "documents",
        "list",
        "cycle",
        "alias",
        "bomb",
        "tag",
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: str | bytes, line: int, words: str) -> None:
    error = plan_error(tmp_path, content)
    assert words in str(error)
    assert line in [problem.line for problem in error.problems]


def test_every_tab_is_shown(tmp_path: Path) -> None:
    text = PLAN.replace("  name: bge-m3", "\tname: bge-m3").replace("  name: phi-2", "\tname: phi-2")
    assert len(plan_error(tmp_path, text).problems) == 2


def test_a_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_bytes(b"\xef\xbb\xbf" + PLAN.replace("\n", "\r\n").encode())
    assert load_plan(tmp_path).cases == load_plan(CONFIG).cases


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such directory; name a config tree with --modelrt-config"):
        load_plan(tmp_path / "nowhere")


def test_the_error_survives_the_way_between_processes(tmp_path: Path) -> None:
    error = plan_error(tmp_path, "models: 3\ndefaults: 4\n")
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ("repair: overlay", "repair: always", "repair", "known: overlay, write, off"),
        ("gpu_budget: 112", "gpu_budget: 16", "gpus_per_test", "is more than gpu_budget"),
        ("nodes_minimum: 1", "nodes_minimum: 4", "nodes_minimum", "is more than nodes_wanted"),
        ("name: gpu2, min_gpus: 2", "name: gpu1, min_gpus: 2", "tiers[1].name", "already a tier"),
        ("min_gpus: 2, limit", "min_gpus: 1, limit", "tiers[1].min_gpus", "rising order"),
        ("  model_idle: 300", "  model_idel: 300", "deadlines.model_idel", "did you mean 'model_idle'?"),
        ("  pods_gone: 120", "  pods_gone: 2 minutes", "deadlines.pods_gone", "whole number"),
        ("  - {phase: 4}\n", "", "phases", "some cases have no phase"),
        ("limit: 10", "limit: 0", "tiers[0].limit", "too small"),
        ("tiers:", "tires:", "tires", "did you mean 'tiers'?"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, old: str, new: str, field: str, words: str) -> None:
    error = campaign_error(tmp_path, replaced(CAMPAIGN, old, new))
    assert field in [problem.field for problem in error.problems]
    assert words in str(error)


def test_a_plan_may_leave_the_settings_to_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_text("tiers: [{name: all, min_gpus: 1, limit: 2}]\nphases: []\n")
    campaign = load_campaign(tmp_path)
    assert campaign.tier_of(32).limit == 2
    assert campaign.deadlines.model_idle == 300
