"""Discovery documents, legacy and aggregated; rebuilt only when the set of resources changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pytest_modelrt.simulator.apiserver.errors import PlainError
from pytest_modelrt.simulator.apiserver.resources import Catalog, Resource, Subresource
from pytest_modelrt.simulator.apiserver.values import JSON, encode

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


class Discovery:
    """Answers every discovery path."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._generation = -1
        self._cache: dict[str, tuple[bytes, str]] = {}

    def _cached(self, key: str, build: Callable[[], JSON]) -> tuple[bytes, str]:
        if self._generation != self._catalog.generation:
            self._cache.clear()
            self._generation = self._catalog.generation
        found = self._cache.get(key)
        if found is None:
            body = encode(build())
            found = self._cache[key] = (body, '"' + hashlib.sha256(body).hexdigest().upper() + '"')
        return found

    def api(self) -> tuple[bytes, str]:
        """``/api``."""
        address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
        body = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}
        return self._cached("/api", lambda: body)

    def apis(self) -> tuple[bytes, str]:
        """``/apis``."""
        return self._cached(
            "/apis",
            lambda: {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(name, found) for name, found in self._catalog.groups().items() if name],
            },
        )

    def group(self, name: str) -> tuple[bytes, str]:
        """``/apis/{group}``; raises 404."""
        versions = self._catalog.groups().get(name)
        if not versions or not name:
            raise PlainError
        return self._cached(f"/apis/{name}", lambda: {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)})

    def version(self, group: str, version: str) -> tuple[bytes, str]:
        """``/api/v1`` or ``/apis/{group}/{version}``; raises 404."""
        if not self._catalog.serves(group, version):
            raise PlainError
        name = f"{group}/{version}" if group else version
        return self._cached(name, lambda: self._resource_list(group, version, name))

    def _resource_list(self, group: str, version: str, name: str) -> JSON:
        found: list[JSON] = []
        for resource in self._catalog.in_version(group, version):
            found.append(_entry(resource))
            found += [_sub_entry(resource, sub) for sub in resource.subresources]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": found}

    def aggregated(self, root: str, version: str) -> tuple[bytes, str]:
        """The whole of ``/api`` or ``/apis`` as an ``APIGroupDiscoveryList`` of the given version (v2, v2beta1)."""
        return self._cached(f"{root} {version}", lambda: self._aggregate(root, version))

    def _aggregate(self, root: str, version: str) -> JSON:
        items = [
            {
                "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
                "versions": [
                    {
                        "version": served,
                        "resources": [_discovered(res) for res in self._catalog.in_version(name, served)],
                        "freshness": "Current",
                    }
                    for served in versions
                ],
            }
            for name, versions in self._catalog.groups().items()
            if bool(name) == (root == "/apis")
        ]
        kind = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}"}
        return {**kind, "metadata": {}, "items": items}


def aggregated_version(accept: str) -> str:
    """Which aggregated form an Accept header asks for first; empty for none."""
    for part in accept.split(","):
        if "as=APIGroupDiscoveryList" in part and "application/json" in part:
            for version in ("v2beta1", "v2"):
                if f"v={version}" in [item.strip() for item in part.split(";")]:
                    return version
        elif part.strip() in ("application/json", "*/*"):
            return ""
    return ""


def _group(name: str, versions: list[str]) -> JSON:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _entry(resource: Resource) -> JSON:
    entry: JSON = {
        "name": resource.plural,
        "singularName": resource.singular_name,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "get" in resource.verbs:
        digest = hashlib.sha256(f"{resource.storage}".encode()).hexdigest()
        entry["storageVersionHash"] = digest[:11] + "="
    return entry


def _sub_entry(resource: Resource, sub: Subresource) -> JSON:
    entry: JSON = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": sub.kind or resource.kind,
        "verbs": sorted(sub.verbs),
    }
    if sub.version and (sub.group, sub.version) != (resource.group, resource.version):
        entry["group"], entry["version"] = sub.group, sub.version
    return entry


def _discovered(resource: Resource) -> JSON:
    entry: JSON = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular_name,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {
                    "group": sub.group if sub.kind else resource.group,
                    "version": sub.version or resource.version,
                    "kind": sub.kind or resource.kind,
                },
                "verbs": sorted(sub.verbs),
            }
            for sub in resource.subresources
        ]
    return entry
