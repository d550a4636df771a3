"""Which changes of a model are work for a node (facts: ome.md, 2.5, 2.7). Pure but for the look at the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.placement import selects_node
from pytest_modelrt.simulator.controllers.platform import is_deleting
from pytest_modelrt.simulator.controllers.profile import Profile
from pytest_modelrt.simulator.resources import Resource

TaskKind = Literal["Download", "Delete"]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do about one model."""

    kind: TaskKind
    resource: Resource
    model: Object

    @property
    def uid(self) -> str:
        """UID of the model."""
        return str(self.model["metadata"]["uid"])

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.model["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Namespace of the model, empty for cluster-scoped ones."""
        return str(self.model["metadata"].get("namespace", ""))

    @property
    def info(self) -> str:
        """The model as the agent's log calls it."""
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource.kind} {where}"


class Scout:
    """Turns events about models into tasks for one node."""

    def __init__(self, profile: Profile, find_node: Callable[[], Object | None]) -> None:
        self._redownload = profile.redownload
        self._find_node = find_node

    def tasks(self, event: str, model: Object, old: Object | None) -> Iterator[TaskKind]:
        """What an informer's event asks for; a deletion asks twice, when requested and when done."""
        if event == "DELETED":
            yield "Delete"
        elif is_deleting(model):
            if old is None or not is_deleting(old):
                yield "Delete"
        elif old is None:
            if self._selects(model):
                yield "Download"
        elif self._selects(old) and not self._selects(model):
            yield "Delete"
        elif self._selects(model) and self._wants_again(model, old):
            yield "Download"

    def _selects(self, model: Object) -> bool:
        node = self._find_node()
        return node is not None and selects_node(model["spec"]["storage"], node)

    def _wants_again(self, model: Object, old: Object) -> bool:
        if self._redownload == "any-change":
            return _facts(model) != _facts(old)
        return self._redownload == "policy-change" and _policy(model) != _policy(old)


def _facts(model: Object) -> tuple[object, ...]:
    metadata = model["metadata"]
    return model["spec"], metadata.get("labels"), metadata.get("annotations")


def _policy(model: Object) -> str:
    return str(model["spec"]["storage"].get("downloadPolicy") or "AlwaysDownload")
