"""Does a runtime support a model? The platform's own rules, evaluated before the platform is asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_modelrt.manifests.objects import Object, mapping
from pytest_modelrt.manifests.versions import Profile, compatible
from pytest_modelrt.plan.sizes import parameters

NO_FORMATS = "no supported formats"


class MismatchKind(StrEnum):
    """What does not fit."""

    FRAMEWORK = "framework"
    ARCHITECTURE = "architecture"
    SIZE = "size"
    FORMAT = "format"
    QUANTIZATION = "quantization"
    DIFFUSION = "diffusion"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One reason why the platform refuses the pair."""

    kind: MismatchKind
    model: str | None
    """The model's value; None where it has none."""
    runtime: str | None
    message: str
    """In the platform's words."""
    field: str
    """Where the runtime says it, ``spec.supportedModelFormats[0].modelFramework.version``."""


def compare(model: Object, runtime: Object, profile: Profile = Profile.V0_1_5) -> list[Mismatch]:
    """Everything that keeps ``runtime`` from serving ``model``; empty where the platform accepts the pair.

    A runtime may list several formats, any of which may fit; where none does, the nearest one's reasons are given.
    """
    spec, wanted = mapping(runtime, "spec"), mapping(model, "spec")
    if spec.get("disabled"):
        name = mapping(runtime, "metadata").get("name")
        scope = "namespace" if runtime.get("kind") == "ServingRuntime" else "cluster"
        message = f"{scope}-scoped runtime {name} is disabled"
        return [Mismatch(MismatchKind.DISABLED, None, "true", message, "spec.disabled")]
    if not mapping(wanted, "modelFormat").get("name"):
        message = "invalid model specification: modelFormat.name: model format name is required"
        return [Mismatch(MismatchKind.FORMAT, None, None, message, "spec.supportedModelFormats")]
    return [*_nearest(wanted, spec, profile), *_size(wanted, spec)]


def platform_reason(model: Object, mismatches: list[Mismatch], profile: Profile = Profile.V0_1_5) -> str:
    """The reason the platform's event would carry; only the formats' one where formats and size both fail."""
    if not mismatches:
        return ""
    unnamed = not mapping(mapping(model, "spec"), "modelFormat").get("name")
    if unnamed or mismatches[0].kind in (MismatchKind.SIZE, MismatchKind.DISABLED):
        return mismatches[0].message
    label = f"model format '{model_label(model)}' not in supported formats"
    details = ", ".join(found.message for found in mismatches if found.kind != MismatchKind.SIZE)
    return label if profile == Profile.V0_1_4 or details == NO_FORMATS else f"{label}: {details}"


def model_label(model: Object) -> str:
    """The label the platform makes of a model: ``mt:safetensors:1.0.0:LlamaForCausalLM:transformers:4.45.0``."""
    spec = mapping(model, "spec")
    model_format, framework = mapping(spec, "modelFormat"), mapping(spec, "modelFramework")
    parts = [
        "mt",
        model_format.get("name"),
        model_format.get("version"),
        spec.get("modelArchitecture"),
        spec.get("quantization"),
        framework.get("name"),
        framework.get("version"),
    ]
    return ":".join(str(part) for part in parts if part)


def _nearest(model: Mapping[str, Any], runtime: Mapping[str, Any], profile: Profile) -> list[Mismatch]:
    entries = runtime.get("supportedModelFormats")
    if not isinstance(entries, list) or not entries:
        field = "spec.supportedModelFormats"
        return [Mismatch(MismatchKind.FORMAT, _name(model, "modelFormat"), None, NO_FORMATS, field)]
    found = [
        _entry(model, entry if isinstance(entry, dict) else {}, f"spec.supportedModelFormats[{index}]", profile)
        for index, entry in enumerate(entries)
    ]
    return min(found, key=_distance)


def _distance(mismatches: list[Mismatch]) -> tuple[int, int]:
    """A format that needs another format or quantization is further away than one that can be repaired."""
    hard = sum(found.kind in (MismatchKind.FORMAT, MismatchKind.QUANTIZATION) for found in mismatches)
    return hard, len(mismatches)


def _entry(model: Mapping[str, Any], entry: Mapping[str, Any], field: str, profile: Profile) -> list[Mismatch]:
    found: list[Mismatch] = []
    if profile == Profile.V0_1_5:
        found += _diffusion(model, entry, field)
    found += _symmetric(model, entry, "modelArchitecture", MismatchKind.ARCHITECTURE, field)
    found += _symmetric(model, entry, "quantization", MismatchKind.QUANTIZATION, field)
    found += _named(model, entry, "modelFormat", MismatchKind.FORMAT, field, profile)
    found += _named(model, entry, "modelFramework", MismatchKind.FRAMEWORK, field, profile)
    return found


