"""Repairs the plan allows: a runtime that does not match its model, a gated model without its token. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_modelrt.manifests.compare import Mismatch, MismatchKind
from pytest_modelrt.manifests.edit import EditError, prepend_comment, set_value
from pytest_modelrt.manifests.objects import Object, mapping
from pytest_modelrt.manifests.tree import ManifestFile
from pytest_modelrt.plan.model import Case
from pytest_modelrt.plan.sizes import parameters

GATED_COMMENT = "This model is gated on HuggingFace and requires authentication"
TOKEN_SECRET = "hf-token"

_SUSPICIOUS = 1.3
"""A detected size this far off the plan's says more about the metadata than about the model."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a repair."""

    field: str
    old: str | None
    """None: the field was not there."""
    new: str
    reason: str
    """What it answers to, in the platform's words."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done to one file, and what was left."""

    file: str
    changes: tuple[Change, ...]
    text: str
    """The whole file with all changes."""
    unrepaired: tuple[Mismatch, ...] = ()
    """What no edit may hide: formats, quantization, missing metadata."""
    warnings: tuple[str, ...] = ()
    diff: str = ""
    """Unified diff that ``patch -p1`` takes."""


def repair_runtime(runtime: ManifestFile, mismatches: Sequence[Mismatch], nominal_sizes: Sequence[str] = ()) -> Repair:
    """The runtime file made to accept what the model says of itself.

    ``nominal_sizes``: what the plan knows of the model, see ``nominal_sizes``; a widened range holds them too.
    """
    text, changes, left, warnings = runtime.text, [], [], []
    for mismatch in mismatches:
        try:
            if mismatch.kind == MismatchKind.SIZE:
                text, done = _widen(text, runtime, mismatch, nominal_sizes)
                warnings += _suspicion(mismatch, nominal_sizes)
            else:
                text, done = _take_over(text, runtime, mismatch)
        except EditError as error:
            left.append(mismatch)
            warnings.append(f"{runtime.path}: not edited: {error}")
            continue
        changes += done
        if not done:
            left.append(mismatch)
    return _finish(runtime, text, changes, left, warnings)


def nominal_sizes(case: Case) -> tuple[str, ...]:
    """Sizes a widened range should hold: the parameters, and the plan's size where it means the same.

    The plan gives the active size of some mixtures of experts (``17B`` for 109B), which is no size to compare with.
    """
    size = parameters(case.size)
    close = size and 1 / _SUSPICIOUS <= case.parameters / size <= _SUSPICIOUS
    return (case.parameter_size, case.size) if close else (case.parameter_size,)


def repair_gated(model: ManifestFile, secret: str = TOKEN_SECRET) -> Repair:
    """The model file with the plan's comment and the Secret's name as ``spec.storage.key``."""
    storage = mapping(mapping(model.object, "spec"), "storage")
    old = storage.get("key")
    text, changes = model.text, []
    try:
        if old != secret:
            text = set_value(text, "spec.storage.key", secret, document=model.document, quoted=True)
            shown = None if old is None else str(old)
            changes.append(Change("spec.storage.key", shown, secret, "the hub asks for a token"))
        commented = prepend_comment(text, GATED_COMMENT, document=model.document)
    except EditError as error:
        return _finish(model, model.text, [], [], [f"{model.path}: not edited: {error}"])
    if commented != text:
        changes.append(Change("comment", None, GATED_COMMENT, "the hub asks for a token"))
    return _finish(model, commented, changes, [], [])


def _take_over(text: str, runtime: ManifestFile, mismatch: Mismatch) -> tuple[str, list[Change]]:
    """Framework version and architecture become the model's; nothing else may."""
    version = mismatch.kind == MismatchKind.FRAMEWORK and mismatch.field.endswith(".version")
    if mismatch.model is None or not (version or mismatch.kind == MismatchKind.ARCHITECTURE):
        return text, []
    text = set_value(text, mismatch.field, mismatch.model, document=runtime.document)
    return text, [Change(mismatch.field, mismatch.runtime, mismatch.model, mismatch.message)]


def _widen(
    text: str, runtime: ManifestFile, mismatch: Mismatch, nominal_sizes: Sequence[str]
) -> tuple[str, list[Change]]:
    limits = mapping(mapping(runtime.object, "spec"), "modelSizeRange")
    low, high = limits.get("min"), limits.get("max")
    sizes = [size for size in (mismatch.model, *nominal_sizes) if size and (parameters(size) or size == mismatch.model)]
    smallest, largest = min(sizes, key=parameters), max(sizes, key=parameters)
    changes: list[Change] = []
    for bound, old, new, wider in (
        ("min", low, smallest, low is None or parameters(smallest) < parameters(str(low))),
        ("max", high, largest, high is None or parameters(largest) > parameters(str(high))),
    ):
        if wider:
            readable = new if parameters(new) else "0B"
            field = f"spec.modelSizeRange.{bound}"
            text = set_value(text, field, readable, document=runtime.document)
            changes.append(Change(field, None if old is None else str(old), readable, mismatch.message))
    return text, changes


def _suspicion(mismatch: Mismatch, nominal_sizes: Sequence[str]) -> list[str]:
    detected = parameters(mismatch.model or "")
    nominal = next((size for size in nominal_sizes if parameters(size)), None)
    if nominal is None:
        return []
    expected = parameters(nominal)
    if detected and expected / _SUSPICIOUS <= detected <= expected * _SUSPICIOUS:
        return []
    return [f"suspicious metadata: the platform detected {mismatch.model} where the plan says {nominal}"]


def _finish(
    file: ManifestFile, text: str, changes: Sequence[Change], left: Sequence[Mismatch], warnings: Sequence[str]
) -> Repair:
    return Repair(
        file=str(file.path),
        changes=tuple(changes),
        text=text,
        unrepaired=tuple(left),
        warnings=tuple(warnings),
        diff=unified_diff(str(file.path), file.text, text),
    )


def unified_diff(path: str, before: str, after: str) -> str:
    """A patch of one file, empty where nothing changed."""
    path = path.lstrip("/")
    parts = []
    for line in difflib.unified_diff(_split(before), _split(after), f"a/{path}", f"b/{path}"):
        parts.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(parts)


def _split(text: str) -> list[str]:
    r"""Lines with their ends; only ``\n`` ends a line, as ``patch`` has it."""
    return [line + "\n" for line in text.split("\n")[:-1]] + ([rest] if (rest := text.rpartition("\n")[2]) else [])


def repaired_object(repair: Repair, file: ManifestFile) -> Object:
    """The object the repaired text holds in the place of ``file``."""
    return file.with_text(repair.text).object
