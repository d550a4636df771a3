"""Admission: callbacks that see every write before it is stored, and may change or refuse it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.values import JSON


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. ``extra`` holds what tokens say besides name and groups."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Members of ``system:masters`` may do everything."""
        return "system:masters" in self.groups


SYSTEM = User("system:apiserver", ("system:masters", "system:authenticated"))
"""The server itself."""


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """One write. ``operation`` is CREATE, UPDATE or DELETE; ``object`` is a private copy, None for DELETE."""

    operation: str
    resource: Resource
    namespace: str
    name: str
    object: JSON | None
    old: JSON | None
    user: User
    subresource: str = ""
    dry_run: bool = False


Admission = Callable[[AdmissionRequest], Awaitable[JSON | None]]
"""Returns a changed object, or None to leave it; raises :class:`..errors.StatusError` to refuse."""
