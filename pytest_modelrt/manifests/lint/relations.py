"""Checks between objects: services with their model and runtime, and all of them with the plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_modelrt.manifests.compare import Mismatch, MismatchKind, compare
from pytest_modelrt.manifests.engine import EngineShape, engine_shape
from pytest_modelrt.manifests.fit import shape_fits
from pytest_modelrt.manifests.lint.findings import Document, Finding, Findings, Severity
from pytest_modelrt.manifests.objects import Object, mapping
from pytest_modelrt.manifests.tree import MODEL_KINDS, RUNTIME_KINDS
from pytest_modelrt.plan.model import Campaign, Case
from pytest_modelrt.plan.problems import Problem

_REMEDIES = {
    MismatchKind.FRAMEWORK: "write the model's value",
    MismatchKind.ARCHITECTURE: "write the model's value, if the engine serves that architecture",
    MismatchKind.SIZE: "widen the range",
    MismatchKind.FORMAT: "use a runtime for that format",
    MismatchKind.QUANTIZATION: "use a runtime for that quantization",
    MismatchKind.DIFFUSION: "use a runtime for that pipeline",
    MismatchKind.DISABLED: "enable the runtime",
}


@dataclass
class Objects:
    """The documents of a tree by kind and name; the first of a name counts."""

    models: dict[str, Document] = field(default_factory=dict)
    runtimes: dict[str, Document] = field(default_factory=dict)
    services: list[Document] = field(default_factory=list)

    def service_of(self, model: str) -> Document | None:
        """The service of that name, else one that serves a model of that name."""
        by_name = (service for service in self.services if service.name == model)
        by_model = (service for service in self.services if _named(service, "model") == model)
        return next(by_name, None) or next(by_model, None)

    def runtime_of(self, case: Case) -> Document | None:
        """The runtime a case would be served by."""
        service = self.service_of(case.resource_name)
        named = _named(service, "runtime") if service is not None else ""
        return self.runtimes.get(named or case.runtime_name)


def collect(documents: Iterable[Document]) -> tuple[Objects, list[Finding]]:
    """Documents by name, and what is defined twice."""
    objects, found = Objects(), []
    first: dict[tuple[str, str, str], Document] = {}
    for document in documents:
        earlier = first.setdefault((document.kind, document.namespace, document.name), document)
        if earlier is not document:
            what = f"{document.kind} {document.name} is also defined in {earlier.shown}:{earlier.file.line}"
            found.append(document.error("metadata.name", what, "the last one applied wins: rename or remove one"))
        elif document.kind in MODEL_KINDS:
            objects.models[document.name] = document
        elif document.kind in RUNTIME_KINDS:
            objects.runtimes[document.name] = document
        else:
            objects.services.append(document)
    return objects, found


def check_relations(objects: Objects, cases: Iterable[Case], campaign: Campaign) -> Findings:
    """Services against the models and runtimes they name; models and runtimes against each other and the plan."""
    rows = {case.resource_name: case for case in cases}
    pairs: dict[tuple[str, str], None] = {}
    for service in objects.services:
        yield from _check_service(service, objects)
        pairs[_named(service, "model"), _named(service, "runtime")] = None
    for case in rows.values():
        model, runtime = objects.models.get(case.resource_name), objects.runtime_of(case)
        if runtime is not None:
            pairs[case.resource_name, runtime.name] = None
        if model is not None:
            yield from _check_model(model, case)
        shape = engine_shape(runtime.object) if runtime is not None else None
        if runtime is not None and shape is not None:
            yield from _check_shape(runtime, shape, case, campaign)
    for model_name, runtime_name in pairs:
        model, runtime = objects.models.get(model_name), objects.runtimes.get(runtime_name)
        if model is not None and runtime is not None:
            yield from _check_pair(model, runtime, rows.get(model_name))


def check_presence(objects: Objects, cases: Iterable[Case], plan_file: str) -> Findings:
    """Plan rows without a manifest."""
    for case in cases:
        missing = []
        if case.resource_name not in objects.models:
            missing.append(f"model {case.resource_name}")
        if objects.runtime_of(case) is None:
            missing.append(f"runtime {case.runtime_name}")
        if objects.service_of(case.resource_name) is None:
            missing.append(f"InferenceService {case.resource_name}")
        if missing:
            problem = Problem(plan_file, 0, case.id, f"has no {', no '.join(missing)}", f"modelrt scaffold {case.id}")
            yield Finding(Severity.ERROR, problem)


def _check_service(service: Document, objects: Objects) -> Findings:
    name, wanted = _named(service, "model"), _named(service, "runtime")
    model, runtime = objects.models.get(name), objects.runtimes.get(wanted)
    if name and model is None:
        yield service.error(
            "spec.model.name", f"there is no model {name} in this tree", "write it, or correct the name"
        )
    if not wanted:
        yield service.warning("spec.runtime", "is missing, so the platform picks any runtime that fits", "name one")
    elif runtime is None:
        what = f"there is no runtime {wanted} in this tree"
        yield service.error("spec.runtime.name", what, "write it, or correct the name")
    router = mapping(service.spec, "router")
    if runtime is not None and router and not (router.get("runner") or router.get("containers")):
        configured = mapping(runtime.spec, "routerConfig")
        if not (configured.get("runner") or configured.get("containers")):
            what = f"a router is asked for, and runtime {wanted} configures none: the service never gets a status"
            yield service.error("spec.router", what, "remove it, or give the runtime a routerConfig")


def _check_pair(model: Document, runtime: Document, case: Case | None) -> Findings:
    said = {"spec": model.spec}
    source = f"{model.shown}:{model.file.line}" + (f" and plan row {case.id}" if case is not None else "")
    for mismatch in _mismatches(said, runtime, case):
        what = f"{mismatch.message} ({source})"
        yield runtime.error(mismatch.field, what, _REMEDIES[mismatch.kind])


def _mismatches(model: Object, runtime: Document, case: Case | None) -> list[Mismatch]:
    """What will not match. Facts that neither file nor plan state are read from the download, and taken to fit."""
    entries = runtime.spec.get("supportedModelFormats")
    if not isinstance(entries, list) or not entries:
        return []  # said by the checks of the runtime itself
    found = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        alone = {**runtime.object, "spec": {**runtime.spec, "supportedModelFormats": [entry]}}
        known = {
            **_read_later(entry, case),
            **{key: value for key, value in model["spec"].items() if value is not None},
        }
        found.append([_at(mismatch, index) for mismatch in compare({"spec": known}, alone)])
    return min(found, key=len, default=[])


def _read_later(entry: Object, case: Case | None) -> Object:
    assumed = {key: entry[key] for key in ("modelArchitecture", "quantization") if entry.get(key) is not None}
    assumed |= {key: entry.get(key) or {"name": "?"} for key in ("modelFormat", "modelFramework")}
    if case is not None:
        assumed["modelArchitecture"] = case.architecture
        assumed["modelParameterSize"] = case.parameter_size
        assumed["modelFramework"] = {"name": "transformers", "version": case.framework_version}
        assumed["modelFormat"] = {"name": case.model_format, "version": "1.0.0"}
    return assumed


def _at(mismatch: Mismatch, index: int) -> Mismatch:
    place = mismatch.field.replace("supportedModelFormats[0]", f"supportedModelFormats[{index}]")
    return Mismatch(mismatch.kind, mismatch.model, mismatch.runtime, mismatch.message, place)


def _check_model(model: Document, case: Case) -> Findings:
    storage = mapping(model.spec, "storage")
    uri = str(storage.get("storageUri", ""))
    if uri.startswith("hf://") and uri.partition("@")[0] != f"hf://{case.hub_id}":
        yield model.warning(
            "spec.storage.storageUri", f"the plan means hf://{case.hub_id}", "correct the one that is wrong"
        )
    if case.gated and not storage.get("key") and uri.startswith("hf://"):
        what = "the model is gated, and its storage names no token"
        yield model.warning("spec.storage.key", what, 'add key: "hf-token"')


def _check_shape(runtime: Document, shape: EngineShape, case: Case, campaign: Campaign) -> Findings:
    field_ = f"{shape.field}.resources.limits"
    asked = f"GPUs asked: {shape.gpus}, in the plan: {case.gpus_text}"
    if shape.gpus > case.gpus:
        yield runtime.error(field_, f"{asked}; its limits would be exceeded", "correct the runtime or the plan")
    elif shape.gpus < case.gpus:
        yield runtime.warning(field_, asked, "correct one of them")
    if shape.served_name is not None and shape.served_name != case.hub_id:
        what = f"serves {shape.served_name}, the plan asks for {case.hub_id}"
        yield runtime.error(f"{shape.field}.args", what, f"write --served-model-name {case.hub_id}")
    reason = shape_fits(
        case.gpu_weights_bytes,
        gpus_per_pod=shape.gpus_per_pod,
        pods=shape.pods,
        mem_fraction=shape.mem_fraction,
        hardware=campaign.hardware,
    )
    if reason is not None:
        yield runtime.warning(field_, reason, "ask for more GPUs in runtime and plan, or the case is skipped")


def _named(document: Document, key: str) -> str:
    return str(mapping(document.spec, key).get("name") or "")
