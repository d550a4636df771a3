"""When a reading of the agents' entries counts as movement."""

from __future__ import annotations

from typing import Any

from pytest_modelrt.stacks.ome.names import node_label
from pytest_modelrt.stacks.ome.node_entries import NodeEntries, labels_of


def entry(status: str, done: int = 0) -> dict[str, Any]:
    return {"status": status, "progress": {"completedBytes": done}}


def test_bytes_of_any_node_are_movement() -> None:
    before = NodeEntries(own={"n1": entry("Updating", 10), "n2": entry("Updating", 10)})
    after = NodeEntries(own={"n1": entry("Updating", 10), "n2": entry("Updating", 11)})
    assert before.fingerprint() != after.fingerprint()
    assert after.completed_bytes == 21
    assert after.with_status("Updating") == ["n1", "n2"]


def test_others_count_only_while_we_wait_behind_them() -> None:
    queue = NodeEntries(others={"big": {"n1": entry("Updating", 10)}})
    moved = NodeEntries(others={"big": {"n1": entry("Updating", 20)}})
    assert queue.fingerprint() != moved.fingerprint()
    own = {"n1": entry("Updating", 5)}
    stuck = NodeEntries(own=own, others=queue.others)
    still_stuck = NodeEntries(own=own, others=moved.others)
    assert stuck.fingerprint() == still_stuck.fingerprint()


def test_entries_without_progress_have_no_bytes() -> None:
    assert NodeEntries(own={"n1": {"status": "Ready"}}).completed_bytes == 0


def test_labels_of_nodes() -> None:
    nodes: list[dict[str, Any]] = [
        {"metadata": {"name": "n1", "labels": {node_label("m"): "Ready"}}},
        {"metadata": {"name": "n2"}},
    ]
    assert labels_of(nodes, "m") == {"n1": "Ready"}
