"""Identity: token requests and the create-only review kinds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pytest_modelrt.simulator.apiserver import rbac
from pytest_modelrt.simulator.apiserver.admission import User
from pytest_modelrt.simulator.apiserver.auth import Authenticator
from pytest_modelrt.simulator.apiserver.errors import bad_request, invalid, invalid_value, not_found
from pytest_modelrt.simulator.apiserver.kinds.schemas import types
from pytest_modelrt.simulator.apiserver.rbac import Authorizer
from pytest_modelrt.simulator.apiserver.resources import Resource
from pytest_modelrt.simulator.apiserver.schema.typed import check_types
from pytest_modelrt.simulator.apiserver.store import Snapshot, Store
from pytest_modelrt.simulator.apiserver.tokens import TokenSigner
from pytest_modelrt.simulator.apiserver.values import JSON, timestamp

_SHORTEST = 600
_LONGEST = 1 << 32


class Reviews:
    """Answers reviews and issues tokens. ``speed`` turns token lifetimes (cluster seconds) into real seconds."""

    def __init__(
        self, store: Store, signer: TokenSigner, authenticator: Authenticator, authorizer: Authorizer, speed: float
    ) -> None:
        self._store = store
        self._signer = signer
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._speed = speed

    def review(self, resource: Resource, namespace: str, body: Any, user: User) -> JSON:
        """The answer to a review of the kind ``resource`` describes; raises 400."""
        check_types(body, resource.schema, resource.kind, resource.version)
        spec = body.get("spec") or {}
        answers: dict[str, Callable[[], JSON]] = {
            "SelfSubjectAccessReview": lambda: self._access(user, spec),
            "SubjectAccessReview": lambda: self._access(_subject(spec), spec),
            "LocalSubjectAccessReview": lambda: self._access(_subject(spec), spec),
            "SelfSubjectRulesReview": lambda: self._rules(user, str(spec.get("namespace") or namespace)),
            "SelfSubjectReview": lambda: {"userInfo": user_info(user)},
            "TokenReview": lambda: self._token(spec),
        }
        header = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {"creationTimestamp": None}}
        if resource.kind == "SelfSubjectReview":
            header["metadata"] = {"creationTimestamp": timestamp()}
            return {**header, "status": answers[resource.kind]()}
        return {**header, "spec": spec, "status": answers[resource.kind]()}

    def _access(self, user: User, spec: JSON) -> JSON:
        reason = self._authorizer.allowed(user, rbac.attributes(spec))
        return {"allowed": True, "reason": reason} if reason else {"allowed": False}

    def _rules(self, user: User, namespace: str) -> JSON:
        if user.is_admin:
            anything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
            return {"resourceRules": [anything], "nonResourceRules": [paths], "incomplete": False}
        rules = [rule for _binding, rule in self._authorizer.rules(user, namespace)]
        own: JSON = {
            "verbs": ["create"],
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        }
        return {
            "resourceRules": [own, *(rule for rule in rules if not rule.get("nonResourceURLs"))],
            "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
            "incomplete": False,
        }

    def _token(self, spec: JSON) -> JSON:
        audiences = tuple(spec.get("audiences") or ())
        user = self._authenticator.user_of(str(spec.get("token") or ""), audiences)
        if user is None:
            return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        return {"authenticated": True, "user": user_info(user), "audiences": list(audiences or (self._signer.issuer,))}

    def issue_token(self, resource: Resource, namespace: str, name: str, body: Any) -> JSON:
        """Answer a TokenRequest for a service account; raises 400, 404, 422."""
        account = self._store.get(resource.storage, namespace, name)
        if account is None:
            raise not_found(resource, name)
        check_types(body, types()["TokenRequest"], "TokenRequest", "v1")
        spec = dict(body.get("spec") or {})
        audiences = list(spec.get("audiences") or [self._signer.issuer])
        seconds = spec.get("expirationSeconds") or 3600
        if not isinstance(seconds, int) or seconds < _SHORTEST:
            why = "may not specify a duration less than 10 minutes"
            raise invalid(
                "TokenRequest.authentication.k8s.io", "", [invalid_value("spec.expirationSeconds", seconds, why)]
            )
        if seconds > _LONGEST:
            why = "may not specify a duration larger than 2^32 seconds"
            raise invalid(
                "TokenRequest.authentication.k8s.io", "", [invalid_value("spec.expirationSeconds", seconds, why)]
            )
        bound = self._bound(spec.get("boundObjectRef"), namespace)
        token, expires = self._signer.service_account(
            namespace, name, account.object["metadata"]["uid"], audiences, seconds / self._speed, bound
        )
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp()},
            "spec": {"boundObjectRef": None, **spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": timestamp(datetime.fromtimestamp(expires, UTC))},
        }

    def _bound(self, reference: Any, namespace: str) -> JSON | None:
        if not isinstance(reference, dict):
            return None
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(kind)
        found: Snapshot | None = None
        if plural:
            found = self._store.get(("", plural), "" if kind == "Node" else namespace, name)
        if found is None:
            raise bad_request(f'cannot bind token to object of type /v1, Kind={kind}: "{name}" not found')
        return {kind.lower(): {"name": name, "uid": found.object["metadata"]["uid"]}}


def _subject(spec: JSON) -> User:
    return User(str(spec.get("user") or ""), tuple(spec.get("groups") or ()))


def user_info(user: User) -> JSON:
    """A user as reviews show it."""
    info: JSON = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = user.extra
    return info
