"""The queue of a controller: its objects, woken by their own changes and by those of what they own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.platform import controller_uid
from pytest_modelrt.simulator.informer import Informer, Key, key_of
from pytest_modelrt.simulator.workqueue import Reconcile, WorkQueue


class OwnerQueue(WorkQueue[Key]):
    """Works on the objects of ``owners``; a change of a child wakes the object that controls it."""

    def __init__(
        self,
        name: str,
        reconcile: Reconcile[Key],
        clock: Clock,
        owners: Informer,
        children: Iterable[Informer],
        *,
        workers: int = 1,
        on_error: Callable[[Key, Exception], None] | None = None,
        on_gone: Callable[[str], None] = lambda uid: None,
    ) -> None:
        super().__init__(name, reconcile, clock, workers=workers, on_error=on_error)
        self._on_gone = on_gone
        self._keys: dict[str, Key] = {}
        owners.on_change(self._on_owner)
        for informer in children:
            informer.on_change(self._on_child)

    def add_all(self) -> None:
        """Work on every object there is."""
        for key in self._keys.values():
            self.add(key)

    def _on_owner(self, kind: str, owner: Object, _old: Object | None) -> None:
        uid = owner["metadata"]["uid"]
        if kind == "DELETED":
            self._keys.pop(uid, None)
            self._on_gone(uid)
            return
        self._keys[uid] = key_of(owner)
        self.add(key_of(owner))

    def _on_child(self, _kind: str, child: Object, _old: Object | None) -> None:
        key = self._keys.get(controller_uid(child))
        if key is not None:
            self.add(key)
