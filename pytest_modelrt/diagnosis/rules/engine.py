"""Rules for an engine that does not come up: container states and logs (facts: failures, E5 and A9-A11)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_modelrt.diagnosis.logs import Crash, first_crash, meaningful, phase, tail
from pytest_modelrt.diagnosis.model import Evidence, Finding, PodSnapshot
from pytest_modelrt.diagnosis.rules.objects import component, dig, event_line, events, finding, name_of, statuses
from pytest_modelrt.diagnosis.rules.signatures import EXCEPTIONS, LINES, WARMUP_FAILED, Signature
from pytest_modelrt.journal.model import EvidenceLine

_STARTUP_WARMUP = "warming up"
_SCHEDULER = "Scheduler hit an exception"
_WRONG_PATH = re.compile(r"statuscode: (404|405|400)")


def rules(evidence: Evidence) -> Iterator[Finding]:
    """Findings of every engine pod; router pods are judged elsewhere."""
    for pod in evidence.pods:
        if component(pod.manifest) == "router":
            continue
        for container in statuses(pod.manifest):
            yield from _host_oom(pod, container)
        crashed = False
        for source, log in _logs(pod):
            found = list(_from_log(evidence, pod, source, log))
            crashed = crashed or bool(found)
            yield from found
        if not crashed:
            yield from _silent(evidence, pod)


def is_deterministic(log: str) -> bool:
    """Whether the first crash in ``log`` is a verdict: the same happens at every start."""
    crash = first_crash(log)
    if crash is None:
        return phase(log.splitlines()) == _STARTUP_WARMUP  # killed in a warm-up that did not end in a whole window
    match = _match(crash)
    return _in_warmup(crash) if match is None else match[0].deterministic


def has_crashed(log: str) -> str:
    """Fingerprint of the scheduler's crash or failed warm-up in the log of a process that still runs; empty: none."""
    crash = first_crash(log)
    return crash.fingerprint if crash and (_in_warmup(crash) or _SCHEDULER in "\n".join(crash.block)) else ""


def serves_elsewhere(log: str, probe_failure: str) -> bool:
    """Whether the engine is up and the kubelet's failing probe asks for a path it does not serve."""
    return _WRONG_PATH.search(probe_failure) is not None and phase(log.splitlines()) == "ready"


def fingerprint(log: str) -> str:
    """What two crashes must share to count as the same; empty when ``log`` holds none."""
    crash = first_crash(log)
    return crash.fingerprint if crash else ""


def _logs(pod: PodSnapshot) -> Iterator[tuple[str, str]]:
    for container, log in pod.previous_logs.items():
        if log:
            yield f"previous log pod/{name_of(pod.manifest)} container/{container}", log
    for container, log in pod.logs.items():
        if log and not pod.previous_logs.get(container):
            yield f"log pod/{name_of(pod.manifest)} container/{container}", log


def _from_log(evidence: Evidence, pod: PodSnapshot, source: str, log: str) -> Iterator[Finding]:
    crash = first_crash(log)
    if crash is not None:
        yield _crash(evidence, pod, source, crash)
        return
    for line in meaningful(log):
        for signature in LINES:
            found = signature.pattern.search(line)
            if found is not None:
                yield finding(signature.slug, [EvidenceLine(source, line)], detail=_detail(found, line))
                return


def _crash(evidence: Evidence, pod: PodSnapshot, source: str, crash: Crash) -> Finding:
    lines = [EvidenceLine(source, crash.line)]
    if _in_warmup(crash):
        detail = f"warm-up: {crash.line}"
        lines.insert(0, EvidenceLine(source, "Initialization failed. warmup error:"))
        match = _match(crash)
        if match is None or match[0].slug not in ("cuda-oom", "gpu-device-fault"):
            return finding("warmup-failed", lines, detail=detail)
    match = _match(crash)
    if match is None:
        lines += [EvidenceLine(source, line) for line in crash.block[-6:-1]]
        return finding("crashloop-unclassified", lines, detail=f"{crash.line} (while {crash.phase})")
    signature, detail = match
    slug = signature.slug
    if slug == "weights-missing-on-node" and _node_holds_model(evidence, pod):
        slug = "crashloop-weights"
    hint = _OOM_HINTS.get(crash.phase, "") if slug == "cuda-oom" else ""
    if slug in ("cuda-oom", "kv-cache-memory"):
        detail = f"{detail} (while {crash.phase})"
    return finding(slug, lines, detail=detail, hint=hint)


def _in_warmup(crash: Crash) -> bool:
    return any(WARMUP_FAILED.search(line) for line in (*crash.before, *crash.block))


_OOM_HINTS = {
    "loading weights": "the weights alone do not fit: more GPUs (--tp-size and the GPU limit) or a quantized variant",
    "capturing CUDA graphs": "lower --mem-fraction-static, or --disable-cuda-graph",
    "warming up": "lower --mem-fraction-static",
    "ready": "lower --mem-fraction-static",
}


