"""How many cases may hold GPUs at once: tier limits, GPU budget, maximum per test. Pure bookkeeping, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_modelrt.plan.model import Campaign, Tier


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a run."""

    tiers: tuple[Tier, ...]
    gpu_budget: int
    gpus_per_test: int
    offered: int | None = None
    """GPUs the cluster's nodes have; None: not known."""

    @classmethod
    def of(cls, campaign: Campaign, offered: int | None = None) -> Limits:
        """The limits that the campaign settings state, and no more GPUs than the cluster's nodes have."""
        budget = campaign.gpu_budget if offered is None else min(campaign.gpu_budget, offered)
        return cls(campaign.tiers, budget, campaign.gpus_per_test, offered)

    def tier_of(self, gpus: int) -> Tier | None:
        """The tier of a test asking for ``gpus``; None when no tier covers that number or no GPU is asked."""
        for tier in self.tiers:
            if gpus > 0 and tier.min_gpus <= gpus and (tier.max_gpus is None or gpus <= tier.max_gpus):
                return tier
        return None

    def refusal(self, gpus: int) -> str | None:
        """Why a test asking for ``gpus`` can never start under these limits; None when it can."""
        if gpus <= 0:
            return None
        tier = self.tier_of(gpus)
        if tier is None:
            return f"asks for {gpus} GPUs, and no tier of the campaign covers that number"
        if tier.limit < 1:
            return f"asks for {gpus} GPUs, and tier {tier.name} has the limit {tier.limit}"
        if gpus > self.gpus_per_test:
            return f"asks for {gpus} GPUs, and one test may hold at most {self.gpus_per_test}"
        if self.offered is not None and gpus > self.offered:
            return f"asks for {gpus} GPUs, and the cluster's nodes have {self.offered}"
        if gpus > self.gpu_budget:
            return f"asks for {gpus} GPUs, and the budget of the run is {self.gpu_budget}"
        return None

    @property
    def most_at_once(self) -> int:
        """Cases that can hold GPUs at the same time: more workers than that only wait."""
        free, count = self.gpu_budget, 0
        for tier in sorted(self.tiers, key=lambda tier: tier.min_gpus):
            fitting = min(max(tier.limit, 0), free // max(tier.min_gpus, 1))
            count += fitting
            free -= fitting * tier.min_gpus
        return max(count, 1)


@dataclass(slots=True)
class Holder:
    """Somebody who holds GPUs: a running job, or a crashed one whose objects are still being removed."""

    key: str
    gpus: int
    tier: str | None
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What other runs on the same cluster hold."""

    slots: Mapping[str, int] = field(default_factory=dict)
    """Tier -> slots."""
    gpus: int = 0
    keys: frozenset[str] = frozenset()
    """Cases."""

    def __bool__(self) -> bool:
        return bool(self.gpus or self.keys or any(self.slots.values()))


class Admission:
    """Who holds what. A slot is taken from the start of a job until its objects are gone."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.others = Occupancy()
        """Known of other runs; may change at any time."""
        self._holders: dict[str, Holder] = {}
        self._used: dict[str | None, int] = {}
        self._gpus = 0

    @property
    def gpus_held(self) -> int:
        """GPUs held by running and quarantined jobs."""
        return self._gpus

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Everybody who holds something, in order of their start."""
        return tuple(self._holders.values())

    def used(self, tier: str | None) -> int:
        """Slots of a tier that are taken."""
        return self._used.get(tier, 0)

    def free(self, tier: Tier) -> int:
        """Slots of a tier that are left."""
        return tier.limit - self.used(tier.name) - self.others.slots.get(tier.name, 0)

    def holds(self, key: str) -> bool:
        """Whether ``key`` runs or is in quarantine."""
        return key in self._holders

    def fits(self, key: str, gpus: int) -> bool:
        """Whether ``key`` may start now."""
        if self.holds(key) or key in self.others.keys or not self.slot_free(gpus):
            return False
        return gpus <= 0 or self._gpus + self.others.gpus + gpus <= self.limits.gpu_budget

    def slot_free(self, gpus: int) -> bool:
        """Whether a test asking for ``gpus`` may start as far as its tier is concerned."""
        if gpus <= 0:
            return True
        tier = self.limits.tier_of(gpus)
        return tier is not None and gpus <= self.limits.gpus_per_test and self.free(tier) > 0

    def take(self, key: str, gpus: int) -> None:
        """``key`` starts.

        Raises:
            ValueError: it does not fit; nothing is changed.
        """
        if not self.fits(key, gpus):
            raise ValueError(f"{key} ({gpus} GPUs) does not fit: {self._gpus} of {self.limits.gpu_budget} GPUs held")
        tier = self.limits.tier_of(gpus)
        name = tier.name if tier else None
        self._holders[key] = Holder(key, gpus, name)
        self._used[name] = self.used(name) + 1
        self._gpus += gpus

    def quarantine(self, key: str) -> None:
        """``key`` crashed: what it holds stays held until ``release``."""
        self._holders[key].quarantined = True

    def release(self, key: str) -> None:
        """What ``key`` held is free again; KeyError when it held nothing."""
        holder = self._holders.pop(key)
        self._used[holder.tier] -= 1
        self._gpus -= holder.gpus
