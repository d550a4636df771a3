"""Rules for model and runtime that do not match, and for a service nobody acts on (facts: failures, E2 and E3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pytest_modelrt.diagnosis.model import Evidence, Finding, PodSnapshot
from pytest_modelrt.diagnosis.rules.objects import component, condition, dig, event_line, events, finding, name_of
from pytest_modelrt.journal.model import EvidenceLine, Outcome, Stage

_VALIDATION = ("RuntimeValidationError", "RuntimeSelectionError")
_MISMATCH = (
    (re.compile(r"model size \S+ is outside supported range"), "runtime-mismatch-size"),
    (re.compile(r"runtime \S+ not found in namespace"), "runtime-not-found"),
    (re.compile(r"runtime \S+ is disabled"), "runtime-not-found"),
    (re.compile(r"format name mismatch|'mt:pytorch|format version mismatch"), "runtime-mismatch-format"),
    (re.compile(r"quantization"), "runtime-mismatch-quantization"),
    (re.compile(r"architecture"), "runtime-mismatch-architecture"),
    (re.compile(r"framework"), "runtime-mismatch-framework"),
    (re.compile(r"model format name is required"), "metadata-unparsed"),
)
_TEMPLATE = re.compile(r"failed to replace placeholders|container-tmpl|function \\*\"\w+\\*\" not defined")
_NO_CONTAINER = re.compile(r"no containers found in pod spec and no runner spec provided")
_REFUSED_SPEC = ("ModelReconcileError", "MergeSpecsError", "DeploymentModeError", "AcceleratorClassError",
                 "ServerlessModeRejected")  # fmt: skip
"""Events of a service the controller does not accept as it is."""
_CONTROLLER = "log ome-controller-manager"
_COMPLAINT = re.compile(r"error|forbidden|failed", re.I)
_NO_RUNTIME = re.compile(r"no (supporting )?runtime found")


def rules(evidence: Evidence) -> Iterator[Finding]:
    """Findings about matching and reconciling."""
    engines = [pod for pod in evidence.pods if component(pod.manifest) != "router"]
    found = list(_incomplete(evidence))
    if not engines:  # once there is an engine, what was refused before has been overcome
        found += [*_validation(evidence), *_rejected_pods(evidence)]
        if evidence.stage is Stage.SERVICE and not found and evidence.refusal is None:
            found += _not_acted_on(evidence)
    elif evidence.stage is Stage.SERVICE and evidence.reason == "deadline" and not found:
        found += _status_left_behind(evidence, engines)
    yield from found
    yield from _autoselected(evidence)


def _validation(evidence: Evidence) -> Iterator[Finding]:
    for event in events(evidence, *_VALIDATION):
        message = str(event.get("message", ""))
        if _NO_RUNTIME.search(message):
            hint = "name the runtime in spec.runtime.name; the event lists why each one was excluded"
            yield finding("runtime-not-found", [event_line(event)], detail=_reason(message), hint=hint)
            return
        for pattern, slug in _MISMATCH:
            if pattern.search(message):
                yield finding(slug, [event_line(event)], detail=_reason(message), hint=_suspicious(evidence, slug))
                return
        if "not in supported formats" in message:
            slug, detail = _compare(evidence)
            yield finding(slug, [event_line(event)], detail=detail or _reason(message))
            return
    for event in events(evidence, *_REFUSED_SPEC, kind="InferenceService"):
        hint = "mend what the event names in the service or runtime file"
        yield finding("config-invalid", [event_line(event)], detail=str(event.get("message", "")), hint=hint)
        return


def _reason(message: str) -> str:
    """The platform's reason without its preamble."""
    return message.rsplit("does not support model", 1)[-1].split(":", 1)[-1].strip() or message


def _suspicious(evidence: Evidence, slug: str) -> str:
    if slug != "runtime-mismatch-size":
        return ""
    detected = str(dig(evidence.model or {}, "spec", "modelParameterSize") or "")
    return f"widen modelSizeRange to include {detected}; if that is far from the model's name, the size was misread"


def _compare(evidence: Evidence) -> tuple[str, str]:
    """Older platforms do not say which attribute differs: compare the objects (facts: failures, E2)."""
    model = dig(evidence.model or {}, "spec")
    for entry in dig(evidence.runtime or {}, "spec", "supportedModelFormats") or ():
        pairs = (
            ("runtime-mismatch-format", dig(model, "modelFormat", "name"), dig(entry, "modelFormat", "name")),
            ("runtime-mismatch-quantization", dig(model, "quantization"), dig(entry, "quantization")),
            ("runtime-mismatch-architecture", dig(model, "modelArchitecture"), dig(entry, "modelArchitecture")),
            ("runtime-mismatch-framework", dig(model, "modelFramework", "version"),
             dig(entry, "modelFramework", "version")),
        )  # fmt: skip
        for slug, ours, theirs in pairs:
            if ours != theirs:
                return slug, f"model={ours or 'unset'}, runtime={theirs or 'unset'}"
    return "runtime-mismatch-framework", ""


