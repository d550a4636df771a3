"""Rules for an engine that does not come up: container states and logs (facts: failures, E5 and A9-A11)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_modelrt.diagnosis.logs import TRACEBACK, Crash, first_crash, meaningful, phase, tail
from pytest_modelrt.diagnosis.model import Evidence, Finding, PodSnapshot
from pytest_modelrt.diagnosis.rules.objects import component, dig, event_line, events, finding, name_of, statuses
from pytest_modelrt.diagnosis.rules.placement import gpus_of
from pytest_modelrt.diagnosis.rules.signatures import (
    BARE,
    EXCEPTIONS,
    LINES,
    WARMUP_FAILED,
    WARMUP_GAVE_UP,
    Signature,
)
from pytest_modelrt.journal.model import EvidenceLine

_STARTUP_WARMUP = "warming up"
_DYING = "hit an exception"
_WRONG_PATH = re.compile(r"statuscode: (400|401|403|404|405)")
_NO_DIRECTORY = re.compile(r"Repo id must be|Incorrect path_or_model_id")
"""Not one file but the whole directory is missing, whatever the platform says about the node."""
_CAPACITY = re.compile(r"total capacity of ([\d.]+) GiB")
_FREE = re.compile(r"Load weight begin\. avail mem=([\d.]+)")
_NO_GPUS = "No CUDA GPUs are available"
_STARTUP_KILL = re.compile(r"failed (startup|liveness) probe")


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
        said = _said(log, ended=True)
        in_warmup = phase(log.splitlines()) == _STARTUP_WARMUP  # killed in one that did not end in a whole window
        return in_warmup if said is None else said[0].deterministic
    match = _match(crash)
    return _in_warmup(crash) if match is None else match[0].deterministic


def has_crashed(log: str) -> str:
    """Fingerprint of the scheduler's crash or failed warm-up in the log of a process that still runs; empty: none."""
    crash = first_crash(log)
    return crash.fingerprint if crash and (_in_warmup(crash) or _DYING in "\n".join(crash.block)) else ""


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
    ended = source.startswith("previous") or _has_ended(pod) or evidence.reason == "deadline"
    said = _said(log, ended=ended)
    if said is not None:
        signature, line, detail = said
        hint = _OOM_HINTS.get(phase(log.splitlines()), "") if signature.slug == "cuda-oom" else ""
        yield finding(signature.slug, [EvidenceLine(source, line)], detail=detail, hint=hint)


def _said(log: str, *, ended: bool) -> tuple[Signature, str, str] | None:
    """A signature on a line of a log without a traceback that counts, with that line and its detail."""
    bare = ended and TRACEBACK not in log  # what a traceback says was survived
    for line in meaningful(log):
        for signature in (*LINES, *(EXCEPTIONS if bare and BARE.search(line) else ())):
            found = signature.pattern.search(line) if not (signature.block or signature.before) else None
            if found is not None:
                return signature, line.strip(), _detail(found, line)
    return None


def _has_ended(pod: PodSnapshot) -> bool:
    return any(dig(container, "state", "terminated") for container in statuses(pod.manifest))


def _crash(evidence: Evidence, pod: PodSnapshot, source: str, crash: Crash) -> Finding:
    lines = [EvidenceLine(source, crash.line)]
    if _in_warmup(crash):
        detail = f"warm-up: {crash.line}"
        lines.insert(0, EvidenceLine(source, "Initialization failed. warmup error:"))
        if WARMUP_GAVE_UP.search(crash.line):
            return finding("warmup-hang", lines, detail=detail)
        match = _match(crash)
        if match is None or match[0].slug not in ("cuda-oom", "gpu-device-fault"):
            return finding("warmup-failed", lines, detail=detail)
    match = _match(crash)
    if match is None:
        lines += [EvidenceLine(source, line) for line in crash.block[-6:-1]]
        return finding("crashloop-unclassified", lines, detail=f"{crash.line} (while {crash.phase})")
    signature, detail = match
    slug = signature.slug
    if slug == "weights-missing-on-node" and not _NO_DIRECTORY.search(crash.line) and _node_holds_model(evidence, pod):
        slug = "crashloop-weights"
    if slug == "cuda-oom" and _was_occupied(crash):
        slug = "gpu-memory-occupied"
    if _NO_GPUS in crash.line and not gpus_of(pod.manifest):
        slug = "tp-gpu-mismatch"
    hint = _OOM_HINTS.get(crash.phase, "") if slug == "cuda-oom" else ""
    if slug in ("cuda-oom", "kv-cache-memory"):
        detail = f"{detail} (while {crash.phase})"
    return finding(slug, lines, detail=detail, hint=hint)


def _was_occupied(crash: Crash) -> bool:
    """Whether less than half of the GPU was free before the first weight was loaded."""
    total = _CAPACITY.search(crash.line)
    free = next(filter(None, map(_FREE.search, crash.before)), None)
    return total is not None and free is not None and float(free[1]) < float(total[1]) / 2


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
    for text in (crash.line, "\n".join((crash.line, *crash.after))):
        for signature in EXCEPTIONS:
            found = signature.pattern.search(text)
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
        if dig(event, "involvedObject", "name") == name and _STARTUP_KILL.search(str(event.get("message", "")))
    ]
    served = ("ready", "HTTP server up", _STARTUP_WARMUP)
    before = _previous(pod)
    if phase(before) == _STARTUP_WARMUP and any(WARMUP_GAVE_UP.search(line) for line in before):
        yield _hang(pod, "\n".join(before), [])
        return
    if wrong_path and (doing in served or phase(before) in served):
        yield finding("probe-endpoint-mismatch", [event_line(wrong_path[0])], detail=str(wrong_path[0].get("message")))
    elif killed and phase(before) == _STARTUP_WARMUP:
        yield _hang(pod, "\n".join(before), [event_line(killed[0])])
    elif doing == _STARTUP_WARMUP and (unhealthy or evidence.reason == "deadline"):
        yield _hang(pod, log, [event_line(event) for event in unhealthy[:1]])
    elif killed and (phase(before) != "ready" or "startup probe" in str(killed[0].get("message", ""))):
        last = phase(before or log.splitlines())
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
