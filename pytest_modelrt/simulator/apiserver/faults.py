"""Injected faults: answer some requests with an error, or cut the connection, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.rbac import Access

_TEXTS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", '{qualified} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group '
                       '"{group}"{where}'),
    413: ("RequestEntityTooLarge", "etcdserver: request is too large"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", "an internal error occurred"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted"),
}  # fmt: skip


class ConnectionCut(Exception):
    """The fault asks for the connection to be dropped without an answer."""


@dataclass(slots=True)
class Fault:
    """Which requests fail and how. Empty sets match everything, patterns are shell patterns; times are real seconds on
    the monotonic clock."""

    status: int = 503
    reset: bool = False
    verbs: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    """Patterns of plurals, with subresource where one is meant: ``pods``, ``pods/log``."""
    groups: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    """Users whom it never hits."""
    reason: str | None = None
    message: str | None = None
    """``{verb}``, ``{resource}``, ``{group}``, ``{namespace}``, ``{name}`` and ``{user}`` are filled in."""
    retry_after: int | None = None
    starts_in: float = 0.0
    lasts: float = float("inf")
    count: int | None = None
    """How many requests fail; None means all within the time."""
    added: float = field(default_factory=time.monotonic)
    hits: int = 0

    def matches(self, access: Access, user: str) -> bool:
        """Whether a request fails by this fault now."""
        elapsed = time.monotonic() - self.added - self.starts_in
        if not 0 <= elapsed < self.lasts or (self.count is not None and self.hits >= self.count):
            return False
        kind = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
        asked = (
            (self.verbs, access.verb),
            (self.resources, kind),
            (self.groups, access.group),
            (self.namespaces, access.namespace),
            (self.names, access.name),
            (self.users, user),
        )
        return all(_any_match(patterns, text) for patterns, text in asked) and user not in self.spared

    def error(self, access: Access, user: str) -> StatusError:
        """The answer."""
        reason, text = _TEXTS.get(self.status, ("InternalError", "injected fault"))
        where = f' in the namespace "{access.namespace}"' if access.namespace else " at the cluster scope"
        facts = {"verb": access.verb, "resource": access.resource, "group": access.group, "user": user, "where": where,
                 "namespace": access.namespace, "name": access.name,
                 "qualified": ".".join(filter(None, (access.resource, access.group)))}  # fmt: skip
        message = self.message or text
        for name, value in facts.items():
            message = message.replace("{" + name + "}", value)
        details: dict[str, object] = {"kind": access.resource, "group": access.group} if access.resource else {}
        headers = {}
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
            headers["Retry-After"] = str(self.retry_after)
        return StatusError(self.status, self.reason or reason, message, details, headers=headers)


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.on_hit: Callable[[Fault], None] | None = None
        """Told of every request that fails."""

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

    def strike(self, access: Access, user: str) -> None:
        """Raise what the first matching fault asks for."""
        for fault in self._faults:
            if fault.matches(access, user):
                fault.hits += 1
                if self.on_hit is not None:
                    self.on_hit(fault)
                if fault.reset:
                    raise ConnectionCut
                raise fault.error(access, user)


def _any_match(patterns: frozenset[str], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)
