"""The half of the scheduler that lives in a pytest-xdist worker.

A worker starts a test only when it also holds the next one, and that one cannot be taken back. So the next one is
always an *idle item*: appended after the collection was announced, unknown to the controller, reported by nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

IDLE_KEY = "modelrt_idle"
"""In ``workerinput``: the controller wants an idle item."""
FACTS_KEY = "modelrt_facts"
"""In ``workerinput``: the file that takes the facts the controller cannot collect itself."""
GPUS_MARKER = "gpus"
CLUSTER_FIXTURE = "modelrt_cluster"
"""Whoever asks for it, by whatever way, needs the run's cluster."""


class IdleItem(pytest.Item):
    """What a worker holds while it waits."""

    last_nodeid = ""

    @property
    def nodeid(self) -> str:
        """That of the last real test: a failing session fixture is reported under it."""
        return self.last_nodeid

    def runtest(self) -> None:
        """Nothing."""

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the last real test is."""
        return self.path, None, self.last_nodeid


class WorkerHooks:
    """Hooks of a worker; register one object per worker process."""

    def __init__(self) -> None:
        self._idle: IdleItem | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write down what markers say, before the collection is announced."""
        path = _workerinput(session.config).get(FACTS_KEY)
        if path is not None:
            facts = {"gpus": gpus_asked(session.items), "cluster": any(map(uses_cluster, session.items))}
            Path(path).write_text(json.dumps(facts), encoding="utf-8")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Append the idle item, behind all that was announced."""
        if _workerinput(session.config).get(IDLE_KEY):
            self._idle = IdleItem.from_parent(session, name="modelrt-idle")
            session.items.append(self._idle)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Swallow the idle item; the last one ends the session's fixtures."""
        if self._idle is None:
            return None
        if item is self._idle:
            if nextitem is None:
                self._tear_down(item.session)
            return True
        self._idle.last_nodeid = item.nodeid
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker that stops early (``-x``) never runs its last idle item: end the session's fixtures here."""
        self._tear_down(session)

    def _tear_down(self, session: pytest.Session) -> None:
        idle = self._idle
        if idle is None or not idle.last_nodeid:
            return
        # pytest ends session fixtures after the last item; for us that is the idle item, which nobody reports.
        teardown: Any = session._setupstate
        call = pytest.CallInfo.from_call(lambda: teardown.teardown_exact(None), when="teardown", reraise=None)
        if call.excinfo is not None:
            report = pytest.TestReport.from_item_and_call(idle, call)
            report.nodeid = idle.nodeid
            session.config.hook.pytest_runtest_logreport(report=report)


def uses_cluster(item: pytest.Item) -> bool:
    """Whether a test needs the run's cluster: whoever holds GPUs holds them there."""
    return CLUSTER_FIXTURE in getattr(item, "fixturenames", ()) or any(
        isinstance(gpus, int) and gpus > 0 for gpus in gpus_asked([item]).values()
    )


def _workerinput(config: pytest.Config) -> dict[str, Any]:
    found: dict[str, Any] = getattr(config, "workerinput", {})
    return found


def gpus_asked(items: Iterable[pytest.Item]) -> dict[str, int | str]:
    """Node id -> argument of its ``gpus`` marker, or what is wrong with it."""
    asked: dict[str, int | str] = {}
    for item in items:
        marker = item.get_closest_marker(GPUS_MARKER)
        if marker is not None:
            value = marker.args[0] if len(marker.args) == 1 else marker.kwargs.get("n")
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                asked[item.nodeid] = value
            else:
                got = f"gpus({', '.join(map(repr, marker.args))})"
                asked[item.nodeid] = f"the marker takes one whole number, gpus(n); got {got}"
    return asked


def worker_plugin() -> WorkerHooks:
    """To be registered in every worker."""
    return WorkerHooks()
