"""What the server serves: resource descriptions and the registry that finds them by path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.simulator.apiserver.errors import Cause
from pytest_modelrt.simulator.apiserver.values import JSON

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

StorageKey = tuple[str, str]
"""Group and plural: what one collection of the store holds, whatever version serves it."""


@dataclass(frozen=True, slots=True)
class Subresource:
    """One path below an object. ``kind`` empty means the parent's kind."""

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table form. ``cell`` computes it from an object."""

    name: str
    cell: Callable[[JSON], Any]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


def _nothing(_obj: JSON) -> None:
    return None


def _nothing_between(_obj: JSON, _old: JSON) -> None:
    return None


def _no_causes(_obj: JSON, _old: JSON | None) -> list[Cause]:
    return []


def _not_graceful(_obj: JSON, _seconds: int | None) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Strategy:
    """What is special about a kind beyond its schema.

    ``default`` fills in values on every write; ``on_create`` sets what the server owns at creation; ``carry`` takes
    over from the old object what an update may leave out; ``validate`` judges (new, old); ``grace`` says how many
    seconds a deletion waits for somebody else to finish (pods).
    """

    default: Callable[[JSON], None] = _nothing
    on_create: Callable[[JSON], None] = _nothing
    validate: Callable[[JSON, JSON | None], list[Cause]] = _no_causes
    grace: Callable[[JSON, int | None], int] = _not_graceful
    label_name: bool = False
    generation: bool = False
    needs_version: bool = False
    keeps_status_on_create: bool = False
    answers_deleted_object: bool = False
    deletion_finalizer: str = ""
    field_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    field_defaults: Mapping[str, str] = field(default_factory=dict)
    convert_in: Callable[[JSON], JSON] | None = None
    convert_out: Callable[[JSON], JSON] | None = None
    carry: Callable[[JSON, JSON], None] = _nothing_between


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One served group, version and plural."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    schema: JSON = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    strategy: Strategy = field(default_factory=Strategy)
    custom: bool = False
    storage_of: StorageKey | None = None
    scale_paths: Mapping[str, str] | None = None

    @property
    def storage(self) -> StorageKey:
        """The collection this resource is kept in."""
        return self.storage_of or (self.group, self.plural)

    @property
    def api_version(self) -> str:
        """``group/version``, or just the version for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """``plural.group``, as messages name a resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def kind_group(self) -> str:
        """``Kind.group``, as messages name a kind."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def singular_name(self) -> str:
        """The singular, by default the lower-case kind."""
        return self.singular or self.kind.lower()

    @property
    def collection_kind(self) -> str:
        """The kind of a list."""
        return self.list_kind or f"{self.kind}List"

    @property
    def has_status(self) -> bool:
        """Whether status is written through its own subresource."""
        return any(sub.name == "status" for sub in self.subresources)

    def subresource(self, name: str) -> Subresource | None:
        """The description of a subresource, None when it is not served."""
        return next((sub for sub in self.subresources if sub.name == name), None)


class Catalog:
    """All resources served at the moment. ``generation`` changes with every change of the set."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self.generation = 0
        self._by_path: dict[tuple[str, str], dict[str, Resource]] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        """Serve ``resource``, replacing an earlier description of the same path."""
        self._by_path.setdefault((resource.group, resource.version), {})[resource.plural] = resource
        self.generation += 1

    def remove(self, group: str, version: str, plural: str) -> None:
        """Stop serving a resource; an emptied group-version vanishes with it."""
        held = self._by_path.get((group, version), {})
        if held.pop(plural, None) is not None:
            self.generation += 1
        if not held:
            self._by_path.pop((group, version), None)

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at a path, or None."""
        return self._by_path.get((group, version), {}).get(plural)

    def serves(self, group: str, version: str) -> bool:
        """Whether anything is served in a group-version."""
        return (group, version) in self._by_path

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind that can be stored, or None."""
        group, _, version = api_version.rpartition("/")
        held = self._by_path.get((group, version), {})
        return next((res for res in held.values() if res.kind == kind and "get" in res.verbs), None)

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, in the order they were added; the core group is ``""``."""
        found: dict[str, list[str]] = {}
        for group, version in self._by_path:
            found.setdefault(group, []).append(version)
        for group, versions in found.items():
            found[group] = sorted(versions, key=version_priority)
        return found

    def in_version(self, group: str, version: str) -> Sequence[Resource]:
        """Resources of one group-version, by plural."""
        return sorted(self._by_path.get((group, version), {}).values(), key=lambda res: res.plural)

    def stored(self) -> Iterator[Resource]:
        """One resource per collection of the store."""
        seen: set[StorageKey] = set()
        for held in self._by_path.values():
            for resource in held.values():
                if "get" in resource.verbs and resource.storage not in seen and resource.storage_of is None:
                    seen.add(resource.storage)
                    yield resource


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key that puts stable versions first, newest first: v2, v1, v1beta2, v1beta1, v1alpha1, other names."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match.group(2)]
    return (stage, -int(match.group(1)), -int(match.group(3) or 0), version)
