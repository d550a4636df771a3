"""The runtime as it must be for the model the platform found: compared, and repaired where policy allows."""

from __future__ import annotations

from pathlib import Path

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.journal.files import atomic_write
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.manifests.compare import Mismatch, compare
from pytest_modelrt.manifests.repair import Repair, repair_runtime, repaired_object, unified_diff
from pytest_modelrt.stacks.ome.context import Context
from pytest_modelrt.stacks.ome.files import CaseFiles
from pytest_modelrt.stacks.protocol import StackFailure


def fit_runtime(
    context: Context, files: CaseFiles, model: Object, policy: str, run_dir: Path
) -> tuple[Object, tuple[str, ...]]:
    """The runtime to apply, and warnings about what was changed.

    Raises:
        StackFailure: ``mismatch``, when it may not or must not be repaired.
    """
    mismatches = compare(model, files.runtime)
    if not mismatches:
        return files.runtime, ()
    if policy == "off":
        raise _failure(mismatches)
    case = context.case
    repair = repair_runtime(files.runtime_file, mismatches, (case.parameter_size, case.size))
    if repair.unrepaired:
        raise _failure(list(repair.unrepaired))
    _keep(context, files, repair, policy, run_dir)
    changes = [f"repaired {change.field}: {change.old} -> {change.new}" for change in repair.changes]
    return repaired_object(repair, files.runtime_file), (*changes, *repair.warnings)


def _failure(mismatches: list[Mismatch]) -> StackFailure:
    detail = "; ".join(mismatch.message for mismatch in mismatches)
    return StackFailure(Stage.RUNTIME, "mismatch", detail, cause=f"runtime-mismatch-{mismatches[0].kind}")


def _keep(context: Context, files: CaseFiles, repair: Repair, policy: str, run_dir: Path) -> None:
    """Write the change down, as a patch with the run and, by policy, into the file."""
    file = files.shown["runtime"]
    for change in repair.changes:
        data = {"file": file, "field": change.field, "old": change.old, "new": change.new, "why": change.reason}
        context.observe("repair", {**data, "policy": policy})
    name = f"{context.case.resource_name}-runtime.patch"
    patch = unified_diff(file, files.runtime_file.text, repair.text)
    atomic_write(run_dir / "repairs" / name, patch.encode())
    if policy == "write":
        atomic_write(Path(repair.file), repair.text.encode())
