"""A runtime supports a model exactly where the platform says so."""

from typing import Any

import pytest

from pytest_modelrt.manifests.compare import MismatchKind, compare, platform_reason
from pytest_modelrt.manifests.objects import Object
from pytest_modelrt.manifests.versions import Profile, compatible, parse

OLD, NEW = Profile.V0_1_4, Profile.V0_1_5
UNSET: Any = object()


def model(**spec: Any) -> Object:
    given = {
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "modelFramework": {"name": "transformers", "version": "4.45.0"},
        "modelArchitecture": "LlamaForCausalLM",
        "modelParameterSize": "8.03B",
        **spec,
    }
    return {"kind": "ClusterBaseModel", "spec": {key: value for key, value in given.items() if value is not UNSET}}


def entry(**fields: Any) -> Object:
    given = {
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "modelFramework": {"name": "transformers", "version": "4.45.0"},
        "modelArchitecture": "LlamaForCausalLM",
        **fields,
    }
    return {key: value for key, value in given.items() if value is not UNSET}


def runtime(*entries: Object, **spec: Any) -> Object:
    given = {"supportedModelFormats": list(entries or [entry()]), "modelSizeRange": {"min": "7B", "max": "9B"}, **spec}
    return {
        "kind": "ClusterServingRuntime",
        "metadata": {"name": "srt-x"},
        "spec": {key: value for key, value in given.items() if value is not UNSET},
    }


def version(value: str) -> dict[str, str]:
    return {"name": "transformers", "version": value}


@pytest.mark.parametrize(
    ("ours", "theirs", "operator", "old", "new"),
    [
        ("4.45.0", "4.45.0", "Equal", True, True),
        ("4.45.0.dev0", "4.45.0.dev0", "Equal", True, True),
        ("4.45.0", "4.45.0.dev0", "Equal", False, False),
        ("4.45.0.dev0", "4.45.0", "Equal", False, False),
        ("4.45.0.dev0", "4.45.0.dev1", "Equal", False, False),
        ("4.43", "4.43.0", "Equal", False, True),
        ("4.43", "4.43", "Equal", False, True),
        ("4", "4.0.0", "Equal", False, True),
        ("v4.43.0", "4.43.0", "Equal", False, True),
        ("4.41.0rc1", "4.41.0rc1", "Equal", False, False),
        ("4.45.dev0", "4.45.dev0", "Equal", False, False),
        ("04.45.0", "04.45.0", "Equal", False, False),
        ("", "", "Equal", False, False),
        ("1.2.3.4", "1.2.3.4", "Equal", False, False),
        ("4.45.0", "4.46.0", "GreaterThan", True, True),
        ("4.45.0", "4.45.0", "GreaterThan", False, False),
        ("4.45.0", "4.45.0", "GreaterThanOrEqual", True, True),
        ("4.46.0", "4.45.0", "GreaterThanOrEqual", False, False),
        ("4.9.0", "4.10.0", "GreaterThan", True, True),
        ("4.45", "4.46.0", "GreaterThan", False, False),
        ("v4.45.0", "4.46.0", "GreaterThan", False, False),
        ("4.45.0.dev0", "4.46.0", "GreaterThan", False, False),
        ("4.45.0.dev0", "4.45.0.dev0", "GreaterThan", True, True),
        ("4.45.0-rc1", "4.45.0-rc1", "Equal", True, True),
        ("4.45.0+cu1", "4.45.0", "Equal", False, False),
    ],
)
def test_versions(ours: str, theirs: str, operator: str, old: bool, new: bool) -> None:
    assert compatible(ours, theirs, operator, OLD) is old
    assert compatible(ours, theirs, operator, NEW) is new
    framework = {"name": "transformers", "version": theirs, "operator": operator}
    for profile, expected in ((OLD, old), (NEW, new)):
        found = compare(model(modelFramework=version(ours)), runtime(entry(modelFramework=framework)), profile)
        assert (not found) is expected


def test_a_version_that_cannot_be_read_is_none() -> None:
    assert parse("4.41.0rc1") is None
    assert parse("4.43", OLD) is None
    assert parse("4.43", NEW) is not None


