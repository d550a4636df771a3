"""The runtime as it must be for the model the platform found: compared, and repaired where policy allows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.journal.files import atomic_write
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.manifests.compare import Mismatch, compare
from pytest_modelrt.manifests.objects import mapping
from pytest_modelrt.manifests.repair import Repair, repair_gated, repair_runtime, repaired_object, unified_diff
from pytest_modelrt.manifests.tree import ManifestFile
from pytest_modelrt.manifests.versions import Profile
from pytest_modelrt.redaction import redact
from pytest_modelrt.stacks.ome.context import Context, dig
from pytest_modelrt.stacks.ome.files import CaseFiles
from pytest_modelrt.stacks.ome.platform import is_old
from pytest_modelrt.stacks.protocol import StackFailure


def fit_runtime(
    context: Context, files: CaseFiles, model: Object, policy: str, run_dir: Path
) -> tuple[Object, tuple[str, ...]]:
    """The runtime to apply, and warnings about what was changed.

    Raises:
        StackFailure: ``mismatch``, when it may not or must not be repaired.
    """
    mismatches = compare(model, files.runtime, profile_of(context))
    if not mismatches:
        return files.runtime, ()
    if dig(model, "spec", "modelFormat", "name") is None:
        detail = "the nodes hold the model and the platform has not read its configuration: "
        detail += "; ".join(mismatch.message for mismatch in mismatches)
        raise StackFailure(Stage.RUNTIME, "mismatch", detail, cause="metadata-unparsed")
    if policy == "off":
        raise _failure(mismatches)
    case = context.case
    repair = repair_runtime(files.runtime_file, mismatches, (case.parameter_size, case.size))
    if repair.unrepaired:
        raise _failure(list(repair.unrepaired))
    _keep(context, "runtime", files.runtime_file, files.shown["runtime"], repair, policy, run_dir)
    return repaired_object(repair, files.runtime_file), (*_described(repair), *repair.warnings)


def admit_gated(context: Context, files: CaseFiles, policy: str, run_dir: Path) -> tuple[CaseFiles, tuple[str, ...]]:
    """The files with the hub's token named in the model, and what was changed; no change where one is named already."""
    storage = mapping(mapping(files.model, "spec"), "storage")
    if policy == "off" or storage.get("key") or mapping(storage, "parameters").get("token"):
        return files, ()
    repair = repair_gated(files.model_file)
    if not repair.changes:
        return files, ()
    _keep(context, "model", files.model_file, files.shown["model"], repair, policy, run_dir)
    model_file = files.model_file.with_text(repair.text)
    return replace(files, model=model_file.object, model_file=model_file), _described(repair)


def profile_of(context: Context) -> Profile:
    """How the platform on this cluster compares; as its latest release does where it does not say which it is."""
    return Profile.V0_1_4 if is_old(context.cluster) else Profile.V0_1_5


def _described(repair: Repair) -> tuple[str, ...]:
    return tuple(
        f"repaired {change.field}: {'nothing' if change.old is None else change.old} -> {change.new}"
        for change in repair.changes
    )


def _failure(mismatches: list[Mismatch]) -> StackFailure:
    detail = "; ".join(mismatch.message for mismatch in mismatches)
    return StackFailure(Stage.RUNTIME, "mismatch", detail, cause=f"runtime-mismatch-{mismatches[0].kind}")


def _keep(
    context: Context, what: str, source: ManifestFile, shown: str, repair: Repair, policy: str, run_dir: Path
) -> None:
    """Write the change down, as a patch with the run and, by policy, into the file."""
    for change in repair.changes:
        data = {"file": shown, "field": change.field, "old": change.old, "new": change.new, "why": change.reason}
        context.observe("repair", {**data, "policy": policy})
    name = f"{context.case.resource_name}-{what}.patch"
    patch = unified_diff(shown, source.text, repair.text)
    atomic_write(run_dir / "repairs" / name, redact(patch).encode())
    if policy == "write":
        atomic_write(Path(repair.file), repair.text.encode())
