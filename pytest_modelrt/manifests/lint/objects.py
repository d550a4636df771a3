"""Checks of one object by itself: names, storage, engine arguments, replicas."""

from __future__ import annotations

import re

from pytest_modelrt.manifests.engine import arguments, containers, engine_shape, flag
from pytest_modelrt.manifests.lint.findings import Document, Findings
from pytest_modelrt.manifests.objects import mapping, sequence
from pytest_modelrt.manifests.versions import Profile, parse
from pytest_modelrt.plan.sizes import parameters

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_URI = re.compile(r"hf://[\w.-]+/[\w.-]+(@[\w./-]+)?|(oci|pvc|local|vendor|s3|az|gs|github)://\S+")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def check_model(document: Document) -> Findings:
    """A model's name and storage."""
    if not _LABEL.fullmatch(document.name):
        what = f"{document.name!r} is no DNS label, and names the volume of every pod that serves it"
        yield document.error("metadata.name", what, "use a-z, 0-9 and -, at most 63 characters")
    storage = mapping(document.spec, "storage")
    uri = str(storage.get("storageUri", ""))
    if uri and not _URI.fullmatch(uri):
        yield document.error(
            "spec.storage.storageUri", f"{uri} cannot be downloaded", "write hf://organisation/repository"
        )
    path = storage.get("path")
    if uri.startswith(("hf://", "oci://")) and not path:
        yield document.error("spec.storage.path", "is missing, and the download agent needs it", "add an absolute path")
    elif isinstance(path, str) and not path.startswith("/"):
        yield document.error("spec.storage.path", f"{path} is not absolute", "start it with /")


def check_runtime(document: Document) -> Findings:
    """A runtime's name, what it says it supports, and its engine."""
    if not _SUBDOMAIN.fullmatch(document.name) or len(document.name) > 253:
        yield document.error("metadata.name", f"{document.name!r} is no DNS name", "use a-z, 0-9, - and .")
    yield from _check_formats(document)
    yield from _check_size_range(document)
    yield from _check_templates(document)
    yield from _check_engine(document)


def check_service(document: Document) -> Findings:
    """A service's name, place and replicas."""
    if not _SERVICE.fullmatch(document.name):
        what = f"{document.name!r} is refused as the name of an InferenceService"
        yield document.error("metadata.name", what, "start with a letter; a-z, 0-9 and -, at most 63 characters")
    if not document.namespace:
        yield document.warning("metadata.namespace", "is missing, so it lands in whatever is current", "name one")
    spec = document.spec
    if "predictor" not in spec and not isinstance(spec.get("engine"), dict):
        yield document.error("spec.engine", "is missing: the controller starts nothing without it", "add minReplicas")
    for component in ("engine", "decoder", "router"):
        part = spec.get(component)
        if not isinstance(part, dict):
            continue
        if part.get("minReplicas") == 0:
            what = "0 makes the platform look for Knative, and nothing starts"
            yield document.error(f"spec.{component}.minReplicas", what, "write 1")
        if "maxReplicas" not in part and component != "router":
            what = "is missing, so the autoscaler may start three replicas"
            yield document.warning(f"spec.{component}.maxReplicas", what, "write 1")


def _check_formats(document: Document) -> Findings:
    entries = document.spec.get("supportedModelFormats")
    if not entries:
        yield document.error("spec.supportedModelFormats", "is empty, so it supports no model", "add a format")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        for key in ("modelFormat", "modelFramework"):
            version = mapping(entry, key).get("version") if isinstance(entry, dict) else None
            field = f"spec.supportedModelFormats[{index}].{key}.version"
            if not isinstance(version, str):
                continue
            if parse(version) is None:
                yield document.error(
                    field, f"{version} is no version to the platform, and matches nothing", "write 4.45.0"
                )
            elif parse(version, Profile.V0_1_4) is None:
                yield document.warning(field, f"{version} matches nothing before OME v0.1.5", "write three numbers")


