"""``--modelrt-shard I/N``: this process runs one part of what was selected; the other jobs run the others."""

from __future__ import annotations

import pytest

from pytest_modelrt.scheduling.jobs import case_of
from pytest_modelrt.scheduling.limits import Limits
from pytest_modelrt.scheduling.shards import shard
from pytest_modelrt.session.run import Run


class Shard:
    """Deselects what belongs to other shards, after ``-k`` and ``-m`` made their choice."""

    def __init__(self, run: Run, number: int, count: int) -> None:
        self._run = run
        self._number = number
        self._count = count

    def pytest_report_header(self) -> str:
        """Which part this is."""
        return f"modelrt: shard {self._number} of {self._count}"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Cases by estimated time and tier; the files of other tests in turn."""
        cases = self._run.plan.by_id()
        of_item = {item.nodeid: case_of(item.nodeid, cases) for item in items}
        selected = {case.id: case for case in of_item.values() if case is not None}
        ordered = [case for case in self._run.plan.cases if case.id in selected]
        mine = {case.id for case in shard(ordered, self._number, self._count, Limits.of(self._run.campaign))}
        files = sorted({_file(nodeid) for nodeid, case in of_item.items() if case is None})
        my_files = set(files[self._number - 1 :: self._count])
        kept: list[pytest.Item] = []
        others: list[pytest.Item] = []
        for item in items:
            case = of_item[item.nodeid]
            belongs = case.id in mine if case is not None else _file(item.nodeid) in my_files
            (kept if belongs else others).append(item)
        if others:
            config.hook.pytest_deselected(items=others)
            items[:] = kept


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
