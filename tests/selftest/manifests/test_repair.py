"""Repairs of the plan: what they change, what they leave, and what they say."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.manifests.compare import MismatchKind, compare
from pytest_modelrt.manifests.repair import nominal_sizes, repair_gated, repair_runtime, repaired_object
from pytest_modelrt.manifests.scaffold import model_path, render_model
from pytest_modelrt.manifests.tree import ConfigTree, ManifestFile
from pytest_modelrt.plan.load import load_plan

CONFIG = Path(__file__).parents[3] / "config"
PLAN = load_plan(CONFIG).by_id()
CASE = PLAN["Qwen/Qwen3-8B"]


@pytest.fixture
def runtime() -> ManifestFile:
    found = ConfigTree.load(CONFIG).runtime("srt-qwen3-8b")
    assert found is not None
    return found


def detected(**spec: Any) -> dict[str, Any]:
    given = {
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "modelFramework": {"name": "transformers", "version": "4.51.0"},
        "modelArchitecture": "Qwen3ForCausalLM",
        "modelParameterSize": "8.19B",
        **spec,
    }
    return {"spec": {key: value for key, value in given.items() if value is not None}}


def test_framework_architecture_and_size_become_the_models(runtime: ManifestFile) -> None:
    model = detected(
        modelFramework={"name": "transformers", "version": "4.52.0.dev0"},
        modelArchitecture="Qwen3NewForCausalLM",
        modelParameterSize="10.5B",
    )
    repair = repair_runtime(runtime, compare(model, runtime.object), nominal_sizes(CASE))
    assert [(change.field, change.old, change.new) for change in repair.changes] == [
        ("spec.supportedModelFormats[0].modelArchitecture", "Qwen3ForCausalLM", "Qwen3NewForCausalLM"),
        ("spec.supportedModelFormats[0].modelFramework.version", "4.51.0", "4.52.0.dev0"),
        ("spec.modelSizeRange.max", "9B", "10.5B"),
    ]
    assert repair.unrepaired == ()
    assert repair.warnings == ()
    assert compare(model, repaired_object(repair, runtime)) == []
    assert repair.changes[2].reason == "model size 10.5B is outside supported range [7B, 9B]"


def test_a_suspicious_size_is_said_and_the_range_holds_both(runtime: ManifestFile) -> None:
    model = detected(modelParameterSize="4B")
    repair = repair_runtime(runtime, compare(model, runtime.object), nominal_sizes(CASE))
    assert [(change.field, change.new) for change in repair.changes] == [("spec.modelSizeRange.min", "4B")]
    assert repair.warnings == ("suspicious metadata: the platform detected 4B where the plan says 8.19B",)
    limits = repaired_object(repair, runtime)["spec"]["modelSizeRange"]
    assert limits == {"min": "4B", "max": "9B"}


@pytest.mark.parametrize("size", ["0", "0B", "700K"])
def test_a_size_that_counts_as_nothing_opens_the_range_downwards(runtime: ManifestFile, size: str) -> None:
    model = detected(modelParameterSize=size)
    repair = repair_runtime(runtime, compare(model, runtime.object), nominal_sizes(CASE))
    assert repair.changes[0].new == "0B"
    assert compare(model, repaired_object(repair, runtime)) == []
    assert size in repair.warnings[0]


def test_half_a_range_gets_its_other_bound(tmp_path: Path, runtime: ManifestFile) -> None:
    half = runtime.with_text(runtime.text.replace("    max: 9B\n", ""))
    repair = repair_runtime(half, compare(detected(), half.object), nominal_sizes(CASE))
    assert repair.text == runtime.text.replace("max: 9B", "max: 8.19B")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"quantization": "fp8"}, MismatchKind.QUANTIZATION),
        ({"modelFormat": {"name": "pytorch", "version": "1.0.0"}}, MismatchKind.FORMAT),
        ({"modelFramework": {"name": "diffusers", "version": "4.51.0"}}, MismatchKind.FRAMEWORK),
        ({"modelFramework": {"name": "transformers"}}, MismatchKind.FRAMEWORK),
        ({"modelArchitecture": None}, MismatchKind.ARCHITECTURE),
    ],
)
def test_what_no_edit_may_hide_is_left(runtime: ManifestFile, given: dict[str, Any], kind: MismatchKind) -> None:
    repair = repair_runtime(runtime, compare(detected(**given), runtime.object))
    assert [mismatch.kind for mismatch in repair.unrepaired] == [kind]
    assert repair.text == runtime.text
    assert repair.diff == ""


def test_active_sizes_of_mixtures_are_no_nominal_sizes() -> None:
    assert nominal_sizes(PLAN["meta/Llama-4-Scout-17B-16E-Instruct"]) == ("108.64B",)
    assert nominal_sizes(PLAN["BAAI/bge-m3"]) == ("567.75M",)
    assert nominal_sizes(CASE) == ("8.19B", "8B")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_patch_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "srt" / "x-rt.yaml"
    file.parent.mkdir()
    source = CONFIG / "runtimes/srt/Qwen/qwen3-8b-rt.yaml"
    file.write_bytes(source.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n"))
    monkeypatch.chdir(tmp_path)
    runtime = ConfigTree.load("srt").runtime("srt-qwen3-8b")
    assert runtime is not None
    model = detected(modelParameterSize="4B", modelArchitecture="Other")
    repair = repair_runtime(runtime, compare(model, runtime.object))
    (tmp_path / "patch").write_bytes(repair.diff.encode())
    subprocess.run(["git", "apply", "--whitespace=nowarn", "patch"], cwd=tmp_path, check=True)
    assert file.read_bytes() == repair.text.encode()


def test_a_gated_model_gets_what_scaffold_writes_for_gated_rows(tmp_path: Path) -> None:
    gated = PLAN["meta/Llama-3.2-3B-Instruct"]
    file = tmp_path / model_path(gated)
    file.parent.mkdir(parents=True)
    lines = render_model(gated).splitlines(keepends=True)
    file.write_text("".join(lines[1:-1]))
    model = ConfigTree.load(tmp_path).model(gated.resource_name)
    assert model is not None
    repair = repair_gated(model)
    assert repair.text == render_model(gated)
    assert [change.field for change in repair.changes] == ["spec.storage.key", "comment"]
    again = repair_gated(model.with_text(repair.text))
    assert again.changes == ()
    assert again.diff == ""


def test_a_wrong_secret_is_replaced(tmp_path: Path) -> None:
    gated = PLAN["meta/Llama-3.2-3B-Instruct"]
    model = ManifestFile(tmp_path / "m.yaml", 0, render_model(gated).replace("hf-token", "other"))
    repair = repair_gated(model)
    assert [(change.old, change.new) for change in repair.changes] == [("other", "hf-token")]
    assert repair.text == render_model(gated)