def _check_size_range(document: Document) -> Findings:
    limits = document.spec.get("modelSizeRange")
    if not isinstance(limits, dict):
        return
    for bound in ("min", "max"):
        value = limits.get(bound)
        field = f"spec.modelSizeRange.{bound}"
        if value is None:
            yield document.error(
                field, "is missing: the controller fails on half a range", "give min and max, or neither"
            )
        elif not re.fullmatch(r"\d+(\.\d+)?[TBM]", str(value)):
            yield document.error(field, f"{value} counts as 0", "write a number with T, B or M in upper case")
    low, high = str(limits.get("min", "")), str(limits.get("max", ""))
    if parameters(high) and parameters(low) > parameters(high):
        yield document.error("spec.modelSizeRange.min", f"{low} is above max {high}", "swap them")


def _check_templates(document: Document) -> Findings:
    """The platform runs every container through a Go template."""
    for path, container in containers(document.object):
        for key in ("command", "args"):
            for index, word in enumerate(sequence(container, key)):
                if "{{" in str(word):
                    what = "{{ is read as a template by the platform, and the service never starts"
                    yield document.error(
                        f"{path}.{key}[{index}]", what, "put the text into a file, or name a built-in one"
                    )
        for index, variable in enumerate(sequence(container, "env")):
            if isinstance(variable, dict) and "{{" in str(variable.get("value", "")):
                what = "{{ is read as a template by the platform, and the service never starts"
                yield document.error(f"{path}.env[{index}].value", what, "put the text into a file")


def _check_engine(document: Document) -> Findings:
    spec = document.spec
    shape = engine_shape(document.object)
    if shape is None:
        if not spec.get("containers"):
            yield document.error("spec.engineConfig.runner", "is missing, so there is no engine", "add a container")
        return
    engine = mapping(spec, "engineConfig")
    workers = mapping(engine, "worker").get("size")
    if mapping(engine, "leader") and not (isinstance(workers, int) and workers > 0):
        field = "spec.engineConfig.worker.size"
        yield document.error(field, "is missing or 0 beside a leader", "write the number of workers")
    runner = dict(containers(document.object))[shape.field]
    parallel = shape.tensor_parallel
    if parallel is not None and shape.gpus and not _fills(parallel, arguments(runner), shape.gpus):
        asked = f"{shape.gpus_per_pod} GPUs" if shape.pods == 1 else f"{shape.pods} x {shape.gpus_per_pod} GPUs"
        what = f"tensor parallelism {parallel} over {asked}"
        yield document.error(f"{shape.field}.args", what, f"write --tp-size {shape.gpus}, or change nvidia.com/gpu")
    if shape.nodes is not None and shape.nodes != shape.pods:
        what = f"--nnodes {shape.nodes} with {shape.pods} pods"
        yield document.error(f"{shape.field}.args", what, f"write --nnodes {shape.pods}, or change worker.size")
    if shape.served_name is None:
        what = "no --served-model-name, so the model answers to its path"
        yield document.warning(f"{shape.field}.args", what, "add it with the hub id")
    yield from _check_probes(document, shape.field, runner)


def _fills(parallel: int, words: list[str], gpus: int) -> bool:
    """Whether tensor parallelism, with any pipeline and data parallelism beside it, uses the GPUs asked for."""
    stages = _count(flag(words, "--pp-size", "--pipeline-parallel-size"))
    copies = _count(flag(words, "--dp-size", "--dp", "--data-parallel-size"))
    return gpus in (parallel * stages, parallel * stages * copies)


def _check_probes(document: Document, field: str, runner: dict[str, object]) -> Findings:
    ports = [port.get("containerPort") for port in _dicts(runner.get("ports"))]
    names = [port.get("name") for port in _dicts(runner.get("ports"))]
    for probe in _PROBES:
        found = runner.get(probe)
        if not isinstance(found, dict):
            yield document.warning(f"{field}.{probe}", "is missing", "probe /health_generate, and /health for liveness")
            continue
        target = mapping(found, "httpGet")
        port = target.get("port")
        if target and ports and port not in ports and port not in names:
            what = f"probes port {port}, the container opens {', '.join(str(number) for number in ports)}"
            yield document.error(f"{field}.{probe}.httpGet.port", what, "probe the port the engine listens on")
        path = str(target.get("path", ""))
        if target and not path.startswith("/"):
            yield document.error(f"{field}.{probe}.httpGet.path", f"{path!r} is no path", "start it with /")


def _count(value: str | None) -> int:
    return int(value) if value is not None and value.isdecimal() else 1


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
