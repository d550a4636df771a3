"""Where the parts of the gateway find each other while they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.gateway.authorino import Authorino
from pytest_modelrt.simulator.gateway.limits import Counters
from pytest_modelrt.simulator.gateway.policies import AuthRules, LimitRule, choose
from pytest_modelrt.simulator.gateway.ports import HostPort


@dataclass(frozen=True, slots=True)
class Guard:
    """Everything that stands between a request and one route."""

    auth: AuthRules | None = None
    limits: tuple[LimitRule, ...] = ()
    token_limits: tuple[LimitRule, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """Accepted policies with what they were compiled to, as the operator last saw them."""

    auth: Sequence[tuple[Object, AuthRules]] = ()
    limits: Sequence[tuple[Object, tuple[LimitRule, ...]]] = ()
    token_limits: Sequence[tuple[Object, tuple[LimitRule, ...]]] = ()
    _guards: dict[tuple[str, str], Guard] = field(default_factory=dict)

    def guard(self, route: Object, gateway: Object) -> Guard:
        """What guards a route on a gateway."""
        key = (route["metadata"]["uid"], gateway["metadata"]["uid"])
        if key not in self._guards:
            auth = choose((policy for policy, _ in self.auth), route, gateway)
            limits = choose((policy for policy, _ in self.limits), route, gateway)
            tokens = choose((policy for policy, _ in self.token_limits), route, gateway)
            self._guards[key] = Guard(
                next((rules for policy, rules in self.auth if policy is auth), None),
                next((rules for policy, rules in self.limits if policy is limits), ()),
                next((rules for policy, rules in self.token_limits if policy is tokens), ()),
            )
        return self._guards[key]


@dataclass(slots=True)
class Mesh:
    """Shared by the programs of one cluster's gateways; what is None does not run."""

    host_port: HostPort
    policies: PolicyTable = field(default_factory=PolicyTable)
    authorino: Authorino | None = None
    limitador: Counters | None = None
