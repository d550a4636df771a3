"""Small readers of Kubernetes objects, shared by the rules. All tolerate missing fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.diagnosis.model import Evidence, Finding, Manifest
from pytest_modelrt.journal.model import EvidenceLine, Outcome


def dig(value: Any, *path: str) -> Any:
    """``value[path[0]][path[1]]...``; an empty dictionary where anything is missing."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return {}
        value = value[key]
    return {} if value is None else value


def name_of(manifest: Manifest) -> str:
    """``metadata.name``."""
    return str(dig(manifest, "metadata", "name") or "?")


def event_time(event: Manifest) -> str:
    """When an event was first seen."""
    for field in ("firstTimestamp", "eventTime", "lastTimestamp"):
        if event.get(field):
            return str(event[field])
    return str(dig(event, "metadata", "creationTimestamp") or "")


def events(evidence: Evidence, *reasons: str, kind: str = "") -> Iterator[Manifest]:
    """Events with one of ``reasons``, optionally about objects of ``kind``, oldest first."""
    for event in sorted(evidence.events, key=event_time):
        if event.get("reason") in reasons and (not kind or dig(event, "involvedObject", "kind") == kind):
            yield event


def event_line(event: Manifest) -> EvidenceLine:
    """An event as evidence."""
    about = f"{dig(event, 'involvedObject', 'kind')}/{dig(event, 'involvedObject', 'name')}"
    return EvidenceLine(f"event {about}", f"{event.get('reason')}: {event.get('message', '')}", event_time(event))


def statuses(pod: Manifest) -> Sequence[Mapping[str, Any]]:
    """Container statuses, init containers first."""
    status = dig(pod, "status")
    return [*(dig(status, "initContainerStatuses") or ()), *(dig(status, "containerStatuses") or ())]


def condition(manifest: Manifest, kind: str) -> Mapping[str, Any]:
    """The condition of that type; empty when absent."""
    for entry in dig(manifest, "status", "conditions") or ():
        if entry.get("type") == kind:
            found: Mapping[str, Any] = entry
            return found
    return {}


def component(pod: Manifest) -> str:
    """``engine``, ``router``, ``decoder``, or empty."""
    return str(dig(pod, "metadata", "labels", "component") or "")


def finding(
    slug: str,
    lines: Sequence[EvidenceLine],
    *,
    detail: str = "",
    hint: str = "",
    time: str = "",
    outcome: Outcome | None = None,
) -> Finding:
    """A finding; its time is that of the earliest line when none is given."""
    stamps = [line.time for line in lines if line.time]
    return Finding(CAUSES[slug], tuple(lines), detail, hint, time or (min(stamps) if stamps else ""), outcome)
