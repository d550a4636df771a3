"""Rules for a model that does not become ready on its nodes (facts: failures, part B and E1; OME 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_modelrt.diagnosis.model import Evidence, Finding, Manifest
from pytest_modelrt.diagnosis.rules.objects import condition, dig, finding, name_of
from pytest_modelrt.journal.model import EvidenceLine, Stage

_STATUS = r"(HTTP (status client error \()?{0}\b|\b{0} (Client Error|Too Many|Unauthorized|Forbidden|Not Found))"
_SECRET = re.compile(r"Failed to retrieve secret|does not contain key|secret \S+ not found", re.I)
_NOT_FOUND = re.compile(
    r"X-Error-Code: (Repo|Revision|Entry)NotFound|(Repo|Repository|Revision|Entry) ?Not ?Found|"
    r"not found in repository|" + _STATUS.format("404")
)
_GATED = re.compile(
    r"GatedRepo|gated repo|not in the authorized list|awaiting a review|" + _STATUS.format("40[13]"), re.I
)
_SIGNED = re.compile(r"Request has expired|ExpiredToken|SignatureDoesNotMatch|RequestTimeTooSkewed")
"""403 of the storage behind the hub: an address that was signed for a while, no word about rights."""
_RATE = re.compile(r"Rate.?limit|" + _STATUS.format("429"), re.I)
_DISK = re.compile(r"No space left on device|Disk quota exceeded|not enough (free )?(disk )?space|"
                   r"insufficient disk space", re.I)  # fmt: skip
_CORRUPT = re.compile(r"(checksum|hash|sha256|md5|size|etag) mismatch|Consistency check failed|corrupt", re.I)
_FAILED = re.compile(r"Failed to download|failed after \d+ attempts")
_UNPARSED = re.compile(r"Failed to parse and update model config|unsupported model type")


def rules(evidence: Evidence) -> Iterator[Finding]:
    """Findings about the download; silent once the case is past it."""
    if evidence.stage is Stage.RUNTIME:
        yield from metadata_findings(evidence)
    if evidence.stage is not Stage.MODEL or evidence.refusal is not None:
        return
    if evidence.reason == "deleted":
        return  # by whom nobody can say; what its nodes were doing is beside the point
    said = list(_from_logs(evidence)) or list(_disk_pressure(evidence))
    yield from said or _from_state(evidence)


def _agent_lines(
    evidence: Evidence, pattern: re.Pattern[str], unless: re.Pattern[str] | None = None
) -> list[EvidenceLine]:
    """The first line of each agent's log that fits."""
    found = []
    for node, log in sorted(evidence.agent_logs.items()):
        lines = (line for line in log.splitlines() if unless is None or not unless.search(line))
        line = next((line for line in lines if pattern.search(line)), None)
        if line is not None:
            found.append(EvidenceLine(f"log model-agent on {node}", line.strip()))
    return found


def _from_logs(evidence: Evidence) -> Iterator[Finding]:
    """The agents' logs are the only place that says why (A5); the most specific text wins."""
    for slug, pattern in (
        ("disk-full", _DISK),
        ("download-not-found", _NOT_FOUND),
        ("download-gated", _GATED),
        ("download-rate-limited", _RATE),
        ("download-corrupt", _CORRUPT),
    ):
        lines = _agent_lines(evidence, pattern, unless=_SIGNED)
        if not lines:
            continue
        if slug == "download-gated":
            yield _gated(evidence, lines)
        else:
            yield finding(slug, lines[:3], detail=f"{lines[0].text} ({_count(lines)})")
        return
    lines = _agent_lines(evidence, _FAILED)
    if lines and _state(evidence) == "Failed":
        yield finding("download-failed", lines[:3], detail=f"{lines[0].text} ({_count(lines)})")


def _gated(evidence: Evidence, lines: list[EvidenceLine]) -> Finding:
    """401/403, with the sub-reason that says whose turn it is."""
    storage = dig(evidence.model or {}, "spec", "storage")
    uri = str(dig(storage, "storageUri") or "")
    hub_id = uri.removeprefix("hf://").split("@")[0]
    licence = f"accept the licence at https://huggingface.co/{hub_id} with the account of the token"
    key = dig(storage, "key")
    secret = _agent_lines(evidence, _SECRET)
    if not key and not dig(storage, "parameters", "token"):
        hint = f"the model file names no token: add storage.key: hf-token; and {licence}"
        return finding("download-gated", lines[:3], detail="no token key in spec.storage", hint=hint)
    if secret:
        hint = f"create Secret {key} with key `token` in namespace ome: that is where the platform looks"
        return finding("download-gated", [*secret[:2], *lines[:2]], detail=secret[0].text, hint=hint)
    return finding("download-gated", lines[:3], detail="the token was refused", hint=licence)


