"""Names OME gives to things."""

from __future__ import annotations

import pytest

from pytest_modelrt.stacks.ome.names import Names, entry_key, node_label


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("qwen3-8b", "models.ome.io/clusterbasemodel.qwen3-8b"),
        ("m" * 32, "models.ome.io/clusterbasemodel." + "m" * 32),
        (
            "mistral-small-3-1-24b-instruct-2503",
            "models.ome.io/clusterbasemodel.a9fd7cf1-l-3-1-24b-instruct-2503",
        ),
    ],
)
def test_node_labels_of_long_names_are_hashed(model: str, label: str) -> None:
    assert node_label(model) == label
    assert len(label.rpartition("/")[2]) <= 63


def test_keys_and_references() -> None:
    assert entry_key("qwen3-8b") == "clusterbasemodel.qwen3-8b"
    names = Names.of("m", "srt-m", "s", "ns")
    assert [str(ref) for ref in names.all()] == [
        "ClusterBaseModel m",
        "ClusterServingRuntime srt-m",
        "Namespace ns",
        "InferenceService ns/s",
    ]
