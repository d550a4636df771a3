"""What the scheduler does right now, as data and as one line."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_modelrt.scheduling.books import Books, W
from pytest_modelrt.scheduling.jobs import Job

NAMES_SHOWN = 2


@dataclass(frozen=True, slots=True)
class TierState:
    """One tier at one moment."""

    name: str
    limit: int
    running: tuple[str, ...]
    """Keys (case ids) that hold a slot and run."""
    quarantined: tuple[str, ...]
    """Keys that hold a slot because their objects are still being removed, or could not be."""
    waiting: int

    @property
    def used(self) -> int:
        """Slots taken."""
        return len(self.running) + len(self.quarantined)


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """A run at one moment."""

    tiers: tuple[TierState, ...]
    """Largest GPUs first."""
    gpus_held: int
    gpu_budget: int
    workers: int
    workers_idle: int
    plain_running: int
    """Running jobs without GPUs."""
    plain_waiting: int


def state_of(books: Books[W]) -> SchedulerState:
    """The state of a run."""
    limits, waiting = books.limits, books.waiting
    running = books.running

    def tier_name(job: Job) -> str | None:
        tier = limits.tier_of(job.gpus)
        return tier.name if tier else None

    holders = books.admission.holders
    tiers = tuple(
        TierState(
            tier.name,
            tier.limit,
            tuple(holder.key for holder in holders if holder.tier == tier.name and not holder.quarantined),
            tuple(holder.key for holder in holders if holder.tier == tier.name and holder.quarantined),
            sum(tier_name(job) == tier.name for job in waiting),
        )
        for tier in sorted(limits.tiers, key=lambda tier: -tier.min_gpus)
    )
    return SchedulerState(
        tiers,
        books.admission.gpus_held,
        limits.gpu_budget,
        len(books.workers),
        len(books.workers) - len(running),
        sum(job.gpus == 0 for job in running.values()),
        sum(job.gpus == 0 for job in waiting),
    )


def status_line(state: SchedulerState) -> str:
    """One line: ``gpu8: 1/1 running DeepSeek-V3, 16 waiting; gpu1: 10/10``. Tiers without work are left out."""
    parts = [_tier_text(tier) for tier in state.tiers if tier.used or tier.waiting]
    if state.plain_running or state.plain_waiting:
        parts.append(f"no GPUs: {state.plain_running} running, {state.plain_waiting} waiting")
    return "; ".join(parts)


def _tier_text(tier: TierState) -> str:
    text = f"{tier.name}: {tier.used}/{tier.limit}"
    details = []
    if tier.waiting and tier.running and len(tier.running) <= NAMES_SHOWN:
        details.append("running " + ", ".join(key.rpartition("/")[2] for key in tier.running))
    if tier.quarantined:
        details.append("cleaning up " + ", ".join(key.rpartition("/")[2] for key in tier.quarantined))
    if tier.waiting:
        details.append(f"{tier.waiting} waiting")
    return f"{text} {', '.join(details)}" if details else text