@pytest.mark.parametrize(
    ("given", "wanted", "kind", "message"),
    [
        (
            {"modelArchitecture": "GlmForCausalLM"},
            {"modelArchitecture": "ChatGLMModel"},
            MismatchKind.ARCHITECTURE,
            "architecture mismatch (model=GlmForCausalLM, runtime=ChatGLMModel)",
        ),
        (
            {},
            {"modelArchitecture": UNSET},
            MismatchKind.ARCHITECTURE,
            "model has architecture LlamaForCausalLM but runtime has no architecture requirement",
        ),
        (
            {"modelArchitecture": UNSET},
            {},
            MismatchKind.ARCHITECTURE,
            "model has no architecture but runtime requires LlamaForCausalLM",
        ),
        (
            {"quantization": "fp8"},
            {},
            MismatchKind.QUANTIZATION,
            "model has quantization fp8 but runtime has no quantization requirement",
        ),
        ({}, {"quantization": "fp8"}, MismatchKind.QUANTIZATION, "model has no quantization but runtime requires fp8"),
        (
            {"quantization": "fp8"},
            {"quantization": "int4"},
            MismatchKind.QUANTIZATION,
            "quantization mismatch (model=fp8, runtime=int4)",
        ),
        (
            {"modelFormat": {"name": "pytorch", "version": "1.0.0"}},
            {},
            MismatchKind.FORMAT,
            "format name mismatch (model=pytorch, runtime=safetensors)",
        ),
        (
            {"modelFormat": {"name": "SafeTensors", "version": "1.0.0"}},
            {},
            MismatchKind.FORMAT,
            "format name mismatch (model=SafeTensors, runtime=safetensors)",
        ),
        (
            {"modelFormat": {"name": "safetensors"}},
            {},
            MismatchKind.FORMAT,
            "model has no format version but runtime requires 1.0.0",
        ),
        (
            {},
            {"modelFormat": {"name": "safetensors"}},
            MismatchKind.FORMAT,
            "model has format version but runtime has no version requirement",
        ),
        (
            {"modelFramework": version("4.47.0.dev0")},
            {},
            MismatchKind.FRAMEWORK,
            "framework version mismatch (model=4.47.0.dev0, runtime=4.45.0)",
        ),
        (
            {"modelFramework": UNSET},
            {},
            MismatchKind.FRAMEWORK,
            "model has no framework but runtime requires transformers",
        ),
        (
            {},
            {"diffusionPipeline": {"className": "FluxPipeline"}},
            MismatchKind.DIFFUSION,
            "diffusion pipeline className mismatch (model=None, runtime=FluxPipeline)",
        ),
    ],
)
def test_one_sided_and_different_values(
    given: dict[str, Any], wanted: dict[str, Any], kind: MismatchKind, message: str
) -> None:
    found = compare(model(**given), runtime(entry(**wanted)))
    assert [(mismatch.kind, mismatch.message) for mismatch in found] == [(kind, message)]


def test_values_missing_on_both_sides_fit() -> None:
    bare = {"modelArchitecture": UNSET, "modelFramework": UNSET, "modelFormat": {"name": "safetensors"}}
    assert compare(model(**bare), runtime(entry(**bare))) == []


@pytest.mark.parametrize(
    ("size", "low", "high", "fits"),
    [
        ("8.03B", "7B", "9B", True),
        ("7B", "7B", "9B", True),
        ("9B", "7B", "9B", True),
        ("9.4B", "7B", "9B", False),
        ("4B", "5B", "9B", False),
        ("999.89M", "0.5B", "2B", True),
        ("1.03T", "900B", "1100B", True),
        ("7b", "5B", "9B", False),
        ("7b", "0B", "9B", True),
        ("700K", "100M", "1B", False),
        ("0", "100M", "1B", False),
        ("8B", "7b", "9B", True),
        ("8B", "7B", "9b", False),
        (UNSET, "7B", "9B", True),
        ("8B", None, "9B", False),
        ("8B", "7B", None, False),
        ("8B", UNSET, UNSET, True),
    ],
)
def test_sizes(size: str, low: str, high: str, fits: bool) -> None:
    limits = UNSET if low is UNSET else {"min": low, "max": high}
    found = compare(model(modelParameterSize=size), runtime(modelSizeRange=limits))
    assert (not found) is fits
    assert [mismatch.kind for mismatch in found] == [] if fits else [MismatchKind.SIZE]


def test_size_has_the_platforms_words() -> None:
    (found,) = compare(model(modelParameterSize="4B"), runtime(modelSizeRange={"min": "5B", "max": "9B"}))
    assert found.message == "model size 4B is outside supported range [5B, 9B]"
    assert found.field == "spec.modelSizeRange.min"


def test_any_format_of_the_list_may_fit() -> None:
    other = entry(modelArchitecture="Qwen2ForCausalLM")
    assert compare(model(), runtime(other, entry())) == []


def test_of_several_formats_the_nearest_is_explained() -> None:
    far = entry(modelFormat={"name": "onnx", "version": "1.0.0"}, modelArchitecture="Other")
    near = entry(modelFramework=version("4.44.0"))
    (found,) = compare(model(), runtime(far, near))
    assert found.field == "spec.supportedModelFormats[1].modelFramework.version"


def test_a_model_without_a_format_name_is_no_model_yet() -> None:
    (found,) = compare(model(modelFormat={"name": ""}), runtime())
    assert found.message == "invalid model specification: modelFormat.name: model format name is required"


def test_a_disabled_runtime_is_refused_first() -> None:
    (found,) = compare(model(modelFormat=UNSET), runtime(disabled=True))
    assert found.message == "cluster-scoped runtime srt-x is disabled"


def test_the_reason_of_the_event() -> None:
    given = model(modelFramework=version("4.47.0.dev0"), quantization="fp8", modelParameterSize="99B")
    found = compare(given, runtime())
    label = "model format 'mt:safetensors:1.0.0:LlamaForCausalLM:fp8:transformers:4.47.0.dev0' not in supported formats"
    assert platform_reason(given, found, OLD) == label
    assert platform_reason(given, found, NEW) == (
        f"{label}: model has quantization fp8 but runtime has no quantization requirement, "
        "framework version mismatch (model=4.47.0.dev0, runtime=4.45.0)"
    )
    assert platform_reason(model(), []) == ""
