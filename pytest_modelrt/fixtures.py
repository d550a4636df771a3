"""Fixtures: the public API for people who write tests of their own on top.

Each fixture is a stage of the case's life with its cleanup. A test that asks for ``endpoint`` runs once per selected
model, with the model deployed before and everything removed afterwards, without a line about Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_modelrt.cluster.model import ClusterError, Object
from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.plan.model import Case
from pytest_modelrt.session.outcomes import LIFE
from pytest_modelrt.session.resume import carried_over, carry_over, inputs_of
from pytest_modelrt.session.run import RUN
from pytest_modelrt.session.surroundings import cluster_of, finish, new_life
from pytest_modelrt.stages.ended import CaseEnded
from pytest_modelrt.stages.life import CaseLife
from pytest_modelrt.stages.refusals import ended_by

if TYPE_CHECKING:
    import httpx

    from pytest_modelrt.cluster.cluster import Cluster
    from pytest_modelrt.probes.model import ProbeResult


@pytest.fixture(scope="session")
def modelrt_cluster(pytestconfig: pytest.Config) -> Cluster:
    """The cluster of this run: may change what this run created, and read everything else."""
    with _reported():
        try:
            return cluster_of(pytestconfig)
        except ClusterError as error:
            raise ended_by(error, Stage.PREFLIGHT) from None


@pytest.fixture
def _modelrt_case(request: pytest.FixtureRequest) -> Case:
    case_id: str = request.param  # a word, not the row: report plugins show parameters, and tell tests apart by them
    return request.config.stash[RUN].plan.by_id()[case_id]


@pytest.fixture
def case(_modelrt_case: Case) -> Case:
    """One row of the plan; a test that asks for it runs once per selected case."""
    return _modelrt_case


@pytest.fixture
def _modelrt_life(request: pytest.FixtureRequest, case: Case) -> CaseLife:
    """The case attempt; its preflight has passed. A resumed run leaves here with the verdict of an earlier one."""
    inputs = inputs_of(request.config, case, request.node.nodeid)
    carried = carried_over(request.config, inputs)
    if carried is not None:
        carry_over(request, case, carried, inputs)
    life = new_life(request, case)
    request.node.stash[LIFE] = life
    request.addfinalizer(lambda: _finish(request, life, inputs))
    with _reported():
        life.preflight()
    return life


@pytest.fixture
def model(request: pytest.FixtureRequest, _modelrt_life: CaseLife) -> Object:
    """The model object, present on the wanted nodes."""
    request.addfinalizer(_modelrt_life.delete_model)
    with _reported():
        _modelrt_life.apply_model()
    return _modelrt_life.stack.live(Stage.MODEL)


@pytest.fixture
def runtime(request: pytest.FixtureRequest, _modelrt_life: CaseLife, model: Object) -> Object:
    """The runtime object, compared with the model and repaired where policy allows."""
    del model
    request.addfinalizer(_modelrt_life.delete_runtime)
    with _reported():
        _modelrt_life.apply_runtime()
    return _modelrt_life.stack.live(Stage.RUNTIME)


@pytest.fixture
def inference_service(request: pytest.FixtureRequest, _modelrt_life: CaseLife, runtime: Object) -> Object:
    """The service object, ready to be asked."""
    del runtime
    request.addfinalizer(_modelrt_life.delete_service)
    with _reported():
        _modelrt_life.apply_service()
    return _modelrt_life.stack.live(Stage.SERVICE)


@pytest.fixture
def endpoint(_modelrt_life: CaseLife, inference_service: Object) -> Iterator[httpx.Client]:
    """An HTTP client to the engine: ``endpoint.get("/v1/models")``; the served model name is ``case.hub_id``."""
    del inference_service
    with _reported():
        where = _modelrt_life.endpoint()
    with _modelrt_life.tunnel(where.namespace, where.pod, where.port) as client:
        yield client


@pytest.fixture
def probe(_modelrt_life: CaseLife, endpoint: httpx.Client) -> Callable[[], ProbeResult]:
    """A function that asks the model what fits its kind and judges the answer; a bad one fails the case."""

    def ask() -> ProbeResult:
        with _reported():
            return _modelrt_life.ask(endpoint)

    return ask


@contextmanager
def _reported() -> Iterator[None]:
    """The end of a case as pytest knows it: a skip, or a failure without traceback."""
    try:
        yield
    except CaseEnded as ended:
        if ended.outcome in (Outcome.SKIPPED, Outcome.NOT_RUN):
            raise pytest.skip.Exception(f"{ended.finding.cause.slug}: {ended.summary}; {ended.hint}") from None
        raise pytest.fail.Exception(ended.text(), pytrace=False) from None


def _finish(request: pytest.FixtureRequest, life: CaseLife, inputs: str) -> None:
    if request.config.stash[RUN].campaign.repair == "write":  # the files as they are after the repair were tested
        inputs = inputs_of(request.config, life.case, request.node.nodeid)
    finish(request, life, inputs)
    if life.leftovers:
        pytest.fail("cleanup-leftover: still there after cleanup: " + ", ".join(life.leftovers), pytrace=False)
