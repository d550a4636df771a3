"""From a manifest's ``apiVersion`` and ``kind`` to the path that serves it."""

from __future__ import annotations

import threading

from pytest_modelrt.cluster import model
from pytest_modelrt.cluster.api import Api
from pytest_modelrt.cluster.model import ApiError, ClusterError, Object, Ref, Resource

_KNOWN = {(item.api_version, item.kind): item for item in vars(model).values() if isinstance(item, Resource)}


class Kinds:
    """The kinds the suite uses, and by discovery whatever else the cluster serves; thread-safe."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._found = dict(_KNOWN)

    def ref(self, obj: Object) -> Ref:
        """The reference of a manifest; raises ClusterError for an incomplete one or a kind nobody serves."""
        metadata = obj.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        if not (name and api_version and kind):
            raise ClusterError(f"a manifest needs apiVersion, kind and metadata.name; got {api_version} {kind} {name}")
        resource = self.resource(str(api_version), str(kind))
        namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
        if resource.namespaced and not namespace:
            raise ClusterError(f"{kind} {name}: the manifest names no namespace (metadata.namespace)")
        return Ref(resource, str(name), str(namespace) if resource.namespaced else None)

    def resource(self, api_version: str, kind: str) -> Resource:
        """The resource of a kind; raises ClusterError when the cluster does not serve it."""
        with self._lock:
            known = self._found.get((api_version, kind))
        if known is not None:
            return known
        for resource in self.served(api_version):
            if resource.kind == kind:
                with self._lock:
                    self._found[(api_version, kind)] = resource
                return resource
        raise ClusterError(f"the cluster serves no {kind} in {api_version}; is the platform installed?")

    def groups(self) -> list[str]:
        """Every ``apiVersion`` the cluster serves, of each group the preferred one first.

        A group may serve some kinds in another version only.
        """
        found = ["v1"]
        for group in self._api.call("GET", "/apis").get("groups") or []:
            preferred = group["preferredVersion"]["groupVersion"]
            others = (each["groupVersion"] for each in group.get("versions") or [])
            found += [preferred, *(each for each in others if each != preferred)]
        return found

    def served(self, api_version: str, verbs: frozenset[str] = frozenset()) -> list[Resource]:
        """What the cluster serves under one group and version with these verbs; empty when it has none.

        Subresources are left out.
        """
        group, _, version = api_version.rpartition("/")
        try:
            listed = self._api.call("GET", f"/apis/{api_version}" if group else f"/api/{version}")
        except ApiError as error:
            if error.code == 404:
                return []
            raise
        return [
            Resource(group, version, item["name"], item["kind"], bool(item.get("namespaced")))
            for item in listed.get("resources") or []
            if "/" not in item["name"] and verbs <= set(item.get("verbs") or ())
        ]