def _rejected_pods(evidence: Evidence) -> Iterator[Finding]:
    for event in events(evidence, "FailedCreate"):
        if dig(event, "involvedObject", "kind") in ("ReplicaSet", "Job", "StatefulSet", "LeaderWorkerSet"):
            yield _rejected(event_line(event), str(event.get("message", "")))
            return
    for deployment in evidence.deployments:
        failure = condition(deployment, "ReplicaFailure")
        if failure.get("status") == "True":
            message, stamp = str(failure.get("message", "")), str(failure.get("lastTransitionTime", ""))
            yield _rejected(
                EvidenceLine(f"deployment/{name_of(deployment)}", f"ReplicaFailure: {message}", stamp), message
            )
            return


def _rejected(line: EvidenceLine, message: str) -> Finding:
    """A policy is the manifests' fault, a quota the cluster's, and a webhook that is away the platform's."""
    if "failed calling webhook" in message:
        return finding("platform-webhook-unavailable", [line], detail=message)
    outcome = Outcome.ERROR if "exceeded quota" in message or "is being terminated" in message else None
    return finding("pod-create-rejected", [line], detail=message, outcome=outcome)


def _autoselected(evidence: Evidence) -> Iterator[Finding]:
    """The service named no runtime and its pods carry the label of another model's."""
    if evidence.service is None or dig(evidence.service, "spec", "runtime", "name") or evidence.runtime is None:
        return
    wanted = name_of(evidence.runtime)
    for pod in evidence.pods:
        chosen = dig(pod.manifest, "metadata", "labels", "serving-runtime")
        if chosen and chosen != wanted:
            line = EvidenceLine(f"pod/{name_of(pod.manifest)}", f"label serving-runtime={chosen}, expected {wanted}")
            yield finding("runtime-wrong-autoselect", [line], detail=line.text)
            return


def _not_acted_on(evidence: Evidence) -> Iterator[Finding]:
    """A service without pods: scaled to zero, swallowed by a template error, or ignored."""
    service = evidence.service
    if service is None or evidence.pods:
        return
    if "minReplicas" in dig(service, "spec", "engine") and dig(service, "spec", "engine")["minReplicas"] == 0:
        line = EvidenceLine(f"InferenceService {name_of(service)}", "spec.engine.minReplicas: 0, no pods")
        yield finding("isvc-scaled-to-zero", [line], detail=line.text)
        return
    template = next((line for line in evidence.controller_log.splitlines() if _TEMPLATE.search(line)), None)
    if template is not None or "{{" in json.dumps(dig(evidence.runtime or {}, "spec", "engineConfig")):
        text = template or "the runtime's arguments hold `{{`"
        yield finding("runtime-template-error", [EvidenceLine(_CONTROLLER, text.strip())], detail=text)
        return
    if evidence.deployments:
        return
    finalizers = dig(service, "metadata", "finalizers") or ()
    running = [pod for pod in evidence.controllers if condition(pod, "Ready").get("status") == "True"]
    complaints = [line.strip() for line in evidence.controller_log.splitlines() if _COMPLAINT.search(line)]
    text = (
        f"after {evidence.waited:.0f} s: {'no ' if not finalizers else ''}finalizer, no Deployment, no event; "
        f"{len(running)} of {len(evidence.controllers)} controller pods ready"
    )
    lines = [EvidenceLine(f"InferenceService {name_of(service)}", text)]
    lines += [EvidenceLine(_CONTROLLER, line) for line in complaints[-2:]]
    yield finding("isvc-not-reconciled", lines, detail=text)


def _status_left_behind(evidence: Evidence, engines: list[PodSnapshot]) -> Iterator[Finding]:
    """The engine is ready and the service does not say so: nobody keeps its status."""
    service = evidence.service or {}
    ready = all(condition(pod.manifest, "Ready").get("status") == "True" for pod in engines)
    if not ready or condition(service, "EngineReady").get("status") == "True":
        return
    running = [pod for pod in evidence.controllers if condition(pod, "Ready").get("status") == "True"]
    text = (
        f"{len(engines)} engine pods ready, the service's status says otherwise after {evidence.waited:.0f} s; "
        f"{len(running)} of {len(evidence.controllers)} controller pods ready"
    )
    said = condition(service, "EngineReady")
    lines = [
        EvidenceLine(f"InferenceService {name_of(service)}", text),
        EvidenceLine(
            "EngineReady", f"{said.get('status')} {said.get('reason')}, since {said.get('lastTransitionTime')}"
        ),
    ]
    yield finding("isvc-not-reconciled", lines, detail=text)


def _incomplete(evidence: Evidence) -> Iterator[Finding]:
    """A component without a container: the controller stops half-way, and only its log says so (facts: OME 5)."""
    said = next((line for line in evidence.controller_log.splitlines() if _NO_CONTAINER.search(line)), None)
    if said is not None and evidence.reason in ("deadline", "not-reconciled"):
        hint = "take `router` out of the service file, or give the runtime a routerConfig"
        yield finding("config-invalid", [EvidenceLine(_CONTROLLER, said.strip())], detail=said.strip(), hint=hint)
