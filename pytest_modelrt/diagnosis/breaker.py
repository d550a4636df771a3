"""The circuit breaker: when the cluster is in trouble, stop asking models to prove it (facts: failures, part C).

Pure: time comes in as cluster seconds, nothing is waited for. The controller feeds it verdicts and asks before each
start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_modelrt.diagnosis.model import Cause, Scope

INFRASTRUCTURE = frozenset({Scope.TIER, Scope.CAMPAIGN})
"""Scopes that say something about the cluster and nothing about the model."""


class State(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """A canary now and then, to see whether the trouble is over."""
    HALF_OPEN = "half-open"
    """One case at a time."""
    GIVEN_UP = "given-up"
    """Nothing more in this run."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Cluster seconds and counts."""

    window: float = 900.0
    models: int = 3
    canary_every: float = 300.0
    canaries: int = 3
    open_limit: float = 1800.0
    proofs: int = 2
    """Passes in half-open before everything is let through again."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state, for the journal."""

    now: float
    state: State
    reason: str


@dataclass(slots=True)
class Breaker:
    """Counts infrastructure causes over a sliding window and decides what may start."""

    policy: Policy = field(default_factory=Policy)
    on_change: Callable[[Transition], None] | None = None
    state: State = State.CLOSED
    reason: str = ""
    """Slug that opened it."""
    _signs: dict[str, dict[str, float]] = field(default_factory=dict)
    """Slug -> case -> when it was seen."""
    _opened: float = 0.0
    _last_canary: float = 0.0
    _canary: str = ""
    _failed_canaries: int = 0
    _proofs: int = 0

    def record(self, case: str, cause: Cause | None, now: float, *, in_flight: int) -> None:
        """A case ended (or a stage of it gave up).

        Args:
            case: its id.
            cause: why; None when it passed.
            now: cluster seconds.
            in_flight: cases still running, this one not counted.
        """
        trouble = cause is not None and cause.scope in INFRASTRUCTURE
        if self.state in (State.OPEN, State.HALF_OPEN):
            self._judge(case, cause if trouble else None, now)
        elif not trouble:
            self._forget(case)
        elif cause is not None:
            self._count(case, cause, now, in_flight)

    def may_start(self, now: float, *, running: int) -> bool:
        """Whether one more case may start now; ask again later when not."""
        self._expire(now)
        if self.state is State.CLOSED:
            return True
        if self.state is State.HALF_OPEN:
            return running == 0
        if self.state is State.GIVEN_UP:
            return False
        return not self._canary and now - self._last_canary >= self.policy.canary_every

    def started(self, case: str, now: float) -> None:
        """A case was let through."""
        if self.state is State.OPEN:
            self._canary, self._last_canary = case, now

    def withdrawn(self, case: str) -> None:
        """A case that was let through proved nothing: another one may be the canary now."""
        if self._canary == case:
            self._canary = ""
            self._last_canary -= self.policy.canary_every

    def next_change(self, now: float) -> float | None:
        """Cluster seconds until the answer of ``may_start`` can change by time alone; None when it cannot."""
        if self.state is not State.OPEN:
            return None
        moments = [self._opened + self.policy.open_limit]
        if not self._canary:
            moments.append(self._last_canary + self.policy.canary_every)
        return max(0.0, min(moments) - now)

    def _count(self, case: str, cause: Cause, now: float, in_flight: int) -> None:
        seen = self._signs.setdefault(cause.slug, {})
        seen[case] = now
        for other in [name for name, when in seen.items() if now - when > self.policy.window]:
            del seen[other]
        everybody = in_flight == 0 and len(seen) >= 2
        if len(seen) >= self.policy.models or everybody:
            self._opened = self._last_canary = now
            self._canary, self._failed_canaries = "", 0
            self.reason = cause.slug
            self._change(State.OPEN, now, f"{cause.slug} on {len(seen)} models: {', '.join(sorted(seen))}")

    def _forget(self, case: str) -> None:
        """Something got through: what was counted before says nothing about the cluster now."""
        for seen in self._signs.values():
            seen.clear()

    def _judge(self, case: str, trouble: Cause | None, now: float) -> None:
        if case == self._canary:
            self._canary = ""
        elif self.state is State.OPEN:
            return  # a case that was already running proves nothing either way
        if trouble is None:
            self._proofs = self._proofs + 1 if self.state is State.HALF_OPEN else 0
            if self._proofs >= self.policy.proofs:
                self._signs.clear()
                self._change(State.CLOSED, now, f"{case} got through")
            elif self.state is State.OPEN:
                self._change(State.HALF_OPEN, now, f"canary {case} got through")
            return
        self._failed_canaries += 1
        if self._failed_canaries >= self.policy.canaries:
            self._change(State.GIVEN_UP, now, f"{self._failed_canaries} canaries failed: {trouble.slug}")
        elif self.state is State.HALF_OPEN:
            self._last_canary, self._proofs = now, 0
            self._change(State.OPEN, now, f"{case}: {trouble.slug} again")

    def _expire(self, now: float) -> None:
        if self.state is State.OPEN and not self._canary and now - self._opened >= self.policy.open_limit:
            self._change(State.GIVEN_UP, now, f"open for {now - self._opened:.0f} s: {self.reason}")

    def _change(self, state: State, now: float, reason: str) -> None:
        self.state = state
        if self.on_change is not None:
            self.on_change(Transition(now, state, reason))


@dataclass(slots=True)
class FamilyMemo:
    """Remembers which architecture an engine image does not implement, to spare the family's downloads."""

    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    def record(self, case: str, image: str, architecture: str, cause: Cause | None) -> None:
        """Learn from a verdict."""
        if cause is not None and cause.slug == "crashloop-unsupported-architecture" and architecture:
            self._known.setdefault((image, architecture), case)

    def blocks(self, image: str, architecture: str) -> str | None:
        """Why a case need not run; None: let it run."""
        case = self._known.get((image, architecture))
        return f"same architecture ({architecture}) failed on {case} with the same image" if case else None
