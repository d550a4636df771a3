"""The files of a case as objects to apply."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from pytest_modelrt.cluster.model import Object
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.manifests.scaffold import model_path, render_service, runtime_path
from pytest_modelrt.manifests.tree import ConfigTree, ManifestFile
from pytest_modelrt.plan.load import display
from pytest_modelrt.plan.model import Case
from pytest_modelrt.plan.problems import ConfigError
from pytest_modelrt.stacks.ome.context import dig
from pytest_modelrt.stacks.ome.names import Names
from pytest_modelrt.stacks.protocol import StackFailure


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """What is applied for a case, and where it came from."""

    model: Object
    model_file: ManifestFile
    runtime: Object
    runtime_file: ManifestFile
    namespace: Object
    service: Object
    names: Names
    shown: dict[str, str]
    """``model``, ``runtime``, ``service`` -> file, from the root of the config tree, for the pages."""
    warnings: tuple[str, ...] = ()

    @property
    def engine_pods(self) -> int:
        """Pods of one engine replica: a leader and its workers, or one."""
        for engine in (dig(self.service, "spec", "engine"), dig(self.runtime, "spec", "engineConfig")):
            if dig(engine, "worker") is not None:
                return int(dig(engine, "worker", "size") or 0) + 1
        return 1


def read_files(config_dir: Path, case: Case) -> CaseFiles:
    """Find and read the files of a case; a missing service is written from the plan's template.

    Raises:
        StackFailure: ``config-missing`` names the files, ``config-invalid`` the field.
    """
    try:
        found = ConfigTree.load(config_dir).case(case)
        missing = [
            f"{kind} ({display(config_dir / place)})"
            for kind, file, place in (
                ("model", found.model, model_path(case)),
                ("runtime", found.runtime, runtime_path(case)),
            )
            if file is None
        ]
        if found.model is None or found.runtime is None:
            detail = f"no file for {' and '.join(missing)}"
            raise StackFailure(Stage.PREFLIGHT, "files", detail, cause="config-missing")
        written = found.service is None
        service: Object = yaml.safe_load(render_service(case)) if found.service is None else found.service.object
        service_file = None if written else found.service
        return _assemble(config_dir, case, found.model, found.runtime, service, service_file)
    except ConfigError as error:
        raise StackFailure(Stage.PREFLIGHT, "files", str(error), cause="config-invalid") from None


def _assemble(
    config_dir: Path,
    case: Case,
    model: ManifestFile,
    runtime: ManifestFile,
    service: Object,
    service_file: ManifestFile | None,
) -> CaseFiles:
    namespace = str(dig(service, "metadata", "namespace") or case.resource_name)
    service = {**service, "metadata": {**service.get("metadata", {}), "namespace": namespace}}
    return CaseFiles(
        model=model.object,
        model_file=model,
        runtime=runtime.object,
        runtime_file=runtime,
        namespace={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        service=service,
        names=Names.of(model.name, runtime.name, str(dig(service, "metadata", "name")), namespace),
        shown={
            "model": model.place(config_dir),
            "runtime": runtime.place(config_dir),
            "service": service_file.place(config_dir) if service_file else "from the plan's template",
        },
        warnings=() if service_file else ("no InferenceService file: written from the plan's template",),
    )
