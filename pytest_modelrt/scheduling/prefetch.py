"""Which models to download before their case starts, so that GPUs rarely wait for weights. Pure policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_modelrt.plan.model import Case

AGENT_WORKERS = 2
"""Downloads a node does at a time, as the platform ships its agents."""


@dataclass(frozen=True, slots=True)
class Room:
    """What downloading ahead may use."""

    window: int
    """How many cases in dispatch order are looked at (``--modelrt-prefetch``); 0 switches it off."""
    downloads: int = AGENT_WORKERS
    """Downloads ahead in progress at once on a node: its agent's workers. Those of running cases come on top, since
    whatever is applied waits in the agents' queue behind what was applied before."""
    disk_bytes: int | None = 10 * 10**12
    """Weights on a node's disk at once, those of running cases included; None: no bound."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Weights on the nodes now or soon."""

    held: Mapping[str, int]
    """Case id -> bytes of models applied and not deleted, by running cases or ahead of theirs."""
    downloading: frozenset[str] = frozenset()
    """Those ahead of their cases that are not complete."""
    placed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Case id -> the nodes that download its model; whoever is not in it uses all."""


EVERYWHERE = ("",)
"""Stands for the nodes a model without a place is on when no model has one."""


@dataclass(slots=True)
class _Node:
    """What is on one node, and what shall be."""

    used: int = 0
    downloads: int = 0


def next_downloads(upcoming: Sequence[Case], disk: Disk, room: Room, *, token: bool, paused: bool) -> list[Case]:
    """The cases whose models should be applied now, first things first.

    A model that has no room waits, and so do all behind it that need one of its nodes: none takes the room of one that
    is needed earlier.

    Args:
        upcoming: cases that have not started, in dispatch order.
        disk: what is there.
        room: what may be used.
        token: whether gated models can be downloaded.
        paused: the circuit breaker is open: the hub or the agents have trouble.
    """
    if paused:
        return []
    every = tuple(dict.fromkeys(node for nodes in disk.placed.values() for node in nodes)) or EVERYWHERE
    nodes = {name: _Node() for name in every}

    def of(case_id: str) -> Iterable[_Node]:
        return (nodes[name] for name in disk.placed.get(case_id, every))

    for case_id, size in disk.held.items():
        for node in of(case_id):
            node.used += size
            node.downloads += case_id in disk.downloading
    started: list[Case] = []
    closed: set[int] = set()
    for case in upcoming[: room.window]:
        if case.id in disk.held or (case.gated and not token):
            continue
        if any(id(node) in closed or not _takes(node, case, room) for node in of(case.id)):
            closed |= {id(node) for node in of(case.id)}
            continue
        started.append(case)
        for node in of(case.id):
            node.used += case.weights_bytes
            node.downloads += 1
    return started


def _takes(node: _Node, case: Case, room: Room) -> bool:
    fits = room.disk_bytes is None or node.used + case.weights_bytes <= room.disk_bytes
    return fits and node.downloads < room.downloads


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