def _disk_pressure(evidence: Evidence) -> Iterator[Finding]:
    """A full disk where the model did not arrive; the disks of other nodes are none of its business."""
    ready = dig(evidence.model or {}, "status", "nodesReady") or ()
    concerned = {node for node, entry in evidence.node_entries.items() if entry.get("status") != "Ready"}
    concerned |= set(dig(evidence.model or {}, "status", "nodesFailed") or ())
    full = [node for node in evidence.nodes if condition(node, "DiskPressure").get("status") == "True"]
    nowhere = not concerned and len(evidence.nodes) - len(full) < evidence.nodes_wanted
    for node in full:
        name, pressure = name_of(node), condition(node, "DiskPressure")
        if name not in ready and (name in concerned or nowhere):
            line = EvidenceLine(f"node/{name}", f"DiskPressure: {pressure.get('message', '')}")
            yield finding("disk-full", [line], detail=f"node {name} has no space left",
                          time=str(pressure.get("lastTransitionTime", "")))  # fmt: skip


def _from_state(evidence: Evidence) -> Iterator[Finding]:
    """No word from an agent: what entries, labels and progress say together."""
    ready_labels = sorted(node for node, value in evidence.node_labels.items() if value == "Ready")
    ready = list(dig(evidence.model or {}, "status", "nodesReady") or ())
    if len(ready_labels) >= evidence.nodes_wanted > len(ready):
        line = EvidenceLine("node labels", f"Ready on {', '.join(ready_labels)}; status.nodesReady has {len(ready)}")
        yield finding("download-status-stale", [line], detail=line.text)
        return
    if ready:
        yield _partial(evidence, ready)
        return
    if _state(evidence) == "Failed":
        failed = dig(evidence.model or {}, "status", "nodesFailed") or ()
        line = EvidenceLine("model status", f"state Failed, nodesFailed: {', '.join(failed)}")
        yield finding("download-failed", [line], detail="no agent log says why")
        return
    updating = {node: entry for node, entry in evidence.node_entries.items() if entry.get("status") == "Updating"}
    if updating:
        yield _moving_or_stuck(evidence, updating)
    else:
        yield _not_picked_up(evidence)


def _partial(evidence: Evidence, ready: list[str]) -> Finding:
    failed = dig(evidence.model or {}, "status", "nodesFailed") or ()
    text = f"{len(ready)} of {evidence.nodes_wanted} wanted nodes ready, {len(failed)} failed"
    return finding("download-partial-nodes", [EvidenceLine("model status", text)], detail=text)


def _moving_or_stuck(evidence: Evidence, updating: dict[str, Manifest]) -> Finding:
    lines = []
    for node, entry in sorted(updating.items())[:5]:
        progress = dig(entry, "progress")
        text = (
            f"{dig(progress, 'completedBytes') or 0} of {dig(progress, 'totalBytes') or '?'} bytes, "
            f"last update {dig(progress, 'lastUpdated') or 'never'}"
        )
        lines.append(EvidenceLine(f"ConfigMap ome/{node}", text))
    idle = evidence.idle_seconds
    if idle is not None and idle < 300 and evidence.reason == "deadline":
        return finding("download-slow", lines, detail=f"still moving after {evidence.waited:.0f} s")
    for node, log in sorted(evidence.agent_logs.items())[:2]:
        lines += [EvidenceLine(f"log model-agent on {node}", line.strip()) for line in log.splitlines()[-1:]]
    still = f"no byte for {idle:.0f} s" if idle is not None else "no progress reported"
    return finding("download-stuck", lines, detail=f"{still} on {len(updating)} nodes")


def _not_picked_up(evidence: Evidence) -> Finding:
    if not any(map(_works, evidence.agents)):
        line = EvidenceLine("pods of the model agent in namespace ome", f"{len(evidence.agents)} pods, none ready")
        return finding("platform-not-installed", [line], detail="no model agent is running")
    others = sorted(evidence.other_downloads)
    line = EvidenceLine(
        "node ConfigMaps in namespace ome",
        f"no entry for the model after {evidence.waited:.0f} s; agents work on: {', '.join(others) or 'nothing'}",
    )
    hint = f"delete the models that occupy the agents: {', '.join(others)}" if others else ""
    return finding("download-queued", [line], detail=line.text, hint=hint or "restart the model agents: they are idle")


def _works(pod: Manifest) -> bool:
    """Whether an agent's pod is ready; one that crashes over and over still counts as running."""
    running: bool = dig(pod, "status", "phase") == "Running"
    return running and condition(pod, "Ready").get("status", "True") == "True"


def metadata_findings(evidence: Evidence) -> Iterator[Finding]:
    """The agent could not parse the model's config; it surfaces later as a runtime mismatch."""
    lines = _agent_lines(evidence, _UNPARSED)
    if lines:
        yield finding("metadata-unparsed", lines[:2], detail=lines[0].text)


def _state(evidence: Evidence) -> str:
    return str(dig(evidence.model or {}, "status", "state") or "")


def _count(lines: list[EvidenceLine]) -> str:
    return f"{len(lines)} node{'s' if len(lines) != 1 else ''}"
