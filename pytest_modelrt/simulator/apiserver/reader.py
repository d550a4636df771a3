"""Lists: selection, resourceVersion semantics, paging."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_modelrt.simulator.apiserver.errors import (
    Cause,
    StatusError,
    bad_request,
    expired,
    forbidden_field,
    invalid,
    not_supported,
)
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.selectors import Selection, parse_fields, parse_labels
from pytest_modelrt.simulator.apiserver.store import Expired, Key, Snapshot, Store
from pytest_modelrt.simulator.apiserver.values import JSON, encode

_FUTURE_WAIT = 3.0
_COMPACTED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def truthy(value: str | None) -> bool:
    """A boolean query parameter."""
    return value in ("true", "True", "1")


def selection(resource: Resource, namespace: str, query: Mapping[str, str]) -> Selection:
    """What a list or watch request selects; raises 400."""
    labels = parse_labels(query.get("labelSelector", ""))
    fields = parse_fields(query.get("fieldSelector", ""), resource)
    return Selection(namespace if resource.namespaced else "", labels, fields)


def check_match(query: Mapping[str, str], *, watch: bool) -> None:
    """The rules on ``resourceVersionMatch`` and ``sendInitialEvents``; raises 422."""
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    initial = query.get("sendInitialEvents")
    causes: list[Cause] = []
    if watch:
        if initial is not None and match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes.append(forbidden_field("resourceVersionMatch", why))
        if initial is None and match:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            causes.append(forbidden_field("resourceVersionMatch", why))
        if truthy(initial) and not truthy(query.get("allowWatchBookmarks")):
            why = "sendInitialEvents requires setting allowWatchBookmarks to true"
            causes.append(forbidden_field("allowWatchBookmarks", why))
    elif match:
        if not version:
            why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            causes.append(forbidden_field("resourceVersionMatch", why))
        elif match not in ("Exact", "NotOlderThan"):
            causes.append(not_supported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]))
        elif match == "Exact" and version == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            causes.append(forbidden_field("resourceVersionMatch", why))
    if causes:
        raise invalid("ListOptions.meta.k8s.io", "", causes)


def parse_version(text: str, *, code: int = 400) -> int | None:
    """A resourceVersion parameter; None when absent."""
    if not text:
        return None
    if not text.isdigit():
        raise StatusError(code, "BadRequest" if code == 400 else "InternalError",
                          f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')  # fmt: skip
    return int(text)


async def wait_for_version(store: Store, wanted: int) -> None:
    """Return once the store is at ``wanted``; 504 after a while."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + _FUTURE_WAIT
    while store.revision < wanted:
        remaining = ends - loop.time()
        if remaining <= 0:
            text = f"Timeout: Too large resource version: {wanted}, current: {store.revision}"
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            raise StatusError(
                504, "Timeout", text, {"causes": [cause], "retryAfterSeconds": 1}, headers={"Retry-After": "1"}
            )
        arrived: asyncio.Future[None] = loop.create_future()

        def wake(_event: object, arrived: asyncio.Future[None] = arrived) -> None:
            if not arrived.done():
                arrived.set_result(None)

        store.listeners.append(wake)
        try:
            await asyncio.wait_for(arrived, remaining)
        except TimeoutError:
            continue
        finally:
            store.listeners.remove(wake)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list and its ListMeta."""

    items: list[Snapshot]
    meta: JSON


def _token(revision: int, after: Key) -> str:
    raw = encode({"v": "meta.k8s.io/v1", "rv": revision, "start": list(after)})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _parse_token(token: str) -> tuple[int, Key]:
    try:
        raw = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = raw["start"]
        return int(raw["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: {error}") from None


async def read_page(store: Store, resource: Resource, wanted: Selection, query: Mapping[str, str]) -> Page:
    """The list a request asks for; raises 400, 410, 422, 504."""
    check_match(query, watch=False)
    version = parse_version(query.get("resourceVersion", ""))
    limit = int(query["limit"]) if query.get("limit", "").isdigit() else 0
    token = query.get("continue", "")
    if token and version:
        raise bad_request("specifying resource version is not allowed when using continue")
    if version and version > store.revision:
        await wait_for_version(store, version)
    revision, after = store.revision, None
    if token:
        held, after = _parse_token(token)
        revision = held if held > 0 else store.revision
    elif version and query.get("resourceVersionMatch") == "Exact":
        revision = version
    elif version == 0 and "resourceVersion" in query:
        limit = 0
    try:
        snapshots = store.collection(resource.storage).at(revision)
    except Expired:
        if after is None:
            raise expired(f"The resourceVersion for the provided list is too old: {revision}") from None
        raise expired(_COMPACTED, continue_token=_token(-1, after)) from None
    chosen = [snapshot for snapshot in snapshots if wanted.matches(snapshot.object)]
    if after is not None:
        chosen = [snapshot for snapshot in chosen if snapshot.key > after]
    meta: JSON = {"resourceVersion": str(revision)}
    if limit and len(chosen) > limit:
        meta["continue"] = _token(revision, chosen[limit - 1].key)
        if not wanted.narrowed:
            meta["remainingItemCount"] = len(chosen) - limit
        chosen = chosen[:limit]
    return Page(chosen, meta)
