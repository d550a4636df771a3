"""Faults of the gateway's helpers, as scenarios and as missing pods: each shows where it must, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from tests.selftest.simulator.controllers.conftest import CONFIG
from tests.selftest.simulator.kserve.conftest import Maas, platform


@pytest.fixture
def faulty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maas]:
    scenario = CONFIG / "scenarios" / f"{request.param}.yaml"
    with platform(tmp_path_factory.mktemp("faulty"), scenario) as running:
        yield running


@pytest.mark.parametrize("faulty", ["gateway-slow-auth"], indirect=True)
def test_slow_authentication_is_an_error_of_the_gateway(faulty: Maas) -> None:
    token = faulty.token("free")
    for response in (faulty.chat("model-a", token), faulty.get("/v1/models"), faulty.get("/v1/models", token)):
        assert (response.status_code, response.text) == (500, "Internal Server Error.\n")
    assert faulty.get("/llm/zzz/v1/models").status_code == 404


@pytest.mark.parametrize("faulty", ["gateway-slow-start"], indirect=True)
def test_slow_authentication_that_recovers(faulty: Maas) -> None:
    token = faulty.token("free")
    assert [faulty.chat("model-a", token).status_code for _ in range(5)] == [500] * 3 + [200] * 2


@pytest.mark.parametrize("faulty", ["gateway-limiter-away"], indirect=True)
def test_without_the_limiter_requests_pass(faulty: Maas) -> None:
    token = faulty.token("free")
    assert [faulty.chat("model-a", token).status_code for _ in range(8)] == [200] * 8
    assert faulty.chat("model-b", token).status_code == 403
    assert faulty.chat("model-a").status_code == 401


@pytest.mark.parametrize("faulty", ["gateway-tier-error"], indirect=True)
def test_without_a_tier_nobody_is_limited(faulty: Maas) -> None:
    token = faulty.token("free")
    assert [faulty.chat("model-a", token).status_code for _ in range(8)] == [200] * 8
    assert faulty.chat("model-b", token).status_code == 403


def until(maas: Maas, token: str, status: int) -> bool:
    """Whether a request gets this status, in time."""
    deadline = Deadline(ScaledClock(), 30)
    while maas.chat("model-a", token).status_code != status:
        if deadline.expired:
            return False
        deadline.clock.sleep(0.1)
    return True


def test_pods_that_are_away(maas: Maas) -> None:
    """No Authorino: refused with 500. No Limitador: let through."""
    token = maas.token("free", "lonely")
    for name, status in (("authorino", 500), ("limitador-limitador", 200)):
        maas.kubectl("scale", f"deployment/{name}", "-n", "kuadrant-system", "--replicas=0")
        try:
            maas.kubectl.wait(f"deployment/{name}", "jsonpath={.spec.replicas}=0", "-n", "kuadrant-system")
            pods = f"{'authorino-resource=authorino' if name == 'authorino' else 'app=limitador'}"
            maas.kubectl("wait", "pods", "-l", pods, "-n", "kuadrant-system", "--for=delete", "--timeout=60s")
            assert {maas.chat("model-a", token).status_code for _ in range(7)} == {status}
        finally:
            maas.kubectl("scale", f"deployment/{name}", "-n", "kuadrant-system", "--replicas=1")
            maas.kubectl.wait(f"deployment/{name}", "condition=Available", "-n", "kuadrant-system")
    assert until(maas, token, 429)


def test_a_mistake_in_the_gateway_section_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    from pytest_modelrt import launcher

    directory = tmp_path_factory.mktemp("mistake")
    scenario = directory / "bad.yaml"
    scenario.write_text("gateway: {auth_dealy: 1}\n", encoding="utf-8")
    process = launcher.start(directory / "sim", scenario=str(scenario), config_dir=CONFIG)
    with pytest.raises(launcher.SimulatorError, match="auth_dealy: unknown field"):
        process.wait_ready()
