"""What a scenario file may say about the gateway and its helpers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatewayRule:
    """Faults on the way from the gateway to a model. Durations are cluster seconds."""

    auth_delay: float = 0.0
    """How long Authorino takes. From 0.2 on the gateway gives up and answers 500."""
    auth_slow_calls: int | None = None
    """Only the first so many calls are slow; None: all."""
    limiter_delay: float = 0.0
    """How long Limitador takes. From 0.1 on the gateway lets requests through, uncounted."""
    limiter_away: bool = False
    """Nobody answers for Limitador; requests pass uncounted."""
    tier_lookup_status: int | None = None
    """maas-api answers tier lookups with this HTTP status and an error body."""
    tier_lookup_times: int | None = None
    """Only the first so many lookups; None: all."""
