"""The GPU ledger: who held which GPUs when, written by the nodes and by nobody else.

It is the witness for tier limits and the GPU budget, independent of the suite's own scheduler.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_modelrt.clock import Clock, rfc3339, utc_now
from pytest_modelrt.plan.model import Tier
from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.nodes.quantities import pod_gpus

FILE = "ledger.jsonl"
CASE_LABEL = "modelrt.io/case"
RUN_LABEL = "modelrt.io/run-id"
_SERVICE_LABEL = "ome.io/inferenceservice"


class Ledger:
    """Appends a line per bind and release of a pod with GPUs."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.path = directory / FILE
        self.total = 0
        """GPUs held now."""
        self._clock = clock
        self._held: dict[str, int] = {}
        self._file = self.path.open("a", encoding="utf-8", buffering=1)

    def bind(self, pod: Object, node: str) -> None:
        """The pod got its GPUs."""
        gpus, uid = pod_gpus(pod), pod["metadata"]["uid"]
        if gpus and uid not in self._held:
            self._held[uid] = gpus
            self.total += gpus
            self._write("bind", pod, node, gpus)

    def release(self, pod: Object) -> None:
        """The pod is gone (or ended for good) and its GPUs are free."""
        gpus = self._held.pop(pod["metadata"]["uid"], 0)
        if gpus:
            self.total -= gpus
            self._write("release", pod, pod["spec"].get("nodeName", ""), gpus)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, action: str, pod: Object, node: str, gpus: int) -> None:
        metadata = pod["metadata"]
        labels = metadata.get("labels") or {}
        entry = {
            "time": rfc3339(utc_now()),
            "cluster_seconds": round(self._clock.monotonic(), 3),
            "action": action,
            "pod": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "node": node,
            "gpus": gpus,
            "case": labels.get(CASE_LABEL) or labels.get(_SERVICE_LABEL) or metadata["name"],
            "run": labels.get(RUN_LABEL, ""),
            "total": self.total,
        }
        self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that was ever held at once."""

    cases: int
    gpus: int


def read_ledger(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a ledger in order; a last line cut off by a kill is left out."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            return
        yield entry


def peak_by_tier(path: Path, tiers: Iterable[Tier]) -> dict[str, Peak]:
    """Most cases and GPUs at once per tier, and ``total``; a case belongs to the tier of the most GPUs it ever held."""
    entries = list(read_ledger(path))
    most: dict[str, int] = {}
    for held in _replay(entries):
        for case, gpus in held.items():
            most[case] = max(most.get(case, 0), gpus)
    peaks = {"total": Peak(0, 0)}
    members = {"total": set(most)}
    for tier in tiers:
        covered = {c for c, g in most.items() if g >= tier.min_gpus and (tier.max_gpus is None or g <= tier.max_gpus)}
        members[tier.name] = covered
        peaks[tier.name] = Peak(0, 0)
    for held in _replay(entries):
        for name, cases in members.items():
            now = {case: gpus for case, gpus in held.items() if case in cases and gpus}
            peaks[name] = Peak(max(peaks[name].cases, len(now)), max(peaks[name].gpus, sum(now.values())))
    return peaks


def _replay(entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, int]]:
    """GPUs per case after each entry."""
    held: dict[str, int] = {}
    for entry in entries:
        sign = 1 if entry["action"] == "bind" else -1
        held[entry["case"]] = held.get(entry["case"], 0) + sign * entry["gpus"]
        yield held
