"""Keys of the cluster: a certificate authority, serving and client certificates, the token signing key."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec


class Authority:
    """One certificate authority for everything in the cluster. Elliptic curves: keys in well under a millisecond."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name="modelrt simulator", key_type=trustme.KeyType.ECDSA)
        self.signing_key = ec.generate_private_key(ec.SECP256R1())

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate."""
        return self._ca.cert_pem.bytes()

    def issue(self, *names: str, user: str = "", group: str = "") -> tuple[bytes, bytes]:
        """A certificate for serving as ``names``, or for a client ``user`` in ``group``: (certificate, key) in PEM."""
        identities = names or ("client.invalid",)
        leaf = self._ca.issue_cert(
            *identities,
            common_name=user or identities[0],
            organization_name=group or None,
            key_type=trustme.KeyType.ECDSA,
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return chain, leaf.private_key_pem.bytes()

    def server_context(self, *names: str) -> ssl.SSLContext:
        """TLS for serving, HTTP/1.1 only; client certificates are asked for, not demanded."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.ca_pem.decode())
        certificate, key = self.issue(*names)
        load_chain(context, certificate, key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """TLS for talking to others who have a certificate of this authority."""
        return ssl.create_default_context(cadata=self.ca_pem.decode())


def kubelet_context() -> ssl.SSLContext:
    """TLS for talking to kubelets, whoever signed them: ``kube-apiserver`` too trusts any unless told otherwise."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def load_chain(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a PEM pair; the ssl module reads it only from a file, which does not outlive this call."""
    with tempfile.TemporaryDirectory(prefix="modelrt-tls-") as folder:
        path = Path(folder) / "pair.pem"
        path.touch(mode=0o600)
        path.write_bytes(certificate + key)
        context.load_cert_chain(path)


def subject(der: bytes) -> tuple[str, tuple[str, ...]]:
    """User (common name) and groups (organizations) of a client certificate."""
    name = x509.load_der_x509_certificate(der).subject
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    groups = name.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return (str(common[0].value) if common else "", tuple(str(item.value) for item in groups))
