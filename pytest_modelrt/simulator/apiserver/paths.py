"""Request paths: which resource, namespace, name and subresource a URL is about."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from pytest_modelrt.simulator.apiserver.errors import PlainError, unknown_resource
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource

_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about. ``rest`` is what follows a proxy subresource, still encoded."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def parse(raw_path: str, catalog: Catalog) -> Target:
    """The target of a resource path; raises 404 in the form a real server gives for each case."""
    parts = raw_path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = unquote(parts[1]), parts[2], parts[3:]
    else:
        raise PlainError
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and not (rest[2] in _NAMESPACE_SUBRESOURCES and len(rest) == 3):
        namespace, rest = unquote(rest[1]), rest[2:]
    resource = catalog.find(group, version, rest[0])
    if resource is None:
        if catalog.serves(group, version) and not group:
            raise unknown_resource()
        raise PlainError
    if namespace and not resource.namespaced:
        raise unknown_resource() if not resource.custom else PlainError()
    return Target(
        resource,
        namespace,
        unquote(rest[1]) if len(rest) > 1 else "",
        unquote(rest[2]) if len(rest) > 2 else "",
        "/".join(rest[3:]),
    )
