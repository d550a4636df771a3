"""``--modelrt-resume``: what has a final verdict for the same inputs is carried over, shown as such, and not run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.cluster.model import ClusterError
from pytest_modelrt.journal.adopt import dead_runs
from pytest_modelrt.journal.alive import await_writers
from pytest_modelrt.journal.model import RunInfo
from pytest_modelrt.journal.resume import Carried, carried_verdict, case_key, read_table, write_table
from pytest_modelrt.journal.rundir import read_info, write_info
from pytest_modelrt.manifests.tree import ConfigTree
from pytest_modelrt.plan.model import Case
from pytest_modelrt.plan.problems import ConfigError
from pytest_modelrt.scheduling.jobs import case_of
from pytest_modelrt.session.run import RUN, Run
from pytest_modelrt.session.target import Target

if TYPE_CHECKING:
    from pytest_modelrt.cluster.cluster import Cluster
    from pytest_modelrt.journal.results import ResultsStore

DEAD_RUNS = 5
"""So many of the latest killed runs are swept before a resumed one begins."""
ORPHAN_SECONDS = 15.0
"""Real seconds that workers of a killed controller get to come to their verdicts; xdist gives them ten."""

_TABLE = pytest.StashKey[dict[str, Carried]]()
_PLATFORM = pytest.StashKey[str]()


def inputs_of(config: pytest.Config, case: Case, nodeid: str) -> str:
    """Key of what the test is about to test: the files as they are now."""
    run = config.stash[RUN]
    try:
        files = ConfigTree.load(run.settings.config).case(case)
        found = {"model": files.model, "runtime": files.runtime, "service": files.service}
        manifests = {kind: file.own_text for kind, file in found.items() if file is not None}
    except ConfigError:
        return ""  # preflight will say what is wrong
    return case_key(case, manifests, _platform(config), nodeid.partition("[")[0])


def carried_over(config: pytest.Config, key: str) -> Carried | None:
    """The verdict that makes running superfluous; None: run it."""
    run = config.stash[RUN]
    if not run.settings.resume or not key:
        return None
    if _TABLE not in config.stash:
        config.stash[_TABLE] = read_table(run.directory)
    return config.stash[_TABLE].get(key)


def carried_cases(config: pytest.Config, nodeids: Sequence[str]) -> frozenset[str]:
    """Ids of the cases none of whose tests will run: nothing is downloaded for them, and they take no time."""
    run = config.stash[RUN]
    if not run.settings.resume:
        return frozenset()
    found: dict[str, bool] = {}
    cases = run.plan.by_id()
    for nodeid in nodeids:
        case = case_of(nodeid, cases)
        if case is not None:
            carried = carried_over(config, inputs_of(config, case, nodeid)) is not None
            found[case.id] = found.get(case.id, True) and carried
    return frozenset(case_id for case_id, carried in found.items() if carried)


def carry_over(request: pytest.FixtureRequest, case: Case, carried: Carried, key: str) -> None:
    """Write the carried verdict down and leave the test."""
    from pytest_modelrt.session.surroundings import pronounce

    pronounce(request, case, carried_verdict(case, carried, key, rfc3339(utc_now())))
    pytest.skip(f"carried over: {carried.text}")


def await_orphans(run: Run) -> None:
    """When resuming: workers of a killed run may still be at it, and what they are about to judge is not run twice."""
    if run.settings.resume:
        for path in dead_runs(run.reports, run.directory)[-DEAD_RUNS:]:
            await_writers(path, ORPHAN_SECONDS)


def prepare(run: Run, target: Target, info: RunInfo, store: ResultsStore, connect: Callable[[], Cluster]) -> RunInfo:
    """Before the first case: note the platform; when resuming, list what may be carried over, and remove what killed
    runs left on the cluster, so that their cases find their names free. A cluster that does not answer is the cases'
    to report.
    """
    resume = run.settings.resume
    try:
        cluster = connect()
        info = replace(info, resumed=resume, platform=_platform_of(run, target, cluster))
        if resume:
            _sweep_dead_runs(run, target, cluster)
    except ClusterError:
        info = replace(info, resumed=resume)
    if resume:
        write_table(run.directory, store.attempts)
    write_info(run.directory, info)
    return info


def _platform_of(run: Run, target: Target, cluster: Cluster) -> str:
    """The platform's release, and whether it is simulated, by which scenario."""
    from pytest_modelrt.stacks.ome.platform import platform_version

    version = platform_version(cluster)
    if not target.simulated:
        return version
    scenario = f", scenario {Path(run.settings.scenario).name}" if run.simulated and run.settings.scenario else ""
    return f"{version}, simulated{scenario}"


def _sweep_dead_runs(run: Run, target: Target, cluster: Cluster) -> None:
    from pytest_modelrt.cluster.sweep import Wanted, sweep

    for path in dead_runs(run.reports, run.directory)[-DEAD_RUNS:]:
        if read_info(path).cluster == target.text:
            sweep(cluster, Wanted(run_id=path.name))


def _platform(config: pytest.Config) -> str:
    if _PLATFORM not in config.stash:
        config.stash[_PLATFORM] = read_info(config.stash[RUN].directory).platform
    return config.stash[_PLATFORM]
