"""Injected faults: answer some requests with an error, or cut the connection, for a while."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pytest_modelrt.simulator.apiserver.errors import StatusError

_TEXTS = {
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", "an internal error occurred"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted"),
}


class ConnectionCut(Exception):
    """The fault asks for the connection to be dropped without an answer."""


@dataclass(slots=True)
class Fault:
    """Which requests fail and how. Empty sets match everything; times are real seconds on the monotonic clock."""

    status: int = 503
    reset: bool = False
    verbs: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    retry_after: int | None = None
    starts_in: float = 0.0
    lasts: float = float("inf")
    count: int | None = None
    """How many requests fail; None means all within the time."""
    added: float = field(default_factory=time.monotonic)
    hits: int = 0

    def matches(self, verb: str, resource: str, user: str) -> bool:
        """Whether a request fails by this fault now."""
        elapsed = time.monotonic() - self.added - self.starts_in
        if not 0 <= elapsed < self.lasts or (self.count is not None and self.hits >= self.count):
            return False
        return (
            (not self.verbs or verb in self.verbs)
            and (not self.resources or resource in self.resources)
            and (not self.users or user in self.users)
        )


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force; returned for :meth:`remove` and its hit count."""
        self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """End a fault."""
        self._faults.remove(fault)

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()

    def strike(self, verb: str, resource: str, user: str) -> None:
        """Raise what the first matching fault asks for."""
        for fault in self._faults:
            if fault.matches(verb, resource, user):
                fault.hits += 1
                if fault.reset:
                    raise ConnectionCut
                reason, text = _TEXTS.get(fault.status, ("InternalError", "injected fault"))
                after = fault.retry_after
                found = {} if after is None else {"retryAfterSeconds": after}
                headers = {} if after is None else {"Retry-After": str(after)}
                raise StatusError(fault.status, reason, text, found, headers=headers)
