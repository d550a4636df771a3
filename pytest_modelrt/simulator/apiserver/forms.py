"""The forms an object can be answered in: itself, its metadata only, or a table row; as one, a list or watch events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.store import Snapshot
from pytest_modelrt.simulator.apiserver.values import JSON, encode

INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


class Form(Protocol):
    """How to write objects of one resource."""

    cache_key: object
    """Equal for forms that write the same event the same way; None when lines may not be shared."""

    def one(self, snapshot: Snapshot) -> bytes:
        """A single object."""

    def many(self, snapshots: Iterable[Snapshot], meta: JSON) -> bytes:
        """A list; ``meta`` is its ListMeta."""

    def event(self, kind: str, snapshot: Snapshot) -> bytes:
        """One watch event, with the newline."""

    def bookmark(self, revision: int, annotations: JSON | None = None) -> bytes:
        """A BOOKMARK event."""


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


class ObjectForm:
    """Whole objects, from the bytes kept with each snapshot."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._header = {"kind": resource.kind, "apiVersion": resource.api_version}
        self._prefix = encode(self._header)[:-1] + b","
        self._item_prefix = self._prefix if resource.custom else b"{"
        self.cache_key: object = resource.api_version

    def _body(self, snapshot: Snapshot) -> bytes:
        convert = self._resource.strategy.convert_out
        if convert is None:
            return snapshot.body
        converted = convert(snapshot.object)
        return encode({key: value for key, value in converted.items() if key not in ("apiVersion", "kind")})[1:]

    def one(self, snapshot: Snapshot) -> bytes:
        """A single object."""
        return self._prefix + self._body(snapshot)

    def many(self, snapshots: Iterable[Snapshot], meta: JSON) -> bytes:
        """A list."""
        header = {"kind": self._resource.collection_kind, "apiVersion": self._resource.api_version, "metadata": meta}
        items = b",".join(self._item_prefix + self._body(snapshot) for snapshot in snapshots)
        return encode(header)[:-1] + b',"items":[' + items + b"]}"

    def event(self, kind: str, snapshot: Snapshot) -> bytes:
        """One watch event."""
        return _line(kind, self.one(snapshot))

    def bookmark(self, revision: int, annotations: JSON | None = None) -> bytes:
        """A BOOKMARK event: only kind, apiVersion and resourceVersion."""
        meta: JSON = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        return _line("BOOKMARK", encode({**self._header, "metadata": meta}))


def partial(obj: JSON) -> JSON:
    """The metadata-only form of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


class PartialForm:
    """Metadata only, as garbage collectors and metadata informers ask for."""

    cache_key: object = "partial"

    def one(self, snapshot: Snapshot) -> bytes:
        """A single object."""
        return encode(partial(snapshot.object))

    def many(self, snapshots: Iterable[Snapshot], meta: JSON) -> bytes:
        """A list."""
        items = [partial(snapshot.object) for snapshot in snapshots]
        kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return encode({**kind, "metadata": meta, "items": items})

    def event(self, kind: str, snapshot: Snapshot) -> bytes:
        """One watch event."""
        return _line(kind, self.one(snapshot))

    def bookmark(self, revision: int, annotations: JSON | None = None) -> bytes:
        """A BOOKMARK event."""
        meta: JSON = {"resourceVersion": str(revision)}
        if annotations:
            meta["annotations"] = annotations
        return _line("BOOKMARK", encode(partial({"metadata": meta})))


class TableForm:
    """Tables, as ``kubectl get`` prints them. Ages make rows differ from moment to moment, so nothing is shared."""

    cache_key: object = None

    def __init__(self, resource: Resource, include: str = "Metadata") -> None:
        self._columns = resource.columns
        self._resource = resource
        self._include = include
        self._definitions: Sequence[JSON] | None = [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            }
            for column in resource.columns
        ]

    def _row(self, obj: JSON) -> JSON:
        row: JSON = {"cells": [column.cell(obj) for column in self._columns]}
        if self._include == "Metadata":
            row["object"] = partial(obj)
        elif self._include == "Object":
            row["object"] = {**obj, "apiVersion": self._resource.api_version}
        return row

    def _table(self, rows: list[JSON], meta: JSON, definitions: Any) -> bytes:
        header: JSON = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
        return encode({**header, "columnDefinitions": definitions, "rows": rows})

    def one(self, snapshot: Snapshot) -> bytes:
        """A table of one row."""
        meta = {"resourceVersion": snapshot.object["metadata"].get("resourceVersion", "")}
        return self._table([self._row(snapshot.object)], meta, self._definitions)

    def many(self, snapshots: Iterable[Snapshot], meta: JSON) -> bytes:
        """A table of all rows."""
        return self._table([self._row(snapshot.object) for snapshot in snapshots], meta, self._definitions)

    def event(self, kind: str, snapshot: Snapshot) -> bytes:
        """One row; the column definitions come with the first event only."""
        definitions, self._definitions = self._definitions, None
        meta = {"resourceVersion": snapshot.object["metadata"].get("resourceVersion", "")}
        return _line(kind, self._table([self._row(snapshot.object)], meta, definitions))

    def bookmark(self, revision: int, annotations: JSON | None = None) -> bytes:
        """A BOOKMARK event is a table too; the annotation that ends the initial events sits on its row's object."""
        meta: JSON = {"resourceVersion": str(revision)}
        rows: list[JSON] = []
        if annotations:
            inner = {"metadata": {**meta, "annotations": annotations, "creationTimestamp": None}}
            rows = [{"cells": [None] * len(self._columns), "object": partial(inner)}]
        definitions, self._definitions = self._definitions, None
        return _line("BOOKMARK", self._table(rows, meta, definitions))
