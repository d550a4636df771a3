"""The desk that shares limits with other runs answers whoever asks, though the API server goes away meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import MANAGED_BY, MANAGER, RUN_ID, ClusterError, ClusterTarget
from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.session.leases import Leases
from tests.selftest.cluster.scripted import Answer, Asked, Cut, Stream, kubeconfig, listing, serving

CONFIG = Path(__file__).parents[3] / "config"
CASES = {case.id: case for case in load_plan(CONFIG).cases[:3]}
SECONDS = 60.0
"""Real seconds any answer may take on a busy machine."""

OTHER = {
    "metadata": {
        "name": "modelrt-slot-gpu1-9",
        "namespace": "default",
        "labels": {MANAGED_BY: MANAGER, RUN_ID: "other", "modelrt.io/gpus": "1"},
    },
    "spec": {"leaseDurationSeconds": 3600},
}


@dataclass
class ApiServer:
    """Grants leases until it goes away; watches it has begun stay silent."""

    away: bool = False
    others: bool = False
    """Another run holds a slot."""

    def __call__(self, asked: Asked) -> Answer | Stream | Cut:
        if asked.watching:
            return Stream(())
        if self.away:
            return Cut()
        if asked.method == "POST":
            return Answer(
                201, {**asked.body, "metadata": {**asked.body["metadata"], "uid": "u", "resourceVersion": "1"}}
            )
        return listing(OTHER) if self.others and asked.path.endswith("/leases") else listing()


@pytest.mark.parametrize(("held_before", "others"), [(False, False), (True, False), (True, True)])
def test_an_outage_in_the_middle_of_a_request_holds_nobody_up(tmp_path: Path, held_before: bool, others: bool) -> None:
    jobs = [Job(case.id, (f"t[{case.id}]",), gpus=1, case=case.id) for case in CASES.values()]
    troubles, answers = SimpleQueue[str](), SimpleQueue[bool]()
    server = ApiServer(others=others)
    with serving(server) as api:
        target = ClusterTarget(kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}", speed=1000))
        cluster = Cluster.connect(target, run_id="r", tolerate_outage=10)
        desk = Leases(lambda: cluster, "r", CASES, Limits.of(load_campaign(CONFIG)), troubles.put)
        desk.start()
        if held_before:
            desk.request(jobs[0], answers.put)
            assert answers.get(timeout=SECONDS)
        deadline = Deadline(ScaledClock(), SECONDS)
        while others and not desk.occupancy().gpus:
            assert not deadline.expired, "the other run was never seen"
            deadline.clock.sleep(0.05)
        server.away = True
        desk.request(jobs[1], answers.put)
        assert answers.get(timeout=SECONDS), "trouble with leases holds nobody up"
        assert "limits are not shared" in troubles.get(timeout=SECONDS)
        desk.keep(frozenset())
        desk.request(jobs[2], answers.put)
        assert answers.get(timeout=SECONDS), "nor does it afterwards, when what was held cannot be given back"
        assert troubles.empty(), "it is said once"
        desk.close(SECONDS)
        cluster.close()


def test_a_cluster_that_cannot_be_reached_holds_nobody_up() -> None:
    def unreachable() -> Cluster:
        raise ClusterError("no such cluster")

    case = next(iter(CASES.values()))
    answers, troubles = SimpleQueue[bool](), SimpleQueue[str]()
    desk = Leases(unreachable, "r", CASES, Limits.of(load_campaign(CONFIG)), troubles.put)
    desk.start()
    desk.request(Job(case.id, (f"t[{case.id}]",), gpus=1, case=case.id), answers.put)
    assert answers.get(timeout=SECONDS)
    assert "no such cluster" in troubles.get(timeout=SECONDS)
    desk.close(SECONDS)
