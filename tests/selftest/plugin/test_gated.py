"""Gated models: the plan's repair end to end, under each repair policy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_modelrt.journal.reader import read_run
from pytest_modelrt.journal.rundir import find_run
from pytest_modelrt.manifests.repair import GATED_COMMENT
from tests.selftest.plugin.conftest import CONFIG, SPEED

MODEL = "models/HuggingFaceTB/SmolLM-135M.yaml"
SCENARIO = "models:\n- match: smollm-135m\n  hub: {gated: true}\n"


@pytest.fixture
def tree(campaign: pytest.Pytester) -> Path:
    """A config tree of our own, whose model file names no token."""
    root = campaign.path / "tree"
    shutil.copytree(CONFIG, root)
    (campaign.path / "gated.yaml").write_text(SCENARIO)
    assert "hf-token" not in (root / MODEL).read_text()
    return root


def run(campaign: pytest.Pytester, tree: Path, *arguments: str, scenario: str = "gated.yaml") -> pytest.RunResult:
    return campaign.runpytest_subprocess(
        "-k", "SmolLM-135M", f"--modelrt-config={tree}", f"--modelrt-scenario={campaign.path / scenario}",
        f"--modelrt-speed={SPEED}", *arguments,
    )  # fmt: skip


def test_the_token_is_named_beside_the_file_and_the_model_created_anew(campaign: pytest.Pytester, tree: Path) -> None:
    before = (tree / MODEL).read_bytes()
    result = run(campaign, tree)
    result.assert_outcomes(passed=1, deselected=156)
    assert (tree / MODEL).read_bytes() == before
    directory = find_run(campaign.path / "pages")
    patch = (directory / "repairs" / "smollm-135m-model.patch").read_text()
    assert f"+# {GATED_COMMENT}" in patch
    assert 'key: "hf-token"' in patch
    (trace,) = read_run(directory).traces
    assert trace.verdict is not None
    assert trace.verdict.retries == 1
    assert any(warning.startswith("retried after download-gated: ") for warning in trace.verdict.warnings)
    assert "spec.storage.key" in [repair["field"] for repair in trace.repairs]
    assert [retry["cause"] for retry in trace.retries] == ["download-gated"]


def test_the_file_is_edited_when_asked(campaign: pytest.Pytester, tree: Path) -> None:
    before = (tree / MODEL).read_text()
    run(campaign, tree, "--modelrt-repair=write").assert_outcomes(passed=1, deselected=156)
    after = (tree / MODEL).read_text()
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line.strip() for line in added] == [f"# {GATED_COMMENT}", 'key: "hf-token"']
    assert [line for line in after.splitlines() if line not in added] == before.splitlines()


def test_without_repair_it_is_said_what_to_do(campaign: pytest.Pytester, tree: Path) -> None:
    result = run(campaign, tree, "--modelrt-repair=off", "-rs")
    result.assert_outcomes(skipped=1, deselected=156)
    result.stdout.fnmatch_lines(["*download-gated*add storage.key: hf-token*huggingface.co/HuggingFaceTB/SmolLM-135M*"])


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("token: missing\n" + SCENARIO, "*download-gated*create Secret hf-token with key `token` in namespace ome*"),
        (SCENARIO.replace("true", "true, licence_accepted: false"), "*download-gated*the token was refused*licence*"),
    ],
    ids=["no-secret", "no-licence"],
)
def test_a_token_that_does_not_help_is_told_apart(
    campaign: pytest.Pytester, tree: Path, scenario: str, said: str
) -> None:
    (campaign.path / "useless.yaml").write_text(scenario)
    result = run(campaign, tree, "-rs", scenario="useless.yaml")
    result.assert_outcomes(skipped=1, deselected=156)
    result.stdout.fnmatch_lines([said])
