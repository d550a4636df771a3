"""A scenario's refusals of the API server, as the server understands them."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelrt.simulator.apiserver.faults import Fault
from pytest_modelrt.simulator.scenario import Scenario

OWN_USER = "system:modelrt"
"""As whom the simulator's own parts speak."""


def api_faults(scenario: Scenario, speed: float) -> Iterator[Fault]:
    """The faults, counted from now; the server's times are real seconds."""
    for rule in scenario.file.api:
        yield Fault(
            status=rule.status,
            reset=rule.reset,
            verbs=frozenset(rule.verbs),
            resources=frozenset(rule.resources),
            groups=frozenset(rule.groups),
            namespaces=frozenset(rule.namespaces),
            names=frozenset(rule.names),
            users=frozenset({OWN_USER} if rule.clients == "platform" else ()),
            spared=frozenset({OWN_USER} if rule.clients == "suite" else ()),
            reason=rule.reason,
            message=rule.message,
            retry_after=rule.retry_after,
            starts_in=rule.at / speed,
            lasts=float("inf") if rule.lasts is None else rule.lasts / speed,
            count=rule.times,
        )
