"""What the tests of model-a and model-b share: one platform per run, however many workers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from pytest_modelrt.clock import Deadline, rfc3339, utc_now
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import Object, Ownership
from pytest_modelrt.session.maas import finding_of
from pytest_modelrt.session.run import RUN
from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.accounts import Account, Accounts
from pytest_modelrt.stacks.kserve.calls import Caller
from pytest_modelrt.stacks.kserve.model import ServedModel
from pytest_modelrt.stacks.kserve.overlay import pick
from pytest_modelrt.stacks.kserve.platform import MaasPlatform, NotDeployed, NotInstalled, open_platform

LIFETIME = timedelta(hours=2)
GONE_SECONDS = 60.0
EVERYBODY_FREE = "the tier map lists user names, which are no groups of a token: everybody is in the free tier"
Note = Callable[..., None]
Deploy = Callable[..., ServedModel]


@pytest.fixture(scope="session")
def maas(pytestconfig: pytest.Config, modelrt_cluster: Cluster) -> Iterator[MaasPlatform]:
    """The platform, deployed and ready; skips with the reason where it cannot be."""
    run = pytestconfig.stash[RUN]
    owner = Ownership(run.run_id, "maas", rfc3339(utc_now() + LIFETIME))
    directory = run.settings.config / "kind"
    try:
        platform = open_platform(modelrt_cluster, owner, directory, gateway_url=run.settings.gateway)
    except NotInstalled as missing:
        pytest.skip(f"maas-not-installed: {missing}")
    except NotDeployed as late:
        pytest.fail(f"maas-not-deployed: {late}", pytrace=False)
    yield platform
    platform.close()


@pytest.fixture(scope="session")
def gateway(maas: MaasPlatform) -> Caller:
    """Requests through the gateway."""
    return maas.gateway


@pytest.fixture(scope="session")
def accounts(maas: MaasPlatform) -> Accounts:
    """Service accounts of the tiers."""
    return maas.accounts


@pytest.fixture(scope="session")
def model_a(maas: MaasPlatform) -> ServedModel:
    """The free model."""
    return maas.model("model-a")


@pytest.fixture(scope="session")
def direct(maas: MaasPlatform, model_a: ServedModel) -> Caller:
    """Requests straight to model-a, through a port-forward."""
    return maas.direct(model_a)


@pytest.fixture
def free(accounts: Accounts) -> Account:
    """A new account of the free tier: nothing counted yet."""
    return accounts.fresh("free")


@pytest.fixture
def premium(accounts: Accounts) -> Account:
    """A new account of the premium tier."""
    return accounts.fresh("premium")


@pytest.fixture(scope="session")
def tiers(maas: MaasPlatform) -> None:
    """For statements about a tier above free: they do not hold on the platform's own overlay."""
    if maas.tiers_by_user_name:
        pytest.xfail(EVERYBODY_FREE)


@pytest.fixture(scope="session")
def repaired(maas: MaasPlatform) -> None:
    """For statements about this project's overlay: they do not hold where the preset was replaced."""
    if maas.installed.preset_container != names.CONTAINER:
        pytest.xfail(f"KServe's preset was replaced; its container is {maas.installed.preset_container}")


def patience(maas: MaasPlatform) -> Deadline:
    """How long a test waits for a model: generous, and never shorter than a busy machine needs in real time."""
    speed = maas.cluster.clock.speed
    return Deadline(maas.cluster.clock, 20.0 * speed if speed > 1 else 120.0)


@pytest.fixture(autouse=True)
def _deployment(request: pytest.FixtureRequest) -> None:
    """The process that deployed the platform says so with its findings."""
    if "maas" in request.fixturenames:
        platform: MaasPlatform = request.getfixturevalue("maas")
        if platform.created:
            facts = {"seconds": round(platform.seconds, 1), "objects": len(platform.created)}
            finding_of(request.node).facts["deployed"] = facts


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """``note(key=value)``: a fact for journal and pages."""

    def add(**facts: Any) -> None:
        finding_of(request.node).facts.update(facts)

    return add


@pytest.fixture
def deploy(maas: MaasPlatform) -> Iterator[Deploy]:
    """``deploy(change)``: a copy of model-a of the test's own, changed; removed afterwards, and seen to be gone."""
    copies: list[ServedModel] = []

    def create(change: Callable[[Object], None] = lambda _: None, of: str = "model-a") -> ServedModel:
        copy = maas.copy(of, f"{of}-{uuid.uuid4().hex[:6]}")
        change(pick(copy.objects, "LLMInferenceService"))
        copies.append(copy)
        copy.create()
        return copy

    yield create
    trouble = [
        text for copy in copies for text in copy.delete(wait=GONE_SECONDS * max(1.0, maas.cluster.clock.speed / 5))
    ]
    assert not trouble, f"still there after the test: {trouble}"
