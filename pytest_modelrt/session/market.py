"""What is known about other runs on the cluster, by their leases."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pytest_modelrt.cluster.model import CASE, Object
from pytest_modelrt.cluster.ownership import run_of
from pytest_modelrt.scheduling.limits import Occupancy

SECONDS = 60
"""Real seconds after which a lease without renewal is that of a dead run."""
GPUS = "modelrt.io/gpus"
"""Label of a slot: what its case holds."""
SLOT, MODEL = "modelrt-slot-", "modelrt-model-"
"""How the names of leases begin."""
_NONE_FREE = 10**6


def tier_of(slot: str) -> str:
    """The tier a slot's name speaks of."""
    return slot.removeprefix(SLOT).rpartition("-")[0]


@dataclass(slots=True)
class Seen:
    """A lease of another run, as last seen."""

    lease: Object
    since: float
    """Real seconds of a monotonic clock when its version was new to us."""

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        found: dict[str, str] = self.lease["metadata"].get("labels") or {}
        return found

    def lapsed(self, now: float) -> bool:
        """Whether nobody has renewed it for its duration."""
        seconds = (self.lease.get("spec") or {}).get("leaseDurationSeconds") or SECONDS
        return now - self.since > float(seconds)


@dataclass(slots=True)
class Market:
    """Changed under its lock only, by its own methods."""

    seen: dict[str, Seen] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Tiers and cases somebody was faster at; forgotten at the next tick."""
    dead: set[str] = field(default_factory=set)
    """Names of lapsed leases whose holders are being cleaned up after."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, lease: Object, run_id: str, now: float) -> bool:
        """Take an event of a watch, seen by a run; returns whether a lease of another run is no longer held."""
        name = lease["metadata"]["name"]
        with self.lock:
            if kind == "DELETED" or run_of(lease) == run_id:
                return self.seen.pop(name, None) is not None
            self.seen[name] = Seen(lease, now)
            return False

    def occupancy(self, cases: Collection[str], case_of_label: Mapping[str, str]) -> Occupancy:
        """What other runs hold, as far as is known."""
        slots: dict[str, int] = {}
        gpus, keys = 0, set[str]()
        with self.lock:
            for name, seen in self.seen.items():
                if name.startswith(MODEL):
                    keys.add(case_of_label.get(seen.labels.get(CASE, ""), ""))
                elif name.startswith(SLOT):
                    slots[tier_of(name)] = slots.get(tier_of(name), 0) + 1
                    gpus += int(seen.labels.get(GPUS, "0"))
            for tier_or_case in self.refused:
                if tier_or_case in cases:
                    keys.add(tier_or_case)
                else:
                    slots[tier_or_case] = _NONE_FREE
        return Occupancy(slots, gpus, frozenset(keys - {""}))

    def newly_lapsed(self, now: float) -> dict[str, Seen]:
        """Leases of runs that are dead, each told once, until ``buried``."""
        with self.lock:
            found = {name: seen for name, seen in self.seen.items() if seen.lapsed(now) and name not in self.dead}
            self.dead.update(found)
        return found

    def buried(self, name: str) -> None:
        """What the holder of a lapsed lease left is gone, or could not be removed."""
        with self.lock:
            self.dead.discard(name)

    def refuse(self, tier_or_case: str) -> None:
        """Somebody was faster."""
        with self.lock:
            self.refused.add(tier_or_case)

    def forget_refusals(self) -> bool:
        """Let everything be tried again; whether there is something to try."""
        with self.lock:
            there_were = bool(self.refused)
            self.refused.clear()
        return there_were
