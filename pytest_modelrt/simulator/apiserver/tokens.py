"""ServiceAccount tokens: real JSON Web Tokens signed with an elliptic-curve key (ES256)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from pytest_modelrt.simulator.apiserver.values import JSON, encode

ISSUER = "https://kubernetes.default.svc.cluster.local"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TokenSigner:
    """Signs and verifies tokens."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, issuer: str = ISSUER) -> None:
        self._key = key
        self.issuer = issuer
        numbers = key.public_key().public_numbers()
        self._x, self._y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        self.key_id = _b64(hashlib.sha256(self._x + self._y).digest())

    def jwks(self) -> JSON:
        """The public key as a JSON Web Key Set."""
        key = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id}
        return {"keys": [{**key, "x": _b64(self._x), "y": _b64(self._y)}]}

    def service_account(
        self, namespace: str, name: str, uid: str, audiences: Sequence[str], seconds: float, bound: JSON | None = None
    ) -> tuple[str, int]:
        """A token for a service account and the time it ends (seconds since the epoch)."""
        now = int(time.time())
        expires = int(now + max(seconds, 1))
        identity: JSON = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}, **(bound or {})}
        claims = {
            "aud": list(audiences),
            "exp": expires,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": identity,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return self.sign(claims), expires

    def sign(self, claims: JSON) -> str:
        """A signed token with these claims."""
        header = encode({"alg": "ES256", "kid": self.key_id, "typ": "JWT"})
        message = f"{_b64(header)}.{_b64(encode(claims))}"
        der = self._key.sign(message.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(der)
        return f"{message}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def verify(self, token: str) -> JSON | None:
        """The claims of a token signed by this key, whatever its audience and expiry; None when it is not one."""
        message, _, signature = token.rpartition(".")
        try:
            raw = _unb64(signature)
            if len(raw) != 64 or message.count(".") != 1:
                return None
            der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            self._key.public_key().verify(der, message.encode(), ec.ECDSA(hashes.SHA256()))
            claims: Any = json.loads(_unb64(message.partition(".")[2]))
        except (ValueError, InvalidSignature):
            return None
        return claims if isinstance(claims, dict) else None
