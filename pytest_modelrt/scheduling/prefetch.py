"""Which models to download before their case starts, so that GPUs rarely wait for weights. Pure policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_modelrt.plan.model import Case

AGENT_WORKERS = 2
"""Downloads a node does at a time, as the platform ships its agents."""


@dataclass(frozen=True, slots=True)
class Room:
    """What downloading ahead may use."""

    window: int
    """How many cases in dispatch order are looked at (``--modelrt-prefetch``); 0 switches it off."""
    downloads: int = AGENT_WORKERS
    """Downloads ahead in progress at once: the agents' workers per node. Those of running cases come on top, since
    whatever is applied waits in the agents' queue behind what was applied before."""
    disk_bytes: int | None = 10 * 10**12
    """Weights on a node's disk at once, those of running cases included; None: no bound."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Weights on the nodes now or soon."""

    held: Mapping[str, int]
    """Case id -> bytes of models applied and not deleted, by running cases or ahead of theirs."""
    downloading: int
    """How many of those ahead of their cases are not complete."""


def next_downloads(upcoming: Sequence[Case], disk: Disk, room: Room, *, token: bool, paused: bool) -> list[Case]:
    """The cases whose models should be applied now, first things first.

    A model that has no room waits, and so do all behind it: none takes the room of one that is needed earlier.

    Args:
        upcoming: cases that have not started, in dispatch order.
        disk: what is there.
        room: what may be used.
        token: whether gated models can be downloaded.
        paused: the circuit breaker is open: the hub or the agents have trouble.
    """
    if paused:
        return []
    started: list[Case] = []
    used = sum(disk.held.values())
    for case in upcoming[: room.window]:
        if case.id in disk.held or (case.gated and not token):
            continue
        full = room.disk_bytes is not None and used + case.weights_bytes > room.disk_bytes
        if full or disk.downloading + len(started) >= room.downloads:
            break
        started.append(case)
        used += case.weights_bytes
    return started


@dataclass(frozen=True, slots=True)
class DownloadTime:
    """How much of a download a case had to wait for, in cluster seconds."""

    waited: float
    hidden: float
    """The part that passed while other cases used the GPUs."""


def download_time(applied: float, complete: float, started: float) -> DownloadTime:
    """Split a download between waiting and hiding.

    Args:
        applied: when the model was applied.
        complete: when enough nodes had it.
        started: when the case began to wait for it.
    """
    waited = max(0.0, complete - max(applied, started))
    return DownloadTime(waited, max(0.0, complete - applied) - waited)
