"""Rules between a pod object and a running container (facts: failures, E4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_modelrt.diagnosis.logs import first_crash
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

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable", "ErrImageNeverPull",
         "ImageInspectError", "SignatureValidationFailed")  # fmt: skip
_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError",
           "PreStartHookError", "PostStartHookError")  # fmt: skip
_NEVER_RAN = ("StartError", "ContainerCannotRun")
_STARTING = ("ContainerCreating", "PodInitializing")
_GPU_RUNTIME = re.compile(r"nvidia-container-cli: (device error|initialization error|.*nvml)|no healthy devices|"
                          r"unhealthy devices|failed to inject CDI devices", re.I)  # fmt: skip
_DISK = re.compile(r"no space left on device|DiskPressure|ephemeral.(local.)?storage", re.I)
_PULL_KINDS = (
    (re.compile(r"toomanyrequests|rate limit|\b429\b", re.I), "the registry limits the rate of pulls", Outcome.ERROR),
    (re.compile(r"no match for platform", re.I), "the image is not built for this kind of node", None),
    (re.compile(r"denied|unauthorized|authentication required|forbidden", re.I), "no access to the registry", None),
    (re.compile(r"timeout|timed out|deadline exceeded|refused|reset by peer|no such host|server misbehaving|x509|"
                r"TLS handshake|\b50[0-4]\b", re.I), "the registry cannot be reached", Outcome.ERROR),
    (re.compile(r"not found|manifest unknown", re.I), "the tag does not exist", None),
)  # fmt: skip
"""(words, what they mean, outcome where that is the registry's trouble)."""
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
        yield from _rejected(pod.manifest)
        yield from _node_lost(evidence, pod)
    for event in events(evidence, "TaintManagerEviction", kind="Pod"):
        yield finding("node-lost", [event_line(event)], detail=str(event.get("message", "")))
        return


def _unschedulable(evidence: Evidence, pod: Manifest) -> Iterator[Finding]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return
    message = str(scheduled.get("message") or scheduled.get("reason") or "")
    stamp = str(scheduled.get("lastTransitionTime"))
    line = EvidenceLine(f"pod/{name_of(pod)}", f"{scheduled.get('reason') or 'not scheduled'}: {message}", stamp)
    lost = [node for node in evidence.nodes if condition(node, "Ready").get("status") in ("False", "Unknown")]
    if lost and len(lost) == len(evidence.nodes):
        text = f"none of the {len(lost)} nodes is ready: {message}"
        since = min(str(condition(node, "Ready").get("lastTransitionTime", "")) for node in lost)
        yield finding("node-lost", [line], detail=text, hint="kubectl get nodes", time=since)
        return
    wanted, largest = gpus_of(pod), largest_node(evidence.nodes)
    if largest and wanted > largest:
        text = f"the pod asks for {wanted} GPUs, the largest node has {largest}"
        yield finding("gpu-budget-exceeded", [line], detail=text)
        return
    if wanted and evidence.nodes and not largest:
        text = f"no node offers a GPU: {message}"
        hint = "see the pods of the GPU device plugin: kubectl get pods -A | grep -i nvidia"
        yield finding("pod-unschedulable", [line], detail=text, hint=hint, outcome=Outcome.ERROR)
        return
    _, detail, hint, outcome = next(entry for entry in _REFUSALS if entry[0].search(message))
    if detail == "affinity" and "Updating" in evidence.node_labels.values():
        hint, outcome = (
            "nodes are still fetching or checking the model: try again when its labels say Ready",
            Outcome.ERROR,
        )
    text = f"{detail}: {message}"
    yield finding("pod-unschedulable", [line], detail=text, hint=hint.format(wanted=wanted), outcome=outcome)


def _waiting(evidence: Evidence, pod: Manifest) -> Iterator[Finding]:
    starting = True
    for container in statuses(pod):
        waiting = dig(container, "state", "waiting")
        reason, message = str(dig(waiting, "reason") or ""), str(dig(waiting, "message") or "")
        starting = starting and reason in _STARTING
        line = EvidenceLine(f"pod/{name_of(pod)} container/{container.get('name')}", f"{reason}: {message}")
        if reason in _PULL:
            yield _pull(evidence, pod, line, str(container.get("image", "")))
        elif reason in _CREATE:
            slug = "gpu-device-fault" if _GPU_RUNTIME.search(message) else "container-config-error"
            yield finding(slug, [line], detail=message or reason)
        else:
            yield from _never_ran(pod, container)
    for event in events(evidence, "FailedMount", kind="Pod"):
        if (
            starting
            and dig(event, "involvedObject", "name") == name_of(pod)
            and dig(pod, "status", "phase") == "Pending"
        ):
            yield finding("container-config-error", [event_line(event)], detail=str(event.get("message", "")))


def _never_ran(pod: Manifest, container: Mapping[str, Any]) -> Iterator[Finding]:
    """The process could not even be started: no such program, no such device."""
    for key in ("lastState", "state"):
        ended = dig(container, key, "terminated")
        if dig(ended, "reason") in _NEVER_RAN:
            text = f"{ended['reason']}: {dig(ended, 'message') or 'exit code ' + str(dig(ended, 'exitCode') or '?')}"
            slug = "gpu-device-fault" if _GPU_RUNTIME.search(text) else "container-config-error"
            yield finding(
                slug, [EvidenceLine(f"pod/{name_of(pod)} container/{container.get('name')}", text)], detail=text
            )
            return


def _pull(evidence: Evidence, pod: Manifest, line: EvidenceLine, image: str) -> Finding:
    texts = [line]
    for event in events(evidence, "Failed", kind="Pod"):
        if dig(event, "involvedObject", "name") == name_of(pod) and "pull" in str(event.get("message", "")).lower():
            texts.insert(0, event_line(event))
            break
    joined = " ".join(entry.text for entry in texts)
    if _DISK.search(joined):
        node = dig(pod, "spec", "nodeName") or "the node"
        return finding("disk-full", texts, detail=f"no space left on {node} to unpack {image}")
    known = ((text, outcome) for pattern, text, outcome in _PULL_KINDS if pattern.search(joined))
    kind, outcome = next(known, ("the pull failed", None))
    what = component(pod) or "pod"
    return finding(
        "image-pull", texts, detail=f"{what} image {image}: {kind}", hint=f"{kind}: {image}", outcome=outcome
    )


def _rejected(pod: Manifest) -> Iterator[Finding]:
    """The node took the pod back: evicted, refused on arrival, or shut down."""
    reason, message = str(dig(pod, "status", "reason") or ""), str(dig(pod, "status", "message") or "")
    text = f"{reason}: {message}"
    line = EvidenceLine(f"pod/{name_of(pod)}", text)
    if reason == "UnexpectedAdmissionError" and _GPU_RUNTIME.search(message):
        yield finding("gpu-device-fault", [line], detail=text)
    elif reason.startswith("OutOf") or reason in ("UnexpectedAdmissionError", "NodeAffinity"):
        hint = "the node had less left than the scheduler thought: kubectl describe node"
        yield finding("pod-unschedulable", [line], detail=text, hint=hint, outcome=Outcome.ERROR)
    elif reason == "Evicted" and "EmptyDir" in message and "shm" in message.lower():
        yield finding("shm-too-small", [line], detail=text, hint="raise sizeLimit of the emptyDir at /dev/shm")
    elif reason == "Evicted" and _DISK.search(message):
        yield finding("disk-full", [line], detail=text)
    elif reason in ("Evicted", "NodeLost", "Terminated", "NodeShutdown", "Shutdown"):
        yield finding("node-lost", [line], detail=text)


def _node_lost(evidence: Evidence, pod: PodSnapshot) -> Iterator[Finding]:
    """The pod's node is away; not the cause of what the pod did before."""
    name = str(dig(pod.manifest, "spec", "nodeName") or "")
    node = next((node for node in evidence.nodes if name_of(node) == name), None)
    ready = condition(node or {}, "Ready")
    stamp = str(ready.get("lastTransitionTime", ""))
    crashed = any(map(first_crash, (*pod.previous_logs.values(), *pod.logs.values())))
    if not name or (crashed and (node is None or _ended_before(pod.manifest, stamp))):
        return
    if evidence.nodes and node is None:
        line = EvidenceLine(f"pod/{name_of(pod.manifest)}", f"runs on {name}, which is no node of the cluster any more")
        yield finding("node-lost", [line], detail=line.text)
    elif ready.get("status") in ("False", "Unknown"):
        line = EvidenceLine(f"node/{name}", f"Ready={ready['status']}: {ready.get('message', '')}")
        yield finding("node-lost", [line], detail=line.text, hint=f"kubectl describe node {name}", time=stamp)
    elif not crashed:
        for event in events(evidence, "NodeNotReady", kind="Pod"):
            if dig(event, "involvedObject", "name") == name_of(pod.manifest):
                yield finding("node-lost", [event_line(event)], detail=f"{name}: {event.get('message', '')}")
                return


def _ended_before(pod: Manifest, stamp: str) -> bool:
    """Whether a container of the pod had ended before that time."""
    ends = [
        dig(container, key, "terminated", "finishedAt") for container in statuses(pod) for key in ("state", "lastState")
    ]
    return any(end and stamp and str(end) < stamp for end in ends)


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
