"""Which rule of which HTTPRoute serves a request, and what becomes of its path. Pure: objects in, answers out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_modelrt.simulator.client import Object

GROUP = "gateway.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that routing looks at."""

    method: str
    host: str
    """Without port."""
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One match of one rule of one route, as attached to a gateway."""

    route: Object
    rule: Object
    match: Object
    hostnames: tuple[str, ...]
    """Names under which the gateway serves it; empty: any."""

    @property
    def route_name(self) -> str:
        """``namespace/name`` of the route."""
        metadata = self.route["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    @property
    def prefix(self) -> str:
        """The path it matches."""
        return str((self.match.get("path") or {}).get("value", "/"))


class Table:
    """All entries of one gateway, best match first."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = sorted(entries, key=_precedence)

    def find(self, request: Request) -> Entry | None:
        """The entry that serves the request."""
        return self._first(request, whole_elements=True)

    def find_policy(self, request: Request) -> Entry | None:
        """The entry whose policies guard the request: these compare paths as plain strings."""
        return self._first(request, whole_elements=False)

    def _first(self, request: Request, *, whole_elements: bool) -> Entry | None:
        fitting = [entry for entry in self._entries if _matches(entry, request, whole_elements=whole_elements)]
        return max(fitting, key=lambda entry: _host_rank(entry, request.host), default=None)


def listener_hostnames(route: Object, listener: Object) -> tuple[str, ...] | None:
    """Names under which a listener serves a route; None when they have none in common."""
    own: Sequence[str] = route["spec"].get("hostnames") or ()
    offered = listener.get("hostname") or ""
    if not own:
        return (offered,) if offered else ()
    if not offered:
        return tuple(own)
    common = [
        name if host_fits(name, offered) else offered
        for name in own
        if host_fits(name, offered) or host_fits(offered, name)
    ]
    return tuple(common) or None


def host_fits(host: str, pattern: str) -> bool:
    """Whether a name is covered by a name or a ``*.`` wildcard."""
    if pattern.startswith("*."):
        return host.lower().endswith(pattern[1:].lower())
    return host.lower() == pattern.lower()


def rewritten(entry: Entry, path: str) -> str:
    """The path the backend gets, by the URLRewrite filter of the rule."""
    for rule_filter in entry.rule.get("filters") or []:
        change = (rule_filter.get("urlRewrite") or {}).get("path")
        if rule_filter.get("type") == "URLRewrite" and change:
            return replaced(change, entry.prefix, path)
    return path


def replaced(change: Object, prefix: str, path: str) -> str:
    """``path`` after a path modifier; a replaced prefix keeps what comes behind it."""
    if change.get("type") == "ReplaceFullPath":
        return str(change.get("replaceFullPath") or "/")
    rest = path[len(prefix.rstrip("/")) :].lstrip("/")
    start = str(change.get("replacePrefixMatch") or "/")
    return f"{start.rstrip('/')}/{rest}" if rest else start or "/"


def attached(gateway: Object, routes: Iterable[Object], labels_of: Mapping[str, Mapping[str, str]]) -> list[Entry]:
    """Entries of all routes that a gateway's HTTP listeners accept. ``labels_of``: labels of namespaces."""
    entries = []
    for route in routes:
        names = accepted_hostnames(gateway, route, labels_of)
        if names is None:
            continue
        for rule in route["spec"].get("rules") or [{}]:
            entries += [Entry(route, rule, match, names) for match in rule.get("matches") or [{}]]
    return entries


def accepted_hostnames(
    gateway: Object, route: Object, labels_of: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...] | None:
    """Names under which a gateway serves a route on HTTP; None when it does not."""
    found: list[str] = []
    anything = served = False
    for parent in route["spec"].get("parentRefs") or []:
        if not is_parent(parent, route, gateway):
            continue
        for listener in gateway["spec"].get("listeners") or []:
            if listener.get("protocol") != "HTTP" or not takes(listener, parent, route, gateway, labels_of):
                continue
            names = listener_hostnames(route, listener)
            if names is not None:
                served = True
                anything = anything or not names
                found += names
    return None if not served else () if anything else tuple(dict.fromkeys(found))


def is_parent(parent: Object, route: Object, gateway: Object) -> bool:
    """Whether a parentRef of a route means this gateway."""
    metadata = gateway["metadata"]
    return (
        (parent.get("group") or GROUP) == GROUP
        and (parent.get("kind") or "Gateway") == "Gateway"
        and parent["name"] == metadata["name"]
        and (parent.get("namespace") or route["metadata"]["namespace"]) == metadata["namespace"]
    )


def takes(
    listener: Object, parent: Object, route: Object, gateway: Object, labels_of: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether a listener takes a route: section, port, namespace."""
    if parent.get("sectionName") not in (None, "", listener["name"]):
        return False
    if parent.get("port") not in (None, listener["port"]):
        return False
    allowed = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
    place, where = allowed.get("from", "Same"), route["metadata"]["namespace"]
    if place == "Selector":
        wanted = (allowed.get("selector") or {}).get("matchLabels") or {}
        labels = labels_of.get(where, {})
        return all(labels.get(name) == value for name, value in wanted.items())
    return bool(place == "All" or where == gateway["metadata"]["namespace"])


def _matches(entry: Entry, request: Request, *, whole_elements: bool) -> bool:
    if entry.hostnames and not any(host_fits(request.host, name) for name in entry.hostnames):
        return False
    match = entry.match
    if match.get("method") not in (None, request.method):
        return False
    if not _path_fits(match.get("path") or {}, request.path, whole_elements=whole_elements):
        return False
    wanted = [(entry["name"].lower(), entry, request.headers) for entry in match.get("headers") or []]
    wanted += [(entry["name"], entry, request.query) for entry in match.get("queryParams") or []]
    return all(name in given and _value_fits(rule, given[name]) for name, rule, given in wanted)


def _path_fits(rule: Object, path: str, *, whole_elements: bool) -> bool:
    kind, value = rule.get("type", "PathPrefix"), str(rule.get("value", "/"))
    if kind == "Exact":
        return path == value
    if kind == "RegularExpression":
        return re.fullmatch(value, path) is not None
    if not whole_elements:
        return path.startswith(value)
    prefix = value.rstrip("/")
    return path == prefix or path.startswith(prefix + "/")


def _value_fits(rule: Object, value: str) -> bool:
    if rule.get("type") == "RegularExpression":
        return re.fullmatch(rule["value"], value) is not None
    return bool(value == rule["value"])


def _host_rank(entry: Entry, host: str) -> tuple[int, int]:
    """A full name outranks a wildcard, a longer wildcard a shorter one, any of them no name at all."""
    ranks = [(0 if name.startswith("*") else 1, len(name)) for name in entry.hostnames if host_fits(host, name)]
    return max(ranks, default=(-1, 0))


def _precedence(entry: Entry) -> tuple[object, ...]:
    """The order the Gateway API demands; ``max`` keeps the first of equals, so best comes first."""
    path = entry.match.get("path") or {}
    metadata = entry.route["metadata"]
    return (
        {"Exact": 0, "RegularExpression": 2}.get(path.get("type", "PathPrefix"), 1),
        -len(entry.prefix),
        0 if entry.match.get("method") else 1,
        -len(entry.match.get("headers") or []),
        -len(entry.match.get("queryParams") or []),
        metadata.get("creationTimestamp", ""),
        metadata["namespace"],
        metadata["name"],
    )