def _symmetric(
    model: Mapping[str, Any], entry: Mapping[str, Any], key: str, kind: MismatchKind, field: str
) -> list[Mismatch]:
    """Both sides name the same, or neither names anything."""
    ours, theirs = _text(model.get(key)), _text(entry.get(key))
    if ours == theirs:
        return []
    if theirs is None:
        message = f"model has {kind} {ours} but runtime has no {kind} requirement"
    elif ours is None:
        message = f"model has no {kind} but runtime requires {theirs}"
    else:
        message = f"{kind} mismatch (model={ours}, runtime={theirs})"
    return [Mismatch(kind, ours, theirs, message, f"{field}.{key}")]


def _named(
    model: Mapping[str, Any], entry: Mapping[str, Any], key: str, kind: MismatchKind, field: str, profile: Profile
) -> list[Mismatch]:
    """Format and framework: the same name, and versions that are compatible or missing on both sides."""
    ours, theirs = _optional(model.get(key)), _optional(entry.get(key))
    place = f"{field}.{key}"
    if ours is None and theirs is None:
        return []
    our_name, their_name = _text((ours or {}).get("name")), _text((theirs or {}).get("name"))
    if theirs is None:
        message = f"model has {kind} {our_name} but runtime has no {kind} requirement"
        return [Mismatch(kind, our_name, None, message, place)]
    if ours is None:
        return [Mismatch(kind, None, their_name, f"model has no {kind} but runtime requires {their_name}", place)]
    if our_name != their_name:
        message = f"{kind} name mismatch (model={our_name}, runtime={their_name})"
        return [Mismatch(kind, our_name, their_name, message, f"{place}.name")]
    return _version(_text(ours.get("version")), theirs, kind, place, profile)


def _version(
    ours: str | None, entry: Mapping[str, Any], kind: MismatchKind, place: str, profile: Profile
) -> list[Mismatch]:
    theirs = _text(entry.get("version"))
    operator = str(entry.get("operator") or "Equal")
    if ours is None and theirs is None:
        return []
    if theirs is None:
        message = f"model has {kind} version but runtime has no version requirement"
    elif ours is None:
        message = f"model has no {kind} version but runtime requires {theirs}"
    elif compatible(ours, theirs, operator, profile):
        return []
    else:
        message = f"{kind} version mismatch (model={ours}, runtime={theirs})"
    return [Mismatch(kind, ours, theirs, message, f"{place}.version")]


def _diffusion(model: Mapping[str, Any], entry: Mapping[str, Any], field: str) -> list[Mismatch]:
    """A runtime without a pipeline takes any; otherwise the class and each part it lists must be the model's."""
    theirs = _optional(entry.get("diffusionPipeline"))
    if theirs is None:
        return []
    ours = mapping(model, "diffusionPipeline")
    wrong = [key for key, value in theirs.items() if value is not None and ours.get(key) != value]
    place = f"{field}.diffusionPipeline"
    return [
        Mismatch(
            MismatchKind.DIFFUSION,
            _text(ours.get(key)),
            _text(theirs[key]),
            f"diffusion pipeline {key} mismatch (model={ours.get(key)}, runtime={theirs[key]})",
            f"{place}.{key}",
        )
        for key in wrong
    ]


def _size(model: Mapping[str, Any], runtime: Mapping[str, Any]) -> list[Mismatch]:
    """The model's size, where it has one, within both bounds; unreadable sizes count as 0."""
    size, limits = _text(model.get("modelParameterSize")), _optional(runtime.get("modelSizeRange"))
    if size is None or limits is None:
        return []
    low, high = _text(limits.get("min")), _text(limits.get("max"))
    shown = f"[{low or ''}, {high or ''}]"
    if low is None or high is None:
        missing = "min" if low is None else "max"
        message = f"model size range {shown} lacks one bound, which the platform cannot evaluate"
        return [Mismatch(MismatchKind.SIZE, size, shown, message, f"spec.modelSizeRange.{missing}")]
    if parameters(low) <= parameters(size) <= parameters(high):
        return []
    bound = "min" if parameters(size) < parameters(low) else "max"
    message = f"model size {size} is outside supported range {shown}"
    return [Mismatch(MismatchKind.SIZE, size, shown, message, f"spec.modelSizeRange.{bound}")]


def _optional(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _name(source: Mapping[str, Any], key: str) -> str | None:
    return _text(mapping(source, key).get("name"))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
