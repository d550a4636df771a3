"""Objects at the API: their paths, single reads, and lists of any length."""

from __future__ import annotations

import threading
from urllib.parse import quote

from pytest_modelrt.cluster.api import Api
from pytest_modelrt.cluster.connection import Query
from pytest_modelrt.cluster.model import ApiError, Object, Ref, Resource, Selection

Objects = list[Object]
PAGE = 500
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
"""Accept header that keeps payloads, those of Secrets above all, out of this process."""


def collection_path(resource: Resource, namespace: str | None) -> str:
    """``/apis/ome.io/v1beta1/namespaces/llama/inferenceservices``."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and resource.namespaced else ""
    return f"{root}{inside}/{resource.plural}"


def path(ref: Ref, subresource: str = "") -> str:
    """The path of one object; raises ValueError when a namespaced kind comes without its namespace."""
    if ref.resource.namespaced and not ref.namespace:
        raise ValueError(f"{ref}: {ref.resource.kind} is namespaced, its reference names no namespace")
    whole = f"{collection_path(ref.resource, ref.namespace)}/{quote(ref.name, safe='')}"
    return f"{whole}/{subresource}" if subresource else whole


def without_managed_fields(obj: Object) -> Object:
    """The object as people know it."""
    obj.get("metadata", {}).pop("managedFields", None)
    return obj


def get(api: Api, ref: Ref) -> Object | None:
    """The object, or ``None``; raises ApiError 404 when the cluster does not serve the kind."""
    try:
        return without_managed_fields(api.call("GET", path(ref)))
    except ApiError as error:
        if is_missing_object(error):
            return None
        raise


def is_missing_object(error: ApiError) -> bool:
    """Whether a 404 speaks of one object, not of a kind or path nobody serves."""
    return error.code == 404 and bool(error.details.get("name"))


def list_pages(
    api: Api, selection: Selection, *, accept: str = "application/json", stop: threading.Event | None = None
) -> tuple[Objects, str]:
    """All matching objects and the resourceVersion to watch from."""
    first_page: Query = {
        "labelSelector": selection.labels,
        "fieldSelector": selection.field_selector(),
        "limit": PAGE,
    }
    query, items = first_page, Objects()
    where = collection_path(selection.resource, selection.namespace)
    while True:
        try:
            page = api.call("GET", where, query=query, accept=accept, stop=stop)
        except ApiError as error:
            if error.code != 410 or not query.get("continue"):
                raise
            first_page = {**first_page, "limit": None}  # compacted between two pages: once more, in one piece
            query, items = first_page, Objects()
            continue
        items += [_typed(item, selection.resource) for item in page.get("items") or []]
        metadata = page.get("metadata") or {}
        if not metadata.get("continue"):
            return items, str(metadata.get("resourceVersion", ""))
        query = {**first_page, "continue": str(metadata["continue"])}


def _typed(item: Object, resource: Resource) -> Object:
    """Items of built-in lists come without kind and apiVersion."""
    if item.get("kind") in (None, "PartialObjectMetadata"):
        item = {**item, "apiVersion": resource.api_version, "kind": resource.kind}
    return without_managed_fields(item)
