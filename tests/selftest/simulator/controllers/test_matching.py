"""Runtime against model, and OME's words when they do not fit."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.simulator.controllers.ome.matching import MismatchError, check_runtime, select_runtime, size_of
from pytest_modelrt.simulator.controllers.profile import CURRENT, PROFILES

OLD = PROFILES["v0.1.4"]


def model(**changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "modelFramework": {"name": "transformers", "version": "4.51.0"},
        "modelArchitecture": "Qwen3ForCausalLM",
        "modelParameterSize": "8.19B",
    }
    return {name: value for name, value in {**spec, **changes}.items() if value is not None}


def entry(**changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "modelFormat": {"name": "safetensors", "version": "1.0.0", "operator": "Equal", "weight": 1},
        "modelFramework": {"name": "transformers", "version": "4.51.0", "operator": "Equal", "weight": 1},
        "modelArchitecture": "Qwen3ForCausalLM",
    }
    return {name: value for name, value in {**spec, **changes}.items() if value is not None}


def runtime(*entries: dict[str, Any], low: str = "7B", high: str = "9B") -> dict[str, Any]:
    return {"supportedModelFormats": list(entries) or [entry()], "modelSizeRange": {"min": low, "max": high}}


def refusal(model_spec: dict[str, Any], runtime_spec: dict[str, Any], profile: Any = CURRENT) -> str:
    with pytest.raises(MismatchError) as caught:
        check_runtime("srt-x", runtime_spec, model_spec, profile)
    return str(caught.value)


def test_fits() -> None:
    check_runtime("srt-x", runtime(), model(), CURRENT)


def test_framework_version_mismatch_names_both_sides() -> None:
    text = refusal(model(modelFramework={"name": "transformers", "version": "4.47.0.dev0"}), runtime())
    assert text == (
        "runtime srt-x does not support model safetensors: model format "
        "'mt:safetensors:1.0.0:Qwen3ForCausalLM:transformers:4.47.0.dev0' not in supported formats: "
        "framework version mismatch (model=4.47.0.dev0, runtime=4.51.0)"
    )


def test_older_release_gives_no_reasons() -> None:
    text = refusal(model(modelArchitecture="GlmForCausalLM"), runtime(), OLD)
    assert text.endswith("'mt:safetensors:1.0.0:GlmForCausalLM:transformers:4.51.0' not in supported formats")


def test_several_reasons_of_several_entries() -> None:
    spec = runtime(entry(modelArchitecture="A", quantization="fp8"), entry(modelArchitecture=None))
    text = refusal(model(), spec)
    assert text.endswith(
        "architecture mismatch (model=Qwen3ForCausalLM, runtime=A), "
        "model has no quantization but runtime requires fp8; "
        "model has architecture Qwen3ForCausalLM but runtime has no architecture requirement"
    )


def test_any_entry_may_match() -> None:
    check_runtime("srt-x", runtime(entry(modelArchitecture="A"), entry()), model(), CURRENT)


def test_size_range() -> None:
    text = refusal(model(modelParameterSize="4B"), runtime(low="5B", high="9B"))
    assert text.endswith("safetensors: model size 4B is outside supported range [5B, 9B]")
    check_runtime("srt-x", runtime(low="8.19B", high="8.19B"), model(), CURRENT)


def test_model_without_format_name() -> None:
    text = refusal(model(modelFormat={"name": ""}), runtime())
    assert text == "invalid model specification: modelFormat.name: model format name is required"


@pytest.mark.parametrize(("text", "size"), [("1T", 1e12), ("8.03B", 8.03e9), ("135M", 135e6), ("7b", 0), ("700K", 0)])
def test_sizes(text: str, size: float) -> None:
    assert size_of(text) == pytest.approx(size)


def _named(name: str, spec: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {**spec, **top}}


def test_selection_prefers_score_then_distance_then_name() -> None:
    auto, eager = entry(autoSelect=True), entry(autoSelect=True, priority=2)
    cluster = [
        _named("wide", runtime(auto, low="1B", high="90B")),
        _named("b-close", runtime(auto, low="8B", high="9B")),
        _named("a-close", runtime(auto, low="8B", high="9B")),
    ]
    chosen = select_runtime(model(), "ns", [], cluster, CURRENT).runtime
    assert chosen is not None
    assert chosen["metadata"]["name"] == "a-close"
    eager_one = _named("zz", runtime(eager, low="1B", high="90B"))
    assert select_runtime(model(), "ns", [], [*cluster, eager_one], CURRENT).runtime is eager_one


def test_selection_explains_what_it_excluded() -> None:
    selection = select_runtime(
        model(), "ns", [], [_named("off", runtime(entry(autoSelect=True)), disabled=True)], CURRENT
    )
    assert selection.runtime is None
    assert selection.problem == (
        "no runtime found to support model safetensors with format safetensors in namespace ns. Checked 1 runtimes "
        "(0 namespace-scoped, 1 cluster-scoped). Excluded runtimes: off (runtime is disabled)"
    )
