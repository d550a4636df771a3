"""The files of config/scenarios: complete, valid, and each with the cause it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.causes.campaign import ROWS
from benchmarks.causes.trials import CONFIG, clusters, scenarios
from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.problems import ConfigError
from pytest_modelrt.simulator.scenario import Scenario
from pytest_modelrt.simulator.scenario.cluster import FileEdit
from pytest_modelrt.simulator.scenario.tree import write_tree

DIRECTORY = CONFIG / "scenarios"
PLATFORM = sorted(slug for slug in CAUSES if not slug.startswith(("gateway-", "maas-", "test-")))


@pytest.mark.parametrize("slug", PLATFORM)
def test_each_cause_has_a_scenario_that_expects_it(slug: str) -> None:
    expect = Scenario.load(slug, directory=DIRECTORY).file.expect
    assert expect is not None
    assert slug in (expect.cause, expect.warning)


def test_expectations_name_causes_and_cases_that_exist() -> None:
    names = {case.resource_name for case in load_plan(CONFIG).cases}
    for path, expect in scenarios():
        assert {expect.cause, expect.warning} - {None} <= CAUSES.keys(), path
        assert expect.model in names, path


def test_each_scenario_is_tried_once_and_on_a_model_of_its_own() -> None:
    tried = [(id(cluster), trial) for cluster in clusters() for trial in cluster.trials]
    assert sorted(trial.scenario for _, trial in tried) == sorted(path.stem for path, _ in scenarios())
    assert len({(cluster, trial.case.id) for cluster, trial in tried}) == len(tried)


def test_the_recorded_campaign_names_cases_and_causes_that_exist() -> None:
    names = {case.resource_name for case in load_plan(CONFIG).cases}
    for row in yaml.safe_load(ROWS.read_text(encoding="utf-8")):
        assert row["model"] in names
        assert row.get("cause") is None or row["cause"] in CAUSES
        assert (row.get("cause") is None) == (row["outcome"] == "passed")


def test_every_edit_of_the_tree_finds_its_place(tmp_path: Path) -> None:
    for path in sorted(DIRECTORY.glob("*.yaml")):
        edits = Scenario.load(path).file.files
        if edits:
            assert write_tree(CONFIG, tmp_path / path.stem, edits)


def test_an_edit_that_changes_nothing_is_a_mistake(tmp_path: Path) -> None:
    for number, edit in enumerate((FileEdit("no/such/file"), FileEdit("plan.yaml", replace="no such words", by="x"))):
        with pytest.raises(ConfigError, match=r"files\[0\]"):
            write_tree(CONFIG, tmp_path / str(number), (edit,))
