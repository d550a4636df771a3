"""What the scheduler does right now, as data and as one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_modelrt.plan.model import Tier
from pytest_modelrt.scheduling.books import Books, W
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Admission

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
    waits_for: str = ""
    """What those who wait need, where that is not a slot of the tier in this run."""

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
    limits, running = books.limits, books.running
    waiting = books.waiting
    idle = len(books.workers) - len(running)

    def state(tier: Tier) -> TierState:
        of_tier = [job for job in waiting if limits.tier_of(job.gpus) == tier]
        holders = [holder for holder in books.admission.holders if holder.tier == tier.name]
        return TierState(
            tier.name,
            tier.limit,
            tuple(holder.key for holder in holders if not holder.quarantined),
            tuple(holder.key for holder in holders if holder.quarantined),
            len(of_tier),
            _waits_for(books.admission, tier, of_tier, idle),
        )

    return SchedulerState(
        tuple(state(tier) for tier in sorted(limits.tiers, key=lambda tier: -tier.min_gpus)),
        books.admission.gpus_held,
        limits.gpu_budget,
        len(books.workers),
        idle,
        sum(job.gpus == 0 for job in running.values()),
        sum(job.gpus == 0 for job in waiting),
    )


def _waits_for(admission: Admission, tier: Tier, waiting: Sequence[Job], idle: int) -> str:
    if admission.used(tier.name) >= tier.limit:
        return ""
    if admission.free(tier) <= 0:
        return "for slots that other runs hold"
    if not idle:
        return "for a worker"
    names = admission.others.keys
    if all(job.key in names for job in waiting):
        return "for models that other runs test"
    return "" if any(admission.fits(job.key, job.gpus) for job in waiting) else "for GPUs"


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
        details.append(f"{tier.waiting} waiting {tier.waits_for}".rstrip())
    return f"{text} {', '.join(details)}" if details else text
