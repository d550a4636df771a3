"""Two runs on one cluster share limits and names, and a living run takes over from a dead one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from queue import Empty, SimpleQueue

import pytest

from pytest_modelrt.clock import Deadline, ScaledClock
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.leases import acquire
from pytest_modelrt.cluster.model import CASE, CLUSTER_SERVING_RUNTIME, LEASE, ClusterTarget, Object, Ownership, Ref
from pytest_modelrt.cluster.ownership import stamp
from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Case
from pytest_modelrt.scheduling.jobs import Job
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.session.leases import Leases
from pytest_modelrt.session.market import SECONDS
from pytest_modelrt.simulator.nodes.ledger import peak_by_tier
from tests.selftest.plugin.conftest import CONFIG
from tests.selftest.plugin.live import REAL_SECONDS, Live

CASES = load_plan(CONFIG).by_id()
CAMPAIGN = load_campaign(CONFIG)
BIG = [case for case in CASES.values() if case.gpus >= 8][:2]
SLOT = Ref(LEASE, "modelrt-slot-gpu8-0", "default")
Open = Callable[[str], Leases]


@pytest.fixture
def open_desk(live: Live, request: pytest.FixtureRequest) -> Open:
    """Opens the desk of one run."""

    def begin(run_id: str) -> Leases:
        target = ClusterTarget(kubeconfig=live.kubeconfig)
        desk = Leases(
            lambda: Cluster.connect(target, run_id=run_id), run_id, CASES, Limits.of(CAMPAIGN), lambda text: None
        )
        desk.start()
        request.addfinalizer(desk.close)
        return desk

    return begin


def job(number: int) -> Job:
    case = BIG[number]
    return Job(case.id, (f"t[{case.id}]",), gpus=case.gpus, case=case.id)


def asks(desk: Leases, wanted: Job) -> bool:
    answers = SimpleQueue[bool]()
    desk.request(wanted, answers.put)
    return answers.get(timeout=REAL_SECONDS)


def comes_to(desk: Leases, wanted: Job) -> bool:
    """Whether a job is granted sooner or later."""
    deadline = Deadline(ScaledClock(), REAL_SECONDS)
    while not deadline.expired:
        if asks(desk, wanted):
            return True
        deadline.clock.sleep(0.2)
    return False


def comes_to_hold(desk: Leases, cluster: Cluster, case: Case, seconds: float = REAL_SECONDS) -> bool:
    """Whether the name of a case is given sooner or later."""
    deadline = Deadline(ScaledClock(), seconds)
    while not deadline.expired:
        if desk.hold_name(cluster, case):
            return True
        deadline.clock.sleep(0.2)
    return False


def test_one_run_at_a_time_has_a_slot(open_desk: Open, live: Live) -> None:
    one, two = open_desk("one"), open_desk("two")
    assert asks(one, job(0))
    assert not asks(two, job(1))
    one.keep(frozenset())
    assert comes_to(two, job(1))
    two.keep(frozenset())
    two.close()
    one.close()
    live.await_nothing_of_ours()


def test_a_slot_goes_from_case_to_case_of_a_run_at_once(open_desk: Open, live: Live) -> None:
    one = open_desk("one")
    assert asks(one, job(0))
    one.keep(frozenset({job(1).key}))
    assert asks(one, job(1)), "what ended makes room for what begins"
    held = live.cluster.get(SLOT)
    assert held is not None
    deadline = Deadline(ScaledClock(), REAL_SECONDS)
    while held["metadata"]["labels"][CASE] != BIG[1].resource_name:
        assert not deadline.expired, "a run that takes over would sweep the wrong case"
        deadline.clock.sleep(0.1)
        held = live.cluster.get(SLOT)
        assert held is not None
    one.keep(frozenset())
    live.await_nothing_of_ours()
    one.close()


def test_a_name_taken_while_the_desk_tidies_up_is_still_looked_after(open_desk: Open, live: Live) -> None:
    one, two = open_desk("one"), open_desk("two")
    small = next(iter(CASES.values()))

    class Busy(Cluster):
        """While the lease is on its way, the desk gives back whatever nobody needs."""

        def create(self, obj: Object) -> Object:
            one.keep(frozenset())
            asks(one, Job("nothing", ("t",)))
            return super().create(obj)

    assert one.hold_name(Busy.connect(ClusterTarget(kubeconfig=live.kubeconfig), run_id="one"), small)
    other = Cluster.connect(ClusterTarget(kubeconfig=live.kubeconfig), run_id="two")
    assert not two.hold_name(other, small)
    one.name_begun(small.id)
    one.keep(frozenset())
    assert comes_to_hold(two, other, small), "one forgot that it holds the name, and would never renew it"
    two.close()
    one.close()
    live.await_nothing_of_ours()


def test_a_name_is_held_when_a_download_and_the_scheduler_take_it_at_once(open_desk: Open, live: Live) -> None:
    one, two = open_desk("one"), open_desk("two")
    small = next(iter(CASES.values()))
    wanted = Job(small.id, (f"t[{small.id}]",), gpus=small.gpus, case=small.id)
    answers = SimpleQueue[bool]()

    class Busy(Cluster):
        """While the lease is on its way for the download, the scheduler asks for the case."""

        def create(self, obj: Object) -> Object:
            one.request(wanted, answers.put)
            with contextlib.suppress(Empty):
                answers.put(answers.get(timeout=1.0))
            return super().create(obj)

    one.keep(frozenset({small.id}))
    assert one.hold_name(Busy.connect(ClusterTarget(kubeconfig=live.kubeconfig), run_id="one"), small)
    assert answers.get(timeout=REAL_SECONDS)
    one.keep(frozenset())
    other = Cluster.connect(ClusterTarget(kubeconfig=live.kubeconfig), run_id="two")
    before_it_lapses = 0.75 * SECONDS
    assert comes_to_hold(two, other, small, before_it_lapses), "one forgot that it holds the name"
    two.close()
    one.close()
    live.await_nothing_of_ours()


def test_a_dead_run_is_cleaned_up_after(open_desk: Open, live: Live) -> None:
    dead = live.cluster.for_run("dead")
    owner = Ownership("dead", BIG[0].resource_name, "2099-01-01T00:00:00Z")
    acquire(dead, "modelrt-slot-gpu8-0", owner, seconds=2)
    left: Object = {
        "apiVersion": "ome.io/v1beta1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": "left-behind"},
        "spec": {"supportedModelFormats": []},
    }
    dead.create(stamp(left, owner))
    alive = open_desk("alive")
    assert comes_to(alive, job(1))
    assert live.cluster.get(Ref(CLUSTER_SERVING_RUNTIME, "left-behind")) is None
    alive.close()
    live.await_nothing_of_ours()


def test_two_runs_of_the_same_cases_are_both_green(campaign: pytest.Pytester, live: Live) -> None:
    command = [sys.executable, "-m", "pytest", f"--modelrt-kubeconfig={live.kubeconfig}", "-n", "2", "-q",
               "-k", "SmolLM-135M or SmolLM-1.7B or Qwen3-0.6B", "--modelrt-tier=gpu1=2"]  # fmt: skip
    runs = [
        subprocess.Popen(
            [*command, f"--modelrt-run-id={name}", f"--modelrt-reports={name}"],
            cwd=campaign.path,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    outputs = [run.communicate(timeout=2 * REAL_SECONDS)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(outputs)
    live.await_nothing_of_ours()
    both = {"left", "right"}
    entries = (live.kubeconfig.parent / "ledger.jsonl").read_text().splitlines(keepends=True)
    ledger = campaign.path / "ledger.jsonl"
    ledger.write_text("".join(line for line in entries if any(f'"run":"{name}"' in line for name in both)))
    assert ledger.read_text()
    assert peak_by_tier(ledger, CAMPAIGN.tiers)["gpu1"].cases <= 2
