"""Who is asking: bearer tokens, service account tokens, client certificates."""

from __future__ import annotations

import secrets
import time

from aiohttp import web

from pytest_modelrt.simulator.apiserver import pki
from pytest_modelrt.simulator.apiserver.admission import User
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.apiserver.store import Store
from pytest_modelrt.simulator.apiserver.tokens import TokenSigner
from pytest_modelrt.simulator.apiserver.values import JSON

ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
_ACCOUNTS = ("", "serviceaccounts")
_CACHE_LIMIT = 2048


def unauthorized() -> StatusError:
    """401."""
    return StatusError(401, "Unauthorized", "Unauthorized")


class Authenticator:
    """Turns the credentials of a request into a user."""

    def __init__(self, store: Store, signer: TokenSigner) -> None:
        self._store = store
        self._signer = signer
        self._static: dict[str, User] = {}
        self._by_name: dict[tuple[str, tuple[str, ...]], str] = {}
        self._verified: dict[str, JSON | None] = {}

    def issue(self, name: str, groups: tuple[str, ...] = ("system:masters",)) -> str:
        """A token that authenticates as ``name`` for the life of the server; the same one when asked again."""
        known = self._by_name.get((name, groups))
        if known is None:
            known = self._by_name[name, groups] = secrets.token_urlsafe(32)
            self._static[known] = User(name, (*groups, "system:authenticated"), uid=name)
        return known

    def authenticate(self, request: web.BaseRequest) -> User:
        """The user of a request, or the one it impersonates; raises 401 for a bad token."""
        user = self._authenticate(request)
        wanted = request.headers.get("Impersonate-User")
        return user if wanted is None else _impersonated(user, wanted, request.headers.getall("Impersonate-Group", []))

    def _authenticate(self, request: web.BaseRequest) -> User:
        header = request.headers.get("Authorization", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token:
            user = self.user_of(token.strip())
            if user is None:
                raise unauthorized()
            return user
        transport = request.transport
        tls = transport.get_extra_info("ssl_object") if transport is not None else None
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate:
            name, groups = pki.subject(certificate)
            return User(name, (*groups, "system:authenticated"))
        return ANONYMOUS

    def user_of(self, token: str, audiences: tuple[str, ...] = ()) -> User | None:
        """The user a token stands for, None when it is not valid for any of ``audiences`` (default: the API's own)."""
        static = self._static.get(token)
        if static is not None:
            return static
        claims = self.claims_of(token)
        if claims is None or claims.get("exp", 0) <= time.time():
            return None
        if not set(audiences or (self._signer.issuer,)) & set(claims.get("aud") or ()):
            return None
        identity = claims.get("kubernetes.io") or {}
        namespace = str(identity.get("namespace", ""))
        account = identity.get("serviceaccount") or {}
        found = self._store.get(_ACCOUNTS, namespace, str(account.get("name", "")))
        if found is None or found.object["metadata"]["uid"] != account.get("uid"):
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        extra = {"authentication.kubernetes.io/credential-id": [f"JTI={claims.get('jti', '')}"]}
        return User(str(claims["sub"]), groups, str(account.get("uid", "")), extra)

    def claims_of(self, token: str) -> JSON | None:
        """The claims of a token this cluster signed."""
        if token not in self._verified:
            if len(self._verified) >= _CACHE_LIMIT:
                self._verified.clear()
            self._verified[token] = self._signer.verify(token)
        return self._verified[token]


def _impersonated(user: User, wanted: str, groups: list[str]) -> User:
    """The user an administrator pretends to be; raises 403 for anybody else."""
    if not user.is_admin:
        text = (
            f'users "{wanted}" is forbidden: User "{user.name}" cannot impersonate resource "users" in API group "" '
            "at the cluster scope"
        )
        raise StatusError(403, "Forbidden", text, {"name": wanted, "kind": "users"})
    implied: list[str] = []
    parts = wanted.split(":")
    if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]:
        implied = ["system:serviceaccounts", f"system:serviceaccounts:{parts[2]}"]
    return User(wanted, (*(groups or implied), "system:authenticated"))
