"""One item per case: any test that needs the fixture ``case`` is run once for each, in plan order."""

from __future__ import annotations

import pytest

from pytest_modelrt.markers import overrides
from pytest_modelrt.session.run import Run

PARAMETER = "_modelrt_case"
"""The fixture our ``case`` is built on: a project's own fixture called ``case`` is left alone."""


class Collection:
    """Parametrizes; the same items in the same order in every process, without a look at any cluster."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize over the plan."""
        if PARAMETER not in metafunc.fixturenames:
            return
        parameters = [
            pytest.param(case.id, id=case.id, marks=[getattr(pytest.mark, name) for name in case.markers])
            for case in self._run.plan.cases
        ]
        metafunc.parametrize(PARAMETER, parameters, indirect=True)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse a marker with impossible settings before anything runs."""
        for item in case_items(items):
            overrides(item)


def case_items(items: list[pytest.Item]) -> list[pytest.Item]:
    """The items that belong to a case."""
    return [item for item in items if PARAMETER in getattr(item, "fixturenames", ())]
