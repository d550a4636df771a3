"""Rules between a pod object and a running container (facts: failures, E4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pytest_modelrt.diagnosis.model import Evidence, Finding, Manifest, PodSnapshot
from pytest_modelrt.diagnosis.rules.objects import (
    component,
    condition,
    dig,
    event_line,
    events,
    finding,
    name_of,
    statuses,
)
from pytest_modelrt.journal.model import EvidenceLine, Outcome

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable")
_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_PULL_KINDS = (
    (re.compile(r"toomanyrequests|rate limit", re.I), "the registry limits the rate of pulls"),
    (re.compile(r"not found|manifest unknown", re.I), "the tag does not exist"),
    (re.compile(r"denied|unauthorized|authentication required", re.I), "no access to the registry"),
    (re.compile(r"timeout|refused|no such host", re.I), "the registry cannot be reached"),
)
_REFUSALS: tuple[tuple[re.Pattern[str], str, str, Outcome], ...] = (
    (re.compile(r"Insufficient nvidia\.com/gpu"), "gpu", "{wanted} GPUs are wanted and busy: see who holds them",
     Outcome.NOT_RUN),
    (re.compile(r"untolerated taint \{node\.kubernetes\.io/|were unschedulable"), "node",
     "nodes are cordoned or in trouble: kubectl get nodes", Outcome.ERROR),
    (re.compile(r"Insufficient (cpu|memory|ephemeral-storage)"), "cpu-memory", "lower the container's requests",
     Outcome.FAILED),
    (re.compile(r"untolerated taint"), "taint", "the pod tolerates none of the nodes' taints", Outcome.FAILED),
    (re.compile(r"affinity/selector"), "affinity", "no node carries the model's Ready label", Outcome.FAILED),
    (re.compile(r""), "other", "kubectl describe pod shows each node's reason", Outcome.ERROR),
)  # fmt: skip
"""(words of the scheduler, detail, hint, outcome); the first that fits: GPUs come free, nodes recover, requests do not
change."""


def rules(evidence: Evidence) -> Iterator[Finding]:
    """Findings of every pod of the case; a router's trouble is told apart by its hint."""
    for pod in evidence.pods:
        yield from _unschedulable(evidence, pod.manifest)
        yield from _waiting(evidence, pod.manifest)
        yield from _node_lost(evidence, pod)


def _unschedulable(evidence: Evidence, pod: Manifest) -> Iterator[Finding]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return
    message = str(scheduled.get("message", ""))
    line = EvidenceLine(f"pod/{name_of(pod)}", f"Unschedulable: {message}", str(scheduled.get("lastTransitionTime")))
    wanted, largest = gpus_of(pod), largest_node(evidence.nodes)
    if largest and wanted > largest:
        text = f"the pod asks for {wanted} GPUs, the largest node has {largest}"
        yield finding("gpu-budget-exceeded", [line], detail=text)
        return
    _, detail, hint, outcome = next(entry for entry in _REFUSALS if entry[0].search(message))
    text = f"{detail}: {message}"
    yield finding("pod-unschedulable", [line], detail=text, hint=hint.format(wanted=wanted), outcome=outcome)


def _waiting(evidence: Evidence, pod: Manifest) -> Iterator[Finding]:
    for container in statuses(pod):
        waiting = dig(container, "state", "waiting")
        reason, message = str(dig(waiting, "reason") or ""), str(dig(waiting, "message") or "")
        source = f"pod/{name_of(pod)} container/{container.get('name')}"
        if reason in _PULL:
            yield _pull(evidence, pod, EvidenceLine(source, f"{reason}: {message}"), str(container.get("image", "")))
        elif reason in _CREATE:
            yield finding("container-config-error", [EvidenceLine(source, f"{reason}: {message}")], detail=message)
    for event in events(evidence, "FailedMount", kind="Pod"):
        if dig(event, "involvedObject", "name") == name_of(pod) and dig(pod, "status", "phase") == "Pending":
            yield finding("container-config-error", [event_line(event)], detail=str(event.get("message", "")))


def _pull(evidence: Evidence, pod: Manifest, line: EvidenceLine, image: str) -> Finding:
    texts = [line]
    for event in events(evidence, "Failed", kind="Pod"):
        if dig(event, "involvedObject", "name") == name_of(pod) and "pull" in str(event.get("message", "")).lower():
            texts.insert(0, event_line(event))
            break
    joined = " ".join(entry.text for entry in texts)
    kind = next((text for pattern, text in _PULL_KINDS if pattern.search(joined)), "the pull failed")
    what = component(pod) or "pod"
    return finding("image-pull", texts, detail=f"{what} image {image}: {kind}", hint=f"{kind}: {image}")


def _node_lost(evidence: Evidence, pod: PodSnapshot) -> Iterator[Finding]:
    reason = dig(pod.manifest, "status", "reason")
    name = str(dig(pod.manifest, "spec", "nodeName") or "")
    if reason in ("Evicted", "NodeLost"):
        text = f"{reason}: {dig(pod.manifest, 'status', 'message') or ''}"
        slug = "disk-full" if "ephemeral-storage" in text else "node-lost"
        yield finding(slug, [EvidenceLine(f"pod/{name_of(pod.manifest)}", text)], detail=text)
        return
    for node in evidence.nodes:
        ready = condition(node, "Ready")
        if name and name_of(node) == name and ready.get("status") in ("False", "Unknown"):
            line = EvidenceLine(f"node/{name}", f"Ready={ready['status']}: {ready.get('message', '')}")
            stamp = str(ready.get("lastTransitionTime", ""))
            yield finding("node-lost", [line], detail=line.text, hint=f"kubectl describe node {name}", time=stamp)


def gpus_of(pod: Manifest) -> int:
    """GPUs a pod asks for."""
    total = 0
    for container in dig(pod, "spec", "containers") or ():
        limits: Any = dig(container, "resources", "limits") or dig(container, "resources", "requests")
        total += int(limits.get("nvidia.com/gpu", 0) or 0)
    return total


def largest_node(nodes: tuple[Manifest, ...]) -> int:
    """GPUs of the biggest node; 0 when no node is known."""
    return max((int(dig(node, "status", "allocatable").get("nvidia.com/gpu", 0) or 0) for node in nodes), default=0)
