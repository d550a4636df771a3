"""Real workers that die, leave, collect something else, or whose fixtures fail."""

from __future__ import annotations

import pytest

from tests.selftest.scheduling.build import TIERS
from tests.selftest.scheduling.conftest import Start

CRASH = """
import os
from tests.selftest.scheduling.harness import note

def test_model(deployed):
    if deployed == 'v0/m8-0':
        os._exit(9)
"""


def test_slot_of_a_crashed_case_stays_taken_until_cleaned(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(CRASH)

    run = play("-n", "3", plan=[[1, 6], [8, 3]], estimates={"v0/m8-0": 1e6})

    assert run.result.parseoutcomes() == {"passed": 8, "failed": 1}
    assert ["cleanup", "v0/m8-0"] in run.ledger
    assert run.peaks()["gpu8"] == 1
    run.result.stdout.fnmatch_lines(["*worker 'gw?' crashed while running*v0/m8-0*"])


def test_slot_that_cannot_be_cleaned_is_never_given_away(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(CRASH)

    run = play("-n", "3", plan=[[1, 2], [8, 3]], estimates={"v0/m8-0": 1e6}, cleanup_fails=True, cleanup_seconds=0.0)

    assert run.result.parseoutcomes() == {"passed": 2, "failed": 1, "errors": 2}
    assert run.taken().count("v0/m8-2") == run.taken().count("v1/m8-1") == 0
    run.result.stdout.fnmatch_lines(["not run: its slot is held by what could not be removed (v0/m8-0: *stays)*"])
    run.result.stdout.fnmatch_lines(["leaks: ['v0/m8-0']"])


def test_rerun_after_a_crash_waits_for_the_cleanup(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(optionalhook=True)
        def pytest_handlecrashitem(crashitem, report, sched):
            report.outcome = "rerun"
            sched.mark_test_pending(crashitem)
        """
    )
    pytester.makepyfile(
        """
        import os, pathlib
        def test_model(deployed):
            flag = pathlib.Path(__file__).with_name("crashed")
            if deployed == 'v1/m1-1' and not flag.exists():
                flag.write_text("")
                os._exit(1)
        """
    )

    run = play("-n", "2", plan=[[1, 4]])

    assert run.passed == 4
    about = [words[0] for words in run.ledger if words[1:] == ["v1/m1-1"]]
    assert about == ["take", "cleanup", "free", "take", "free"]


def test_limits_hold_while_workers_are_killed_at_random(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makeconftest(
        """
        import os, random, signal, threading
        import pytest
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(session):
            worker = getattr(session.config, "workerinput", {}).get("workerid", "")
            if worker and int(worker[2:]) < 8:
                delay = random.Random(worker).uniform(0.0, 1.0)
                timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL))
                timer.daemon = True
                timer.start()
        """
    )
    pytester.makepyfile("def test_model(deployed): pass")

    run = play("-n", "4", "--max-worker-restart", "20", plan=[[1, 20], [2, 12], [4, 9], [8, 6]], seconds=0.05)

    outcomes = run.result.parseoutcomes()
    assert outcomes.get("passed", 0) + outcomes.get("failed", 0) >= 47
    assert set(run.taken()) == {f"v{n % 2}/m{g}-{n}" for g, c in ((1, 20), (2, 12), (4, 9), (8, 6)) for n in range(c)}
    peaks = run.peaks()
    assert all(peaks[tier.name] <= tier.limit for tier in TIERS)
    run.result.stdout.fnmatch_lines(["*node down*", "never started: 0"])


def test_no_replacement_when_restarting_is_off(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(CRASH)

    run = play("-n", "2", "--max-worker-restart", "0", plan=[[1, 6], [8, 3]], estimates={"v0/m8-0": 1e6})

    assert run.result.ret != 0
    started = len(set(run.taken()))
    run.result.stdout.fnmatch_lines([f"never started: {9 - started}"])


def test_replacement_that_collects_something_else_is_not_used(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makeconftest(
        """
        import pathlib, pytest
        @pytest.hookimpl(optionalhook=True)
        def pytest_xdist_node_collection_finished(node, ids):
            if node.gateway.id == "gw2":
                pathlib.Path("replaced").write_text("")
        """
    )
    pytester.makepyfile(
        """
        import os, pathlib, threading, pytest
        crashed, replaced = (pathlib.Path(__file__).with_name(name) for name in ("crashed", "replaced"))
        if crashed.exists():
            def test_new(): pass
        def test_model(deployed):
            if deployed == 'v0/m1-0' and not crashed.exists():
                crashed.write_text("")
                os._exit(1)
            while not replaced.exists():
                threading.Event().wait(0.02)
        """
    )

    run = play("-n", "2", plan=[[1, 6]])

    assert run.result.parseoutcomes()["passed"] == 5
    assert run.result.parseoutcomes()["failed"] == 1
    assert sorted(run.taken()) == sorted(f"v{n % 2}/m1-{n}" for n in range(6))
    run.result.stdout.fnmatch_lines(["*collected other tests than the first worker: not used*"])


def test_run_ends_when_no_worker_can_be_used_any_more(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, pytest
        flag = pathlib.Path(__file__).with_name("crashed")
        if flag.exists():
            def test_new(): pass
        def test_model(deployed):
            flag.write_text("")
            os._exit(1)
        """
    )

    run = play("-n", "1", plan=[[1, 3]])

    assert run.result.parseoutcomes()["errors"] == 2
    assert run.result.parseoutcomes()["failed"] == 1
    run.result.stdout.fnmatch_lines(["not run: no worker is left*"])


def test_workers_that_collect_differently_at_the_start_run_nothing(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        """
        import os
        if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
            def test_more(): pass
        def test_model(deployed): pass
        """
    )

    run = play("-n", "2", plan=[[1, 3]])

    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert run.taken() == []
    run.result.stdout.fnmatch_lines(["*Different tests were collected between*"])


def test_failing_session_fixture_is_reported(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture(scope="session", autouse=True)
        def around():
            yield
            raise RuntimeError("the session's end")
        def test_model(deployed): pass
        """
    )

    run = play("-n", "2", plan=[[1, 4]])

    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert run.result.parseoutcomes() == {"passed": 4, "errors": 2}
    run.result.stdout.fnmatch_lines(["*the session's end*"])


def test_session_fixture_is_ended_also_by_x(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        """
        import pytest
        from tests.selftest.scheduling.harness import note
        @pytest.fixture(scope="session", autouse=True)
        def around():
            note("begin")
            yield
            note("end")
        def test_model(deployed): assert False
        """
    )

    run = play("-n", "2", "-x", plan=[[1, 6]])

    words = [line[0] for line in run.ledger]
    assert words.count("begin") == words.count("end") > 0


def test_exit_in_a_test_neither_hangs_nor_passes(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        """
        import pytest
        def test_model(deployed):
            if deployed == 'v0/m1-0':
                pytest.exit("enough", returncode=0)
        """
    )

    run = play("-n", "2", plan=[[1, 6]])

    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert run.passed == 5
    run.result.stdout.fnmatch_lines(["*ended while running*v0/m1-0*"])


def test_every_worker_leaves(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile("import pytest\ndef test_model(deployed): pytest.exit('enough', returncode=0)")

    run = play("-n", "2", plan=[[1, 6]])

    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert run.result.parseoutcomes() == {"errors": 6}
