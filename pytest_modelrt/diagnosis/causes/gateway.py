"""Causes of the platform in front of a model: gateway, authentication, tiers, limits (facts: maas-kind, 3)."""

from __future__ import annotations

from pytest_modelrt.diagnosis.model import Cause, Owner, Scope
from pytest_modelrt.journal.model import Outcome, Stage


def _cause(
    slug: str, title: str, hint: str, *, owner: Owner = Owner.GATEWAY, outcome: Outcome = Outcome.FAILED,
    stage: Stage = Stage.PROBE,
) -> Cause:  # fmt: skip
    return Cause(slug, stage, owner, outcome, Scope.MODEL, title, hint, bucket="Gateway")


CAUSES = (
    _cause("maas-not-installed", "KServe, the gateway or its policies are not installed",
           "run the command named in the message; docs/kind.md has the whole way", outcome=Outcome.SKIPPED,
           owner=Owner.CLUSTER, stage=Stage.PREFLIGHT),
    _cause("maas-not-deployed", "the platform's overlay did not become ready",
           "see the conditions named in the message: kubectl get gateways,httproutes,authpolicies,ratelimitpolicies -A",
           stage=Stage.SERVICE),
    _cause("gateway-unreachable", "the gateway does not answer",
           "name its address with --modelrt-gateway, or see kubectl get pods -n istio-system"),
    _cause("gateway-auth-failing", "the gateway cannot authenticate: its auth service is away or slower than 200 ms",
           "see Authorino and its node's load: kubectl get pods -n kuadrant-system -l authorino-resource=authorino"),
    _cause("gateway-limiter-away", "the limiter does not answer, so nothing is limited",
           "see kubectl get pods -n kuadrant-system -l app=limitador; the gateway lets requests pass meanwhile"),
    _cause("gateway-tier-lookup", "the tier lookup fails, so users have no tier and no limits",
           "see the log of maas-api and the ConfigMap maas-api/tier-to-group-mapping; answers are kept for 300 s"),
    _cause("gateway-tier-wrong", "a user is in another tier than its account says",
           "compare the ConfigMap maas-api/tier-to-group-mapping with the groups of a service account's token",
           owner=Owner.CONFIG),
    _cause("gateway-policy-not-enforced", "a policy of the gateway is not enforced",
           "kubectl describe it: the condition Enforced says why", owner=Owner.CONFIG),
    _cause("gateway-wrong-answer", "the gateway or the model answered otherwise than promised",
           "compare request and answer in the test's message"),
)  # fmt: skip
