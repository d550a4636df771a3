"""May this user do that? Role and ClusterRole rules through their bindings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_modelrt.simulator.apiserver.admission import User
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.store import Store
from pytest_modelrt.simulator.apiserver.values import JSON, dig

_GROUP = "rbac.authorization.k8s.io"
_OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")
_DISCOVERY_PATHS = ("/api", "/apis", "/openapi", "/")
_SELF_REVIEWS = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"})


@dataclass(frozen=True, slots=True)
class Access:
    """One thing somebody wants to do. Either ``resource`` or ``path`` is set."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Authorizer:
    """Evaluates access against the stored roles and bindings."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allowed(self, user: User, access: Access) -> str:
        """Why ``access`` is allowed; empty when it is not."""
        if user.is_admin:
            return 'RBAC: allowed by ClusterRoleBinding "cluster-admin" to Group "system:masters"'
        if access.path:
            return self._path_allowed(user, access)
        if access.resource in _SELF_REVIEWS and "system:authenticated" in user.groups:
            return 'RBAC: allowed by ClusterRoleBinding "system:basic-user"'
        for binding, rule in self.rules(user, access.namespace):
            if _covers(rule, access):
                kind, name = binding["kind"], binding["metadata"]["name"]
                role = binding["roleRef"]
                return f'RBAC: allowed by {kind} "{name}" of {role["kind"]} "{role["name"]}"'
        return ""

    def _path_allowed(self, user: User, access: Access) -> str:
        if any(access.path == open_path or access.path.startswith(open_path + "/") for open_path in _OPEN_PATHS):
            return 'RBAC: allowed by ClusterRoleBinding "system:public-info-viewer"'
        discovery = any(
            access.path == path or access.path.startswith(path.rstrip("/") + "/") for path in _DISCOVERY_PATHS
        )
        if discovery and "system:authenticated" in user.groups:
            return 'RBAC: allowed by ClusterRoleBinding "system:discovery"'
        for binding, rule in self.rules(user, ""):
            if _covers_path(rule, access):
                return f'RBAC: allowed by ClusterRoleBinding "{binding["metadata"]["name"]}"'
        return ""

    def check(self, user: User, access: Access) -> None:
        """Raise 403 with the text of a real server when ``access`` is not allowed."""
        if self.allowed(user, access):
            return
        if access.path:
            text = f'forbidden: User "{user.name}" cannot {access.verb} path "{access.path}"'
            raise StatusError(403, "Forbidden", text, {})
        qualified = f"{access.resource}.{access.group}" if access.group else access.resource
        resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
        where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
        subject = f'{qualified} "{access.name}"' if access.name else qualified
        text = (
            f'{subject} is forbidden: User "{user.name}" cannot {access.verb} resource "{resource}" in API group '
            f'"{access.group}" {where}'
        )
        found: JSON = {"name": access.name} if access.name else {}
        if access.group:
            found["group"] = access.group
        raise StatusError(403, "Forbidden", text, {**found, "kind": access.resource})

    def rules(self, user: User, namespace: str) -> Iterator[tuple[JSON, JSON]]:
        """Every (binding, rule) that applies to ``user`` cluster-wide and in ``namespace``."""
        for snapshot in self._store.collection((_GROUP, "clusterrolebindings")).objects.values():
            if _binds(snapshot.object, user, ""):
                for rule in self._role_rules(snapshot.object["roleRef"], ""):
                    yield snapshot.object, rule
        if not namespace:
            return
        for key, snapshot in self._store.collection((_GROUP, "rolebindings")).objects.items():
            if key[0] == namespace and _binds(snapshot.object, user, namespace):
                for rule in self._role_rules(snapshot.object["roleRef"], namespace):
                    yield snapshot.object, rule

    def _role_rules(self, reference: JSON, namespace: str) -> list[JSON]:
        if reference.get("kind") == "Role":
            found = self._store.get((_GROUP, "roles"), namespace, reference["name"])
        else:
            found = self._store.get((_GROUP, "clusterroles"), "", reference["name"])
        rules: list[JSON] = (found.object.get("rules") or []) if found is not None else []
        return rules


def _binds(binding: JSON, user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or []:
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User" and name == user.name:
            return True
        if kind == "Group" and name in user.groups:
            return True
        if kind == "ServiceAccount":
            where = subject.get("namespace") or namespace
            if user.name == f"system:serviceaccount:{where}:{name}":
                return True
    return False


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _covers(rule: JSON, access: Access) -> bool:
    if not _has(rule.get("verbs"), access.verb) or not _has(rule.get("apiGroups"), access.group):
        return False
    resources = rule.get("resources") or []
    wanted = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
    if wanted not in resources and "*" not in resources and f"*/{access.subresource}" not in resources:
        return False
    named = rule.get("resourceNames")
    return not named or access.name in named


def _covers_path(rule: JSON, access: Access) -> bool:
    urls = rule.get("nonResourceURLs") or []
    return _has(rule.get("verbs"), access.verb) and any(
        url == access.path or (url.endswith("*") and access.path.startswith(url[:-1])) for url in urls
    )


def default_roles() -> list[JSON]:
    """The user-facing cluster roles people bind to."""
    groups = ["apps", "batch", "autoscaling", "policy", "networking.k8s.io"]
    read = ["get", "list", "watch"]
    write = [*read, "create", "update", "patch", "delete", "deletecollection"]
    any_rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    paths = {"nonResourceURLs": ["*"], "verbs": ["*"]}
    view = [
        {
            "apiGroups": [""],
            "resources": ["pods", "pods/log", "services", "endpoints", "events", "configmaps", "serviceaccounts",
                          "persistentvolumeclaims", "namespaces"],
            "verbs": read,
        },
        {"apiGroups": groups, "resources": ["*"], "verbs": read},
    ]  # fmt: skip
    edit = [
        {
            "apiGroups": [""],
            "resources": ["pods", "pods/exec", "pods/portforward", "pods/proxy", "pods/eviction", "services",
                          "services/proxy", "endpoints", "configmaps", "secrets", "serviceaccounts",
                          "serviceaccounts/token", "persistentvolumeclaims", "events"],
            "verbs": write,
        },
        {"apiGroups": groups, "resources": ["*"], "verbs": write},
        *view,
    ]  # fmt: skip
    admin = [*edit, {"apiGroups": [_GROUP], "resources": ["roles", "rolebindings"], "verbs": write}]
    named = {"cluster-admin": [any_rule, paths], "view": view, "edit": edit, "admin": admin}
    return [
        {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "rules": rules,
        }
        for name, rules in named.items()
    ]


def attributes(spec: JSON) -> Access:
    """The access a review's spec asks about."""
    wanted = dig(spec, "resourceAttributes")
    if wanted is None:
        path = dig(spec, "nonResourceAttributes") or {}
        return Access(str(path.get("verb", "")), path=str(path.get("path", "")) or "/")
    return Access(
        str(wanted.get("verb", "")),
        str(wanted.get("group", "")),
        str(wanted.get("resource", "")),
        str(wanted.get("subresource", "")),
        str(wanted.get("namespace", "")),
        str(wanted.get("name", "")),
    )
