"""Objects are found by kind and name, wherever and however a tree keeps them."""

from pathlib import Path

import pytest

from pytest_modelrt.manifests.tree import ConfigTree
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.problems import ConfigError

CONFIG = Path(__file__).parents[3] / "config"
PLAN = load_plan(CONFIG).by_id()
CASE = PLAN["Qwen/Qwen3-8B"]


@pytest.fixture
def irregular(tmp_path: Path) -> Path:
    files = {
        "models/qwen/3/The 8B one.yml": """\
# comment first
---
---
apiVersion: ome.io/v1beta1
kind: "ClusterBaseModel"   # quoted
metadata:
  # name: not-this
  labels: {name: not-this-either}
  name: 'qwen3-8b'
spec:
  storage:
    storageUri: hf://Qwen/Qwen3-8B
""",
        "runtimes/srt/all.yaml": """\
apiVersion: ome.io/v1beta1
kind: ClusterServingRuntime
metadata:
  name: srt-first
spec: {}
---
{"apiVersion": "ome.io/v1beta1", "kind": "ClusterServingRuntime", "metadata": {"name": "srt-odd"}, "spec": {}}
---
kind: ConfigMap
metadata: {name: srt-config}
""",
        "samples/isvc/x/random.yaml": """\
apiVersion: v1
kind: Namespace
metadata:
  name: qwen3-8b
---
apiVersion: ome.io/v1beta1
kind: InferenceService
metadata: {name: chat, namespace: qwen3-8b}
spec:
  engine: {minReplicas: 1}
  model: {name: qwen3-8b}
  runtime:
    name: srt-odd
""",
        "models/broken.yaml": "kind: ClusterBaseModel\n\tmetadata: {name: broken}\n",
        "models/latin.yaml": "kind: ClusterBaseModel\nmetadata: {name: ä}\n",
        "kustomization.yaml": "resources: [models]\n",
        ".git/hidden.yaml": "kind: ClusterBaseModel\nmetadata:\n  name: hidden\nspec: {}\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1" if "latin" in name else "utf-8"))
    return tmp_path


def test_irregular_files_are_found(irregular: Path) -> None:
    tree = ConfigTree.load(irregular)
    files = tree.case(CASE)
    assert files.model is not None
    assert files.runtime is not None
    assert files.service is not None
    assert (files.model.path.name, files.model.line, files.model.name) == ("The 8B one.yml", 4, "qwen3-8b")
    assert (files.runtime.path.name, files.runtime.line, files.runtime.document) == ("all.yaml", 7, 1)
    assert (files.service.name, files.service.line) == ("chat", 6)
    assert files.service.object["spec"]["runtime"] == {"name": "srt-odd"}
    assert tree.service("qwen3-8b") == tree.service("chat")


def test_only_our_kinds_are_listed_and_broken_files_break_nothing(irregular: Path) -> None:
    names = [(entry.kind, entry.name) for entry in ConfigTree.load(irregular).entries]
    assert names == [
        ("ClusterBaseModel", "qwen3-8b"),
        ("ClusterServingRuntime", "srt-first"),
        ("ClusterServingRuntime", "srt-odd"),
        ("InferenceService", "chat"),
    ]


def test_crlf_and_byte_order_mark_are_no_obstacle(tmp_path: Path) -> None:
    text = "\ufeffapiVersion: ome.io/v1beta1\r\nkind: ClusterBaseModel\r\nmetadata:\r\n  name: m\r\nspec: {}\r\n"
    (tmp_path / "m.yaml").write_bytes(text.encode())
    found = ConfigTree.load(tmp_path).model("m")
    assert found is not None
    assert found.text == text
    assert found.object["spec"] == {}


def test_a_model_of_another_name_is_found_by_its_repository(tmp_path: Path) -> None:
    text = "kind: ClusterBaseModel\nmetadata:\n  name: my-qwen\nspec:\n  storage:\n    storageUri: hf://Qwen/Qwen3-8B\n"
    (tmp_path / "m.yaml").write_text(text)
    found = ConfigTree.load(tmp_path).case(CASE)
    assert found.model is not None
    assert found.model.name == "my-qwen"
    assert found.runtime is None
    assert found.service is None


def test_what_is_not_there_is_none(irregular: Path) -> None:
    tree = ConfigTree.load(irregular)
    assert tree.model("hidden") is None
    assert tree.runtime("qwen3-8b") is None
    assert tree.service("nothing") is None


def test_one_case_reads_only_its_own_files(tmp_path: Path) -> None:
    for name in ("models/Qwen/Qwen3-8B.yaml", "runtimes/srt/Qwen/qwen3-8b-rt.yaml", "samples/isvc/Qwen/qwen3-8b.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((CONFIG / name).read_bytes())
    tree = ConfigTree.load(tmp_path)
    assert tree.case(CASE).model is not None
    assert "entries" not in vars(tree)


def test_a_broken_file_in_the_usual_place_is_named(tmp_path: Path) -> None:
    path = tmp_path / "models/Qwen/Qwen3-8B.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("kind: ClusterBaseModel\nmetadata:\n  name: qwen3-8b\nspec:\n  storage:\n    storageUri: 'open\n")
    with pytest.raises(ConfigError, match=r"Qwen3-8B.yaml:7: not YAML"):
        ConfigTree.load(tmp_path).case(CASE)


def test_dates_stay_text(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "kind: ClusterBaseModel\nmetadata:\n  name: m\n  annotations: {on-day: 2025-12-03}\nspec: {}\n"
    )
    found = ConfigTree.load(tmp_path).model("m")
    assert found is not None
    assert found.object["metadata"]["annotations"] == {"on-day": "2025-12-03"}


def test_no_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        ConfigTree.load(tmp_path / "nowhere")
