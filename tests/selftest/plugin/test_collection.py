"""Collection: one item per model, markers that select, the same everywhere, and no cluster in sight."""

from __future__ import annotations

import pytest

from pytest_modelrt.plan.load import load_plan
from tests.selftest.plugin.conftest import CONFIG, Collect


def test_one_item_per_row_of_the_plan_in_its_order(collect: Collect) -> None:
    expected = [f"test_campaign.py::test_model[{case.id}]" for case in load_plan(CONFIG).cases]
    assert collect() == expected
    assert len(expected) == 157


@pytest.mark.parametrize(
    ("selection", "count"),
    [(["-k", "Qwen"], 33), (["-m", "gpu1"], 85), (["-m", "vendor_qwen"], 25), (["-m", "gated"], 47)],
)
def test_selections(collect: Collect, selection: list[str], count: int) -> None:
    assert len(collect(*selection)) == count


def test_llama_without_vision(collect: Collect) -> None:
    found = collect("-k", "llama and not vision")
    assert found
    assert all("llama" in nodeid.lower() and "vision" not in nodeid.lower() for nodeid in found)


def test_markers_of_every_case_are_registered(campaign: pytest.Pytester) -> None:
    text = campaign.runpytest("--markers").stdout.str()
    for name in {name for case in load_plan(CONFIG).cases for name in case.markers}:
        assert f"@pytest.mark.{name}:" in text


def test_an_unknown_marker_is_refused(campaign: pytest.Pytester) -> None:
    campaign.makepyfile(test_own="import pytest\n\n@pytest.mark.gpu3\ndef test_a(case):\n    pass\n")
    result = campaign.runpytest("test_own.py")
    result.assert_outcomes(errors=1)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("nodes=3", "*marker modelrt has no 'nodes', only nodes_wanted, repair"),
        ("nodes_wanted=0", "*marker modelrt: nodes_wanted=0 is not possible"),
        ("'off'", "*marker modelrt takes its settings by name"),
    ],
)
def test_a_marker_with_impossible_settings_is_a_usage_error(
    campaign: pytest.Pytester, marker: str, message: str
) -> None:
    campaign.makepyfile(test_own=f"import pytest\n\n@pytest.mark.modelrt({marker})\ndef test_a(case):\n    pass\n")
    result = campaign.runpytest_subprocess("test_own.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_the_users_own_tests_run_once_per_model(campaign: pytest.Pytester) -> None:
    campaign.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.parametrize("size", [1, 2])
        def test_latency(endpoint, size):
            pass
        """
    )
    result = campaign.runpytest("test_own.py", "--collect-only", "-q", "-k", "Qwen3-8B")
    assert sorted(line for line in result.outlines if "::" in line) == [
        "test_own.py::test_latency[Qwen/Qwen3-8B-1]",
        "test_own.py::test_latency[Qwen/Qwen3-8B-2]",
    ]


def test_a_broken_plan_is_one_error_with_file_and_line(campaign: pytest.Pytester) -> None:
    tree = campaign.mkdir("tree")
    (tree / "plan.yaml").write_text("models:\n  - vendor: Qwen\n    name: Qwen3-8B\n    gpus: many\n")
    (tree / "campaign.yaml").write_text((CONFIG / "campaign.yaml").read_text())
    result = campaign.runpytest_subprocess("--modelrt-config", str(tree))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *plan.yaml:*"])
    result.stderr.no_fnmatch_line("*Traceback*")
