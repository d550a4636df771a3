"""Status conditions with Knative's arithmetic: ``Ready`` follows its dependents, the others only inform."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.platform import timestamp

READY = "Ready"
DEPENDENTS = ("WorkloadsReady", "RouterReady")
"""What ``Ready`` depends on."""
WORKLOADS = ("MainWorkloadReady", "WorkerWorkloadReady", "PrefillWorkloadReady", "PrefillWorkerWorkloadReady")
ROUTER = ("GatewaysReady", "HTTPRoutesReady", "InferencePoolReady", "SchedulerWorkloadReady")
NEW_GENERATION = "NewObservedGenFailure"
_NEW_GENERATION_TEXT = "unsuccessfully observed a new generation"


class Conditions:
    """The conditions of one service during one reconcile; ``now`` gives times of change."""

    def __init__(self, known: Iterable[Object], now: Callable[[], str] = timestamp) -> None:
        self._now = now
        self._held: dict[str, Object] = {condition["type"]: dict(condition) for condition in known}

    def begin(self, *, new_generation: bool) -> None:
        """What is not there yet is Unknown; so is ``Ready`` of a generation nobody has looked at."""
        for kind in (READY, *DEPENDENTS):
            if kind not in self._held:
                self._set(kind, "Unknown")
        if new_generation:
            self._set(READY, "Unknown", NEW_GENERATION, _NEW_GENERATION_TEXT)

    def true(self, kind: str) -> None:
        """The condition holds; ``Ready`` is worked out anew."""
        self._set(kind, "True")
        unhappy = self._unhappy()
        if unhappy is None:
            self._set(READY, "True")
        elif kind in DEPENDENTS:
            self._set(READY, unhappy["status"], unhappy.get("reason", ""), unhappy.get("message", ""))

    def false(self, kind: str, reason: str, message: str = "") -> None:
        """The condition does not hold; a dependent takes ``Ready`` with it."""
        self._set(kind, "False", reason, message)
        if kind in DEPENDENTS:
            self._set(READY, "False", reason, message)

    def clear(self, kind: str) -> None:
        """The condition does not apply."""
        self._held.pop(kind, None)

    def determine(self, kind: str, parts: Iterable[str]) -> None:
        """``kind`` is as the first part that is False, else it holds."""
        for part in parts:
            condition = self._held.get(part)
            if condition is not None and condition["status"] == "False":
                self.false(kind, condition.get("reason", ""), condition.get("message", ""))
                return
        self.true(kind)

    def get(self, kind: str) -> Object | None:
        """A condition, if it is set."""
        return self._held.get(kind)

    def sorted(self) -> list[Object]:
        """As the status stores them: by type."""
        return [self._held[kind] for kind in sorted(self._held)]

    def _unhappy(self) -> Object | None:
        dependents = [self._held[kind] for kind in DEPENDENTS if kind in self._held]
        for status in ("False", "Unknown"):
            for condition in dependents:
                if condition["status"] == status:
                    return condition
        return None

    def _set(self, kind: str, status: str, reason: str = "", message: str = "") -> None:
        wanted: Object = {"type": kind, "status": status}
        if kind != READY and kind not in DEPENDENTS:
            wanted["severity"] = "Info"
        wanted |= {name: value for name, value in (("reason", reason), ("message", message)) if value}
        known = self._held.get(kind)
        if known is not None and {**known, "lastTransitionTime": ""} == {**wanted, "lastTransitionTime": ""}:
            return
        # Knative moves the time with every change of a condition, not only of its status
        self._held[kind] = {**wanted, "lastTransitionTime": self._now()}
