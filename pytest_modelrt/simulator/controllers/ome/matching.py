"""Whether a serving runtime supports a model, and if not, OME's words for it (facts: ome.md, 3.2, 3.3, 4.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.ome.versions import compatible
from pytest_modelrt.simulator.controllers.profile import Profile

Spec = Mapping[str, Any]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([TBM])")
_SCALES = {"T": 1e12, "B": 1e9, "M": 1e6}


class MismatchError(Exception):
    """A runtime cannot serve a model; the text is OME's."""


class PanicError(Exception):
    """The comparison itself breaks down: OME follows a pointer that a half-given size range leaves empty."""

    def __init__(self) -> None:
        super().__init__("panic: runtime error: invalid memory address or nil pointer dereference [recovered]")


def check_runtime(runtime_name: str, runtime: Spec, model: Spec, profile: Profile) -> None:
    """Raise ``MismatchError`` unless the runtime's spec supports the model's spec; ``PanicError`` as OME does."""
    format_name = (model.get("modelFormat") or {}).get("name")
    if not format_name:
        raise MismatchError("invalid model specification: modelFormat.name: model format name is required")
    reasons = []
    for supported in runtime.get("supportedModelFormats") or []:
        reason = _mismatch(supported, model, profile)
        if not reason:
            break
        reasons.append(reason)
    else:
        text = f"model format '{_label(model)}' not in supported formats"
        if profile.detailed_mismatch and reasons:
            text += ": " + "; ".join(reasons)
        raise MismatchError(f"runtime {runtime_name} does not support model {format_name}: {text}")
    _check_size(runtime_name, runtime, model, format_name)


