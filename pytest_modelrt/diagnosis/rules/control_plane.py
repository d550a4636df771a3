"""Rules for what the API answered: refused manifests, missing platform, credentials, outages (facts: failures, E0)."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelrt.diagnosis.model import Evidence, Finding, Refusal
from pytest_modelrt.diagnosis.rules.objects import finding
from pytest_modelrt.journal.model import EvidenceLine, Outcome

_UNKNOWN_KIND = ("could not find the requested resource", "page not found", "no matches for kind")
_PLATFORM_GROUPS = ("ome.io", "serving.kserve.io")


def rules(evidence: Evidence) -> Iterator[Finding]:
    """At most one finding: the refusal that ended the stage."""
    refusal = evidence.refusal
    if refusal is None:
        return
    slug = _slug(refusal)
    if slug is None:
        return
    asked = f"{refusal.verb} {refusal.resource}".strip() or "request"
    line = EvidenceLine(f"API answer to {asked}", f"{refusal.code} {refusal.reason}: {refusal.message}")
    if refusal.code == 0:
        line = EvidenceLine("API server", refusal.message)
    hint = _login_hint(refusal) if slug == "cluster-auth" else ""
    outcome = Outcome.ERROR if slug == "pod-create-rejected" else None  # a quota, which is the cluster's
    yield finding(slug, [line], detail=refusal.message, hint=hint, outcome=outcome)


def _login_hint(refusal: Refusal) -> str:
    """Empty: the cause's own."""
    if refusal.code == 401:
        return "the credentials have expired, or are of another cluster: log in again, or fetch the kubeconfig anew"
    if refusal.code == 0:
        return "the kubeconfig must be put right; no model was asked for anything"
    if not refusal.verb:
        return ""
    return f"kubectl auth can-i {refusal.verb} {refusal.resource}; config/rbac has what the suite needs"


def _slug(refusal: Refusal) -> str | None:
    message = refusal.message
    if "failed calling webhook" in message or "conversion webhook" in message:
        return "platform-webhook-unavailable"
    if "field is immutable" in message:
        return "leftover-conflict"
    if "failed to create typed patch object" in message or "strict decoding error" in message:
        return "config-invalid"  # 500 for server-side apply of a field that no schema has
    if refusal.code == 401 or refusal.reason == "KubeconfigError":
        return "cluster-auth"
    if refusal.code == 403:
        return _forbidden(message)
    if refusal.code in (400, 422):
        return "config-invalid"
    if refusal.code == 409:
        return "leftover-conflict"
    if refusal.code == 404 and _is_missing_kind(refusal):
        return "platform-not-installed"
    if refusal.code == 0 or refusal.code == 429 or refusal.code >= 500:
        return "cluster-api-unavailable"
    return None


def _forbidden(message: str) -> str:
    """403 is an admission verdict, a namespace on its way out, or our own missing rights."""
    if "denied the request" in message:
        return "config-invalid"
    if "is being terminated" in message:
        return "namespace-stuck-terminating"
    if "exceeded quota" in message:
        return "pod-create-rejected"
    return "cluster-auth"


def _is_missing_kind(refusal: Refusal) -> bool:
    generic = any(words in refusal.message for words in _UNKNOWN_KIND)
    # An unknown kind is answered without saying which; everything else the suite asks for is part of every cluster.
    return generic and (not refusal.resource or any(group in refusal.resource for group in _PLATFORM_GROUPS))
