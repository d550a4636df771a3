"""A download that failed on the nodes chosen for it is tried on all of them before it is given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_modelrt.cluster.model import MANAGED_BY, MANAGER, RUN_ID
from pytest_modelrt.plan.load import load_campaign
from pytest_modelrt.stacks.ome import OmeStack
from pytest_modelrt.stacks.protocol import StackRequest
from tests.selftest.cluster.scripted import Answer, Asked, Stream, listing
from tests.selftest.stacks.conftest import CONFIG, OnScript


def test_what_fails_on_chosen_nodes_goes_to_all(context: OnScript, tmp_path: Path) -> None:
    applied: list[Any] = []

    def script(asked: Asked) -> Answer | Stream:
        if asked.watching:
            return Stream(())
        if asked.body is not None:
            applied.append(asked.body["spec"]["storage"].get("nodeAffinity"))
        if "/clusterbasemodels/" not in asked.path:
            return listing()
        status = {"state": "Ready", "nodesReady": ["a", "b", "c"]}
        metadata = {"name": "m", "resourceVersion": "9", "labels": {MANAGED_BY: MANAGER, RUN_ID: "r"}}
        return Answer(body={"metadata": metadata, "status": status})

    made = context(script)
    campaign, told = load_campaign(CONFIG), list[str]()
    request = StackRequest(
        made.case, made.cluster, campaign, CONFIG, tmp_path, made.owner, lambda what, data: told.append(what),
        nodes=("gpu-node-01", "gpu-node-02", "gpu-node-03"),
    )  # fmt: skip
    stack = OmeStack(request)
    stack.apply_model()
    assert stack.mend("crashloop-weights") == ()
    (change,) = stack.mend("disk-full")
    assert "gpu-node-01, gpu-node-02, gpu-node-03" in change
    stack.apply_model()
    assert stack.mend("disk-full") == ()
    assert [affinity is not None for affinity in applied] == [True, False]
    assert told.count("download-nodes") == 1
