"""What every namespace gets: the ``default`` service account and the cluster's root certificate."""

from __future__ import annotations

from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.housekeeping.job import OPTIONS, Job, builtin
from pytest_modelrt.simulator.apiserver.resources import Catalog
from pytest_modelrt.simulator.apiserver.store import Event, Store
from pytest_modelrt.simulator.apiserver.values import JSON
from pytest_modelrt.simulator.apiserver.writer import NAMESPACES, Writer

_ACCOUNTS, _CONFIG_MAPS = ("", "serviceaccounts"), ("", "configmaps")
_ROOT_CA = "kube-root-ca.crt"


class DefaultAccounts(Job[str]):
    """Creates both in new namespaces, and again when somebody deletes them."""

    def __init__(self, store: Store, catalog: Catalog, writer: Writer, ca_pem: str) -> None:
        super().__init__(store)
        self._catalog = catalog
        self._writer = writer
        self._ca_pem = ca_pem

    def observe(self, event: Event) -> None:
        """Mark new namespaces and those that lost one of the two."""
        namespace, name = event.snapshot.key
        if event.storage == NAMESPACES and event.type == "ADDED":
            self.mark(name)
        elif event.type == "DELETED" and (event.storage, name) in (
            (_ACCOUNTS, "default"),
            (_CONFIG_MAPS, _ROOT_CA),
        ):
            self.mark(namespace)

    async def reconcile(self, key: str) -> None:
        """Create what is missing in an active namespace."""
        namespace = self.store.get(NAMESPACES, "", key)
        if namespace is None or namespace.object["metadata"].get("deletionTimestamp"):
            return
        await self._ensure("serviceaccounts", key, {"metadata": {"name": "default"}})
        content = {"metadata": {"name": _ROOT_CA}, "data": {"ca.crt": self._ca_pem}}
        await self._ensure("configmaps", key, content)

    async def _ensure(self, plural: str, namespace: str, obj: JSON) -> None:
        if self.store.get(("", plural), namespace, obj["metadata"]["name"]) is not None:
            return
        try:
            await self._writer.create(builtin(self._catalog, "", "v1", plural), namespace, obj, OPTIONS)
        except StatusError as error:
            if error.reason not in ("AlreadyExists", "Forbidden"):
                raise