def size_of(text: str) -> float:
    """Parameters of ``8.03B``; 0 for anything OME cannot read, such as ``7b`` or ``700K``."""
    match = _SIZE.fullmatch(text)
    return float(match[1]) * _SCALES[match[2]] if match else 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome of choosing a runtime for a model that names none."""

    runtime: Object | None
    problem: str = ""


def select_runtime(
    model: Spec, namespace: str, namespaced: Iterable[Object], cluster: Iterable[Object], profile: Profile
) -> Selection:
    """The best enabled, compatible runtime with an auto-selectable format; namespaced ones first."""
    groups = (list(namespaced), list(cluster))
    excluded: list[str] = []
    for group in groups:
        candidates = []
        for runtime in group:
            reason, score = _candidate(runtime, model, profile)
            name = runtime["metadata"]["name"]
            if reason:
                excluded.append(f"{name} ({reason})")
            else:
                candidates.append((-score, _distance(runtime["spec"], model), name, runtime))
        if candidates:
            return Selection(min(candidates, key=lambda candidate: candidate[:3])[3])
    format_name = (model.get("modelFormat") or {}).get("name", "")
    local, shared = map(len, groups)
    problem = (
        f"no runtime found to support model {format_name} with format {format_name} in namespace {namespace}. "
        f"Checked {local + shared} runtimes ({local} namespace-scoped, {shared} cluster-scoped)."
    )
    if excluded:
        problem += f" Excluded runtimes: {'; '.join(excluded)}"
    return Selection(None, problem)


def _candidate(runtime: Object, model: Spec, profile: Profile) -> tuple[str, int]:
    """Why the runtime is excluded (empty if it is not), and its score."""
    spec = runtime["spec"]
    if spec.get("disabled"):
        return "runtime is disabled", 0
    try:
        check_runtime(runtime["metadata"]["name"], spec, model, profile)
    except MismatchError as error:
        return str(error), 0
    scores = [
        _score(entry)
        for entry in spec.get("supportedModelFormats") or []
        if entry.get("autoSelect") and not _mismatch(entry, model, profile)
    ]
    if not scores or max(scores) <= 0:
        return "no auto-selectable format", 0
    return "", max(scores)


def _score(entry: Spec) -> int:
    priority = int(entry.get("priority", 1))
    weights = (entry["modelFormat"].get("weight") or 10) + (entry["modelFramework"].get("weight") or 5)
    return int(weights) * priority


def _distance(runtime: Spec, model: Spec) -> float:
    bounds = runtime.get("modelSizeRange") or {}
    size = size_of(model.get("modelParameterSize") or "")
    return abs(size_of(bounds.get("min", "")) - size) + abs(size_of(bounds.get("max", "")) - size)


def _check_size(runtime_name: str, runtime: Spec, model: Spec, format_name: str) -> None:
    bounds, size = runtime.get("modelSizeRange"), model.get("modelParameterSize")
    if bounds is None or size is None:
        return
    low, high = bounds.get("min"), bounds.get("max")
    if low is None or high is None:
        raise PanicError
    if not size_of(low) <= size_of(size) <= size_of(high):
        text = f"model size {size} is outside supported range [{low}, {high}]"
        raise MismatchError(f"runtime {runtime_name} does not support model {format_name}: {text}")


def _label(model: Spec) -> str:
    """``mt:safetensors:1.0.0:Qwen3ForCausalLM:transformers:4.51.0``: what the model is, in one word."""
    form, framework = model.get("modelFormat") or {}, model.get("modelFramework") or {}
    parts = [
        form.get("name"),
        form.get("version"),
        model.get("modelArchitecture"),
        model.get("quantization"),
        framework.get("name"),
        framework.get("version"),
    ]
    return ":".join(["mt", *(str(part) for part in parts if part)])


def _mismatch(entry: Spec, model: Spec, profile: Profile) -> str:
    """Why this supported format does not take the model; empty if it does."""
    reasons = [
        *(_pipeline(model, entry) if profile.diffusion_pipelines else ()),
        _symmetric("architecture", model.get("modelArchitecture"), entry.get("modelArchitecture")),
        _symmetric("quantization", model.get("quantization"), entry.get("quantization")),
        _named("format", model.get("modelFormat"), entry.get("modelFormat"), profile),
        _named("framework", model.get("modelFramework"), entry.get("modelFramework"), profile),
    ]
    return ", ".join(reason for reason in reasons if reason)


def _symmetric(what: str, model: str | None, runtime: str | None) -> str:
    """An attribute that both sides have, equal, or neither; an empty text is one that is there."""
    if model == runtime:
        return ""
    if runtime is None:
        return f"model has {what} {model} but runtime has no {what} requirement"
    if model is None:
        return f"model has no {what} but runtime requires {runtime}"
    return f"{what} mismatch (model={model}, runtime={runtime})"


def _named(what: str, model: Spec | None, runtime: Spec | None, profile: Profile) -> str:
    if model is None or runtime is None:
        return _symmetric(what, _name(model), _name(runtime))
    if model.get("name") != runtime.get("name"):
        return f"{what} name mismatch (model={model.get('name')}, runtime={runtime.get('name')})"
    mine, wanted = model.get("version"), runtime.get("version")
    if mine is None and wanted is None:
        return ""
    if mine is None:
        return f"model has no {what} version but runtime requires {wanted}"
    if wanted is None:
        return f"model has {what} version but runtime has no version requirement"
    if compatible(mine, wanted, runtime.get("operator") or "Equal", lenient=profile.lenient_versions):
        return ""
    return f"{what} version mismatch (model={mine}, runtime={wanted})"


def _name(named: Spec | None) -> str | None:
    return None if named is None else str(named.get("name"))


def _pipeline(model: Spec, entry: Spec) -> list[str]:
    """A runtime without a pipeline takes any; otherwise the class and each part it lists must be the model's."""
    ours, theirs = model.get("diffusionPipeline") or {}, entry.get("diffusionPipeline") or {}
    return [
        f"diffusion pipeline {part} mismatch (model={ours.get(part)}, runtime={wanted})"
        for part, wanted in theirs.items()
        if ours.get(part) != wanted
    ]
