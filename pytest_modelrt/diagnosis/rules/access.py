"""Rules for a running model that does not answer as it should (facts: failures, E6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.diagnosis.logs import first_crash
from pytest_modelrt.diagnosis.model import Evidence, Finding, Manifest, ProbeExchange
from pytest_modelrt.diagnosis.rules.objects import component, condition, dig, finding, name_of, statuses
from pytest_modelrt.journal.model import EvidenceLine, Stage

_FORBIDDEN = re.compile(r"pods is forbidden: User \S+ cannot list resource")
_REFUSED = re.compile(r"403 .*is forbidden: User .*")
_PORT_FORWARD_RIGHT = (
    "kubectl auth can-i create pods --subresource=portforward (get, on servers before 1.35); "
    "config/rbac has what the suite needs"
)


def rules(evidence: Evidence) -> Iterator[Finding]:
    """Findings of the probe stage; a dead engine explains whatever the probe saw."""
    if evidence.stage is not Stage.PROBE:
        return
    lines = [_line(exchange) for exchange in evidence.exchanges[-2:]]
    died = _died(evidence)
    if died is not None:
        yield finding("engine-died-during-inference", [died, *lines], detail=died.text)
        return
    slug = evidence.probe_problem
    if slug == "engine-died-during-inference" and not any(exchange.status for exchange in evidence.exchanges[-1:]):
        slug = "port-forward-broken"  # the connection ended, and the pod shows that the engine did not
    refused = evidence.exchanges and _REFUSED.search(evidence.exchanges[-1].error or "")
    if slug == "port-forward-broken" and refused:
        yield finding("cluster-auth", lines, detail=refused.group(), hint=_PORT_FORWARD_RIGHT)
    elif slug in CAUSES:
        yield finding(slug, lines, detail=evidence.detail)
    elif evidence.exchanges and evidence.exchanges[-1].status is None:
        error = evidence.exchanges[-1].error
        timed_out = "timed out" in error.lower() or "timeout" in error.lower()
        yield finding("inference-timeout" if timed_out else "port-forward-broken", lines, detail=error)


def forbidden_line(log: str) -> str:
    """The line in which a router says that it may not list pods; empty when there is none."""
    return next((line.strip() for line in log.splitlines() if _FORBIDDEN.search(line)), "")


def _line(exchange: ProbeExchange) -> EvidenceLine:
    answer = exchange.error or f"{exchange.status} {exchange.response}"
    return EvidenceLine(f"{exchange.method} {exchange.url}", answer[:400])


def _died(evidence: Evidence) -> EvidenceLine | None:
    """An engine container that restarted or crashed while it was asked."""
    unanswered = any(exchange.status is None or exchange.status >= 500 for exchange in evidence.exchanges)
    if not unanswered:
        return None
    for pod in evidence.pods:
        if component(pod.manifest) == "router":
            continue
        overcome = {
            str(container.get("name")) for container in statuses(pod.manifest) if _overcome(pod.manifest, container)
        }
        previous = {name: log for name, log in pod.previous_logs.items() if name not in overcome}
        for source, log in (*previous.items(), *pod.logs.items()):
            crash = first_crash(log)
            if crash is not None:
                return EvidenceLine(f"log pod/{name_of(pod.manifest)} container/{source}", crash.line)
        for container in statuses(pod.manifest):
            ended = dig(container, "lastState", "terminated")
            if int(container.get("restartCount") or 0) and ended and container.get("name") not in overcome:
                text = f"restarted {container['restartCount']} times; last: {ended.get('reason')}"
                return EvidenceLine(f"pod/{name_of(pod.manifest)}", text)
    return None


def _overcome(pod: Manifest, container: Mapping[str, Any]) -> bool:
    """Whether its restarts were before the pod became ready: what the engine died of then was no question of ours."""
    ready = condition(pod, "Ready")
    began, since = (
        str(dig(container, "state", "running", "startedAt") or ""),
        str(ready.get("lastTransitionTime") or ""),
    )
    restarted = int(container.get("restartCount") or 0) > 0
    return restarted and ready.get("status") == "True" and bool(began) and began <= since
