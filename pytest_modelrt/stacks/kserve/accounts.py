"""Who asks: service accounts of a tier, each with budgets of its own, and their tokens."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import Object, Ownership, Ref
from pytest_modelrt.cluster.ownership import stamp
from pytest_modelrt.stacks.kserve import names

TOKEN_SECONDS = 6 * 3600
"""Six minutes where a simulated cluster runs sixty times as fast."""
MODELS = {"free": ("model-a",), "premium": ("model-a", "model-b"), "enterprise": ("model-a", "model-b")}
"""What a tier may ask. The overlay says so for its namespaces; elsewhere new accounts are bound one by one."""


@dataclass(frozen=True, slots=True)
class Account:
    """A service account with a token for the gateway."""

    name: str
    namespace: str
    tier: str
    token: str = field(repr=False)

    @property
    def ref(self) -> Ref:
        """Its object."""
        return Ref(names.SERVICE_ACCOUNT, self.name, self.namespace)


class Accounts:
    """Finds the tiers' accounts and makes new ones.

    The limits count per account *name*, whatever its namespace: names made here never repeat.
    """

    def __init__(self, cluster: Cluster, owner: Ownership) -> None:
        self._cluster = cluster
        self._owner = owner
        self._made: list[Ref] = []

    def standing(self, tier: str) -> Account:
        """The account of a tier that the overlay brings, ``free-user`` and so on."""
        name = f"{tier}-user"
        return self._with_token(Ref(names.SERVICE_ACCOUNT, name, self.namespace_of(tier)), tier)

    def fresh(self, tier: str) -> Account:
        """A new account of a tier: nothing was counted for it yet."""
        ref = self.create(f"{tier}-{uuid.uuid4().hex[:10]}", self.namespace_of(tier))
        if ref.namespace == names.API_NAMESPACE:
            for model in MODELS[tier]:
                self.bind(ref, model)
        return self._with_token(ref, tier)

    def stranger(self) -> Account:
        """An account of no tier's namespace: known to the cluster, allowed nothing."""
        return self._with_token(self.create(f"stranger-{uuid.uuid4().hex[:10]}", names.API_NAMESPACE), "")

    def namespace_of(self, tier: str) -> str:
        """Where the tier's accounts live: a namespace of its own, or maas-api's on an overlay that was not repaired."""
        usual = Ref(names.SERVICE_ACCOUNT, f"{tier}-user", names.tier_namespace(tier))
        return usual.namespace or "" if self._cluster.get(usual) is not None else names.API_NAMESPACE

    def create(self, name: str, namespace: str) -> Ref:
        """A service account of ours."""
        obj: Object = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace},
        }
        self._cluster.create(stamp(obj, self._owner))
        ref = Ref(names.SERVICE_ACCOUNT, name, namespace)
        self._made.append(ref)
        return ref

    def bind(self, ref: Ref, model: str) -> Ref:
        """Let an account ask a model, beside what its namespace may."""
        obj: Object = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{ref.name}-{model}", "namespace": names.MODELS_NAMESPACE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"{model}-access"},
            "subjects": [{"kind": "ServiceAccount", "name": ref.name, "namespace": ref.namespace}],
        }
        self._cluster.create(stamp(obj, self._owner))
        binding = self._cluster.kinds.ref(obj)
        self._made.append(binding)
        return binding

    def token(self, ref: Ref, *, audiences: Sequence[str] = (names.AUDIENCE,), seconds: int = TOKEN_SECONDS) -> str:
        """A token for an account; the API refuses less than 600 seconds. Raises ApiError."""
        return self._cluster.service_account_token(str(ref.namespace), ref.name, audiences=audiences, seconds=seconds)

    def ref(self, name: str, namespace: str) -> Ref:
        """A service account's object."""
        return Ref(names.SERVICE_ACCOUNT, name, namespace)

    def delete(self, ref: Ref) -> None:
        """Remove an object of ours; an account's tokens are worth nothing from then on."""
        self._cluster.delete(ref)

    def delete_made(self) -> None:
        """Remove what was made here."""
        while self._made:
            self._cluster.delete(self._made.pop())

    def _with_token(self, ref: Ref, tier: str) -> Account:
        return Account(ref.name, str(ref.namespace), tier, self.token(ref))