def _match(crash: Crash) -> tuple[Signature, str] | None:
    block, before = "\n".join(crash.block), "\n".join(crash.before)
    for signature in EXCEPTIONS:
        found = signature.pattern.search(crash.line)
        if found is None:
            continue
        if signature.block is not None and not signature.block.search(block):
            continue
        if signature.before is not None and not signature.before.search(before + "\n" + block):
            continue
        return signature, _detail(found, crash.line)
    return None


def _detail(found: re.Match[str], line: str) -> str:
    """The exception's own words; a named group says what they are about."""
    subject = found.groupdict().get("detail")
    return f"{line.strip()[:300]}" if not subject or subject in line[:300] else f"{subject}: {line.strip()[:300]}"


def _node_holds_model(evidence: Evidence, pod: PodSnapshot) -> bool:
    """Whether the pod's node is known to hold the model, so that missing files are the repository's fault."""
    node = str(dig(pod.manifest, "spec", "nodeName") or "")
    ready = dig(evidence.model or {}, "status", "nodesReady") or ()
    return bool(node) and (node in ready or evidence.node_labels.get(node) == "Ready")


def _host_oom(pod: PodSnapshot, container: Mapping[str, Any]) -> Iterator[Finding]:
    for key in ("lastState", "state"):
        ended = dig(container, key, "terminated")
        if dig(ended, "reason") == "OOMKilled":
            source = f"pod/{name_of(pod.manifest)} container/{container.get('name')}"
            text = f"terminated: OOMKilled, exit code {dig(ended, 'exitCode') or 137}"
            yield finding("host-oom", [EvidenceLine(source, text, str(dig(ended, "finishedAt") or "") or None)])
            return


def _silent(evidence: Evidence, pod: PodSnapshot) -> Iterator[Finding]:
    """No exception: a hang, a window too short, a probed path that is not served, or a plain exit."""
    log = "\n".join(pod.logs.values())
    doing = phase(log.splitlines())
    name = name_of(pod.manifest)
    unhealthy = [
        event
        for event in events(evidence, "Unhealthy", kind="Pod")
        if dig(event, "involvedObject", "name") == name and "probe failed" in str(event.get("message", ""))
    ]
    wrong_path = [e for e in unhealthy if _WRONG_PATH.search(str(e.get("message", "")))]
    killed = [
        event
        for event in events(evidence, "Killing", kind="Pod")
        if dig(event, "involvedObject", "name") == name and "failed startup probe" in str(event.get("message", ""))
    ]
    served = ("ready", "HTTP server up", _STARTUP_WARMUP)
    if wrong_path and (doing in served or phase(_previous(pod)) in served):
        yield finding("probe-endpoint-mismatch", [event_line(wrong_path[0])], detail=str(wrong_path[0].get("message")))
    elif "".join(pod.previous_logs.values()) and killed and phase(_previous(pod)) == _STARTUP_WARMUP:
        yield _hang(pod, "\n".join(_previous(pod)), [event_line(killed[0])])
    elif doing == _STARTUP_WARMUP and (unhealthy or evidence.reason == "deadline"):
        yield _hang(pod, log, [event_line(event) for event in unhealthy[:1]])
    elif killed:
        last = phase(_previous(pod) or log.splitlines())
        yield finding("startup-timeout", [event_line(killed[0])], detail=f"still {last} when the startup probe gave up")
    else:
        yield from _plain_exit(pod)


def _hang(pod: PodSnapshot, log: str, extra: list[EvidenceLine]) -> Finding:
    source = f"log pod/{name_of(pod.manifest)}"
    last = [EvidenceLine(source, line) for line in tail(log, 3)]
    return finding("warmup-hang", [*extra, *last], detail="warm-up began and never ended, without an exception")


def _previous(pod: PodSnapshot) -> list[str]:
    return "\n".join(pod.previous_logs.values()).splitlines()


def _plain_exit(pod: PodSnapshot) -> Iterator[Finding]:
    for container in statuses(pod.manifest):
        if int(container.get("restartCount") or 0) < 1:
            continue
        ended = dig(container, "lastState", "terminated")
        if dig(ended, "reason") in ("Error", "Completed"):
            source = f"pod/{name_of(pod.manifest)} container/{container.get('name')}"
            text = f"terminated: {ended['reason']}, exit code {dig(ended, 'exitCode') or 0}"
            log = "\n".join(pod.previous_logs.values()) or "\n".join(pod.logs.values())
            lines = [EvidenceLine(source, text), *(EvidenceLine(source, line) for line in tail(log, 5))]
            detail = f"{container.get('restartCount')} restarts, no exception; last {phase(log.splitlines())}"
            yield finding("crashloop-unclassified", lines, detail=detail)
