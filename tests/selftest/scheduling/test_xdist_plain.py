"""Tests that are no case: alone, beside cases, and without pytest-xdist."""

from __future__ import annotations

import pytest

from tests.selftest.scheduling.conftest import Start

MODULE_FIXTURE = """
import pytest
from tests.selftest.scheduling.harness import note

@pytest.fixture(scope="module")
def costly():
    note("costly")

@pytest.mark.parametrize("number", range(8))
def test_plain(costly, number): pass
"""


@pytest.mark.parametrize("dist", ["load", "loadfile", "each"])
def test_run_without_cases_is_xdists_own(pytester: pytest.Pytester, play: Start, dist: str) -> None:
    pytester.makepyfile(MODULE_FIXTURE)

    run = play("-n", "2", "--dist", dist)

    assert run.passed == (16 if dist == "each" else 8)
    assert [line[0] for line in run.ledger].count("costly") == (1 if dist == "loadfile" else 2)


def test_neighbours_share_module_fixtures_beside_cases(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(test_plain=MODULE_FIXTURE, test_models="def test_model(deployed): pass")

    run = play("-n", "2", plan=[[1, 4], [8, 2]])

    assert run.passed == 14
    assert [line[0] for line in run.ledger].count("costly") == 2
    assert run.peaks()["gpu8"] == 1


def test_nothing_selected(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile("def test_model(deployed): pass")

    run = play("-n", "2", "-k", "zebra", plan=[[1, 4]])

    assert run.result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_same_order_without_workers(pytester: pytest.Pytester, play: Start) -> None:
    pytester.makepyfile(test_plain=MODULE_FIXTURE, test_models="def test_model(deployed): pass")
    settings = {"plan": [[1, 4], [2, 3], [8, 2]], "order": "plan", "seconds": 0.0}

    alone = play("-p", "no:xdist", **settings)
    one_worker = play("-n", "1", **settings)

    assert alone.passed == one_worker.passed == 17
    assert alone.taken() == one_worker.taken()
    assert alone.ledger[0] == ["costly"]
