"""Real workers: limits hold, everything runs, for any number of workers and whatever else is asked for."""

from __future__ import annotations

import pytest

from tests.selftest.scheduling.build import TIERS
from tests.selftest.scheduling.conftest import Start

ONE_TEST = "def test_model(deployed): pass"
PLAN = [[1, 14], [2, 7], [4, 5], [8, 3]]
CASES = 29


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_no_limit_is_exceeded(pytester: pytest.Pytester, play: Start, workers: int) -> None:
    pytester.makepyfile(ONE_TEST)

    run = play("-n", str(workers), plan=PLAN)

    assert run.passed == CASES
    assert sorted(run.taken()) == sorted(set(run.taken()))
    peaks = run.peaks()
    assert all(peaks[tier.name] <= tier.limit for tier in TIERS)
    assert peaks["gpus"] <= 112
    if workers == 20:
        assert peaks["gpu1"] > 3


def test_budget_is_kept(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(ONE_TEST)

    run = play("-n", "6", plan=PLAN, campaign={"gpu_budget": 9})

    assert run.passed == CASES
    assert run.peaks()["gpus"] <= 9


@pytest.mark.parametrize("order", ["plan", "fast", "strict"])
def test_every_order_runs_everything(pytester: pytest.Pytester, play: Start, order: str) -> None:
    pytester.makepyfile(ONE_TEST)

    run = play("-n", "4", plan=[[1, 4], [2, 3], [4, 2]], order=order)

    assert run.passed == 9
    if order == "strict":
        sizes = [int(case.partition("/m")[2].partition("-")[0]) for case in run.taken()]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadgroup"])
def test_dist_does_not_matter(pytester: pytest.Pytester, play: Start, dist: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.xdist_group('one')\n{ONE_TEST}")

    run = play("-n", "3", "--dist", dist, plan=[[1, 3], [8, 3]])

    assert run.passed == 6
    assert run.peaks()["gpu8"] == 1


def test_selection_and_last_failed(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile("def test_model(deployed): assert deployed != 'v1/m1-1'")

    first = play("-n", "3", "-k", "m1 or m8", plan=PLAN)
    again = play("-n", "3", "--lf", plan=PLAN)

    assert first.result.parseoutcomes()["passed"] == 16
    assert first.result.parseoutcomes()["failed"] == 1
    assert again.taken() == ["v1/m1-1"]


def test_stop_at_the_first_failure_starts_nothing_new(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile("def test_model(deployed): assert deployed != 'v0/m8-0'")

    run = play("-n", "3", "-x", plan=PLAN, seconds=0.4, estimates={"v0/m8-0": 1e6})

    assert run.result.ret == pytest.ExitCode.INTERRUPTED
    assert len(run.taken()) < 12
    run.result.stdout.fnmatch_lines(["never started: *"])
    assert "ERROR" not in run.text


def test_a_case_that_never_fits_is_an_error_at_once(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(ONE_TEST)

    run = play("-n", "2", plan=[[1, 2], [64, 1]])

    assert run.result.parseoutcomes() == {"passed": 2, "errors": 1}
    run.result.stdout.fnmatch_lines(["*can never start: asks for 64 GPUs, and one test may hold at most 32*"])


def test_tests_of_one_case_share_a_deployment(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        test_shared="""
        import pytest
        from tests.selftest.scheduling.harness import note

        @pytest.fixture(scope="module")
        def shared(case_id):
            note("take", case_id)
            yield case_id
            note("free", case_id)

        def test_chat(shared): pass
        def test_speed(shared): pass
        """,
        test_other="def test_model(deployed): pass",
    )

    run = play("-n", "3", plan=[[1, 3], [8, 2]])

    assert run.passed == 15
    assert sorted(run.taken()) == sorted([f"v{n % 2}/m{g}-{n}" for g, c in ((1, 3), (8, 2)) for n in range(c)] * 2)
    assert run.peaks()["gpu8"] == 1


def test_marker_gives_a_test_its_gpus(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        """
        import threading
        import pytest
        from tests.selftest.scheduling.harness import note

        @pytest.mark.gpus(8)
        @pytest.mark.parametrize("number", range(4))
        def test_big(number):
            note("take", f"x/m8-{number}")
            threading.Event().wait(0.05)
            note("free", f"x/m8-{number}")

        @pytest.mark.gpus("two")
        def test_wrong(): pass

        def test_plain(): pass
        """
    )

    run = play("-n", "4")

    assert run.result.parseoutcomes() == {"passed": 5, "errors": 1}
    assert run.peaks()["gpu8"] == 1
    run.result.stdout.fnmatch_lines(["*marker takes one whole number*got gpus('two')*"])


def test_status_names_what_runs_and_waits(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(
        """
        from tests.selftest.scheduling.harness import CONTROLLER
        def test_model(deployed): pass
        """
    )
    pytester.makeconftest(
        """
        from tests.selftest.scheduling.harness import CONTROLLER
        def pytest_terminal_summary(terminalreporter):
            for line in sorted(CONTROLLER.lines): terminalreporter.write_line(line)
        """
    )

    run = play("-n", "2", plan=[[8, 3]])

    run.result.stdout.fnmatch_lines(["gpu8: 1/1 running m8-?, 2 waiting"])
