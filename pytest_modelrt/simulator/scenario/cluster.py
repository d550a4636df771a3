"""What a scenario file may say about the cluster around the models: API server, platform, images, nodes, timeline.

Field names are the keys of the file. Absent means: as on a sunny day. All durations are cluster seconds, ``at`` counts
from the moment the cluster is ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ApiRule:
    """Requests the API server answers with an error, or not at all. Empty lists match everything."""

    status: int = 503
    reset: bool = False
    """Cut the connection without an answer."""
    verbs: tuple[str, ...] = ()
    """``get list watch create update patch delete deletecollection``."""
    resources: tuple[str, ...] = ()
    """Patterns of plurals, with a subresource where one is meant: ``pods``, ``pods/log``."""
    groups: tuple[str, ...] = ()
    """Patterns of API groups; the core group is empty."""
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    clients: str = "all"
    """``all``, ``suite`` (everybody but the cluster's own parts), or ``platform`` (only those)."""
    reason: str | None = None
    message: str | None = None
    """Text of the answer; ``{verb}``, ``{resource}``, ``{group}``, ``{namespace}``, ``{name}`` and ``{user}`` are
    filled in."""
    retry_after: int | None = None
    at: float = 0.0
    lasts: float | None = None
    times: int | None = None
    """Only so many requests fail; None: all within the time."""


@dataclass(frozen=True, slots=True)
class ControllerRule:
    """A time in which the platform's controller is down, or ignores some kinds of objects."""

    at: float = 0.0
    lasts: float | None = None
    ignores: tuple[str, ...] = ()
    """``InferenceService``, ``ClusterBaseModel``: not reconciled, without a word; empty: the whole process is down."""
    log: str = "unable to start manager: leader election lost"
    """Its last words."""


@dataclass(frozen=True, slots=True)
class AgentRule:
    """A time in which the download agents of some nodes are down."""

    match: tuple[str, ...] = ("*",)
    at: float = 0.0
    lasts: float | None = None
    log: str = "Failed to start model agent: context deadline exceeded"


@dataclass(frozen=True, slots=True)
class ImageRule:
    """Pulling the images it matches."""

    match: tuple[str, ...]
    seconds: float | None = None
    error: str | None = None
    """Text of the pull error; the container waits in ErrImagePull and ImagePullBackOff."""
    reason: str = "ErrImagePull"
    times: int | None = None
    """Only the first so many pulls on each node fail; None: every one."""


@dataclass(frozen=True, slots=True)
class NodeRule:
    """A fault of the nodes it matches, for a while."""

    match: tuple[str, ...]
    at: float = 0.0
    lasts: float | None = None
    """None: for ever."""
    lost: bool = False
    """The kubelet stops answering: Ready Unknown, pods stay as they were."""
    disk_pressure: bool = False
    cordoned: bool = False
    broken_gpus: int = 0


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing that happens on the timeline, to every object that matches."""

    object: str
    """``Kind/namespace/name`` or ``Kind/name``; patterns allowed in namespace and name."""
    at: float = 0.0
    """Cluster seconds after the object appeared."""
    event: Mapping[str, Any] | None = None
    """``{type, reason, message}`` of an event on it."""
    status: Mapping[str, Any] | None = None
    """Merge patch for its status."""
    patch: Mapping[str, Any] | None = None
    """Merge patch for the object, e.g. ``{metadata: {finalizers: [example.com/hold]}}``."""
    delete: bool = False
    log: str | None = None
    """Text for the log of one of the pod's containers."""
    container: str | None = None
    """Which one; None: the first."""


@dataclass(frozen=True, slots=True)
class FileEdit:
    """What is wrong in a file of the config tree. The simulator does not read the tree: ``modelrt sim tree`` writes
    a copy with these edits, to be tested with ``--modelrt-config``."""

    path: str
    """Below the config tree; patterns allowed."""
    absent: bool = False
    replace: str | None = None
    """Regular expression, matched line by line."""
    by: str = ""
    """What the match becomes; ``\\1`` is its first group."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the suite should say about a case on this cluster; only people and self-tests read it."""

    cause: str | None = None
    """Slug; None: a pass."""
    outcome: str = "passed"
    warning: str | None = None
    """Slug that a warning of the verdict begins with."""
    model: str = "smollm-135m"
    """Resource name of a case to try it with."""
    options: tuple[str, ...] = ()
    """Command line words for pytest."""
    speed: float | None = None
    """Cluster seconds per second at which trying it is short; None: 60."""
