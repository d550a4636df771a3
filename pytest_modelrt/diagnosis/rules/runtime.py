"""Rules for model and runtime that do not match, and for a service nobody acts on (facts: failures, E2 and E3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pytest_modelrt.diagnosis.model import Evidence, Finding
from pytest_modelrt.diagnosis.rules.objects import condition, dig, event_line, events, finding, name_of
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
_TEMPLATE = re.compile(r"failed to replace placeholders in container|function \"\w+\" not defined")


def rules(evidence: Evidence) -> Iterator[Finding]:
    """Findings about matching and reconciling."""
    mismatches = list(_validation(evidence))
    yield from mismatches
    yield from _rejected_pods(evidence)
    yield from _autoselected(evidence)
    if evidence.stage is Stage.SERVICE and not mismatches and evidence.refusal is None:
        yield from _not_acted_on(evidence)


def _validation(evidence: Evidence) -> Iterator[Finding]:
    for event in events(evidence, *_VALIDATION):
        message = str(event.get("message", ""))
        for pattern, slug in _MISMATCH:
            if pattern.search(message):
                yield finding(slug, [event_line(event)], detail=_reason(message), hint=_suspicious(evidence, slug))
                return
        if "not in supported formats" in message:
            slug, detail = _compare(evidence)
            yield finding(slug, [event_line(event)], detail=detail or _reason(message))
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
            message = str(event.get("message", ""))
            outcome = Outcome.ERROR if "exceeded quota" in message else None
            yield finding("pod-create-rejected", [event_line(event)], detail=message, outcome=outcome)
            return
    for deployment in evidence.deployments:
        failure = condition(deployment, "ReplicaFailure")
        if failure.get("status") == "True":
            line = EvidenceLine(f"deployment/{name_of(deployment)}", f"ReplicaFailure: {failure.get('message', '')}")
            stamp = str(failure.get("lastTransitionTime", ""))
            yield finding("pod-create-rejected", [line], detail=str(failure.get("message", "")), time=stamp)
            return


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
        yield finding("runtime-template-error", [EvidenceLine("log ome-controller-manager", text.strip())], detail=text)
        return
    if evidence.deployments:
        return
    finalizers = dig(service, "metadata", "finalizers") or ()
    running = [pod for pod in evidence.controllers if condition(pod, "Ready").get("status") == "True"]
    text = (
        f"after {evidence.waited:.0f} s: {'no ' if not finalizers else ''}finalizer, no Deployment, no event; "
        f"{len(running)} of {len(evidence.controllers)} controller pods ready"
    )
    yield finding("isvc-not-reconciled", [EvidenceLine(f"InferenceService {name_of(service)}", text)], detail=text)
