"""A model for a few nodes: what is applied, and what stays as its file says."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.simulator.controllers.placement import selects_node
from pytest_modelrt.stacks.ome.download_nodes import nodes_of, placed

MODEL: dict[str, Any] = {
    "metadata": {"name": "m"},
    "spec": {"storage": {"storageUri": "hf://a/b", "path": "/raid/a"}, "vendor": "a"},
}


def node(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": f"host-of-{name}"}}}


def test_only_the_chosen_nodes_select_the_model() -> None:
    applied = placed(MODEL, ("n1", "n3"))
    assert [name for name in ("n1", "n2", "n3") if selects_node(applied["spec"]["storage"], node(name))] == ["n1", "n3"]
    assert nodes_of(applied) == ("n1", "n3")
    assert applied["spec"]["storage"]["path"] == "/raid/a"
    assert "nodeAffinity" not in MODEL["spec"]["storage"], "the file's object was changed"


@pytest.mark.parametrize("own", [{"nodeSelector": {"pool": "a"}}, {"nodeAffinity": {"preferred": []}}])
def test_a_file_that_chooses_nodes_itself_is_applied_as_it_is(own: dict[str, Any]) -> None:
    model = {"spec": {"storage": {"storageUri": "hf://a/b", **own}}}
    assert placed(model, ("n1",)) is model
    assert nodes_of(model) == ()


def test_without_a_choice_nothing_is_added() -> None:
    assert placed(MODEL, ()) is MODEL
