"""What is to be tried: scenario files with an expectation, packed into as few clusters as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.diagnosis.model import Scope
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.model import Case
from pytest_modelrt.simulator.scenario.cluster import Expectation
from pytest_modelrt.simulator.scenario.reader import read_scenario

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "config"
SPEED = 60.0
"""Cluster seconds per second, unless the scenario names another: no timer of the suite is then stretched much."""
LIMIT = 180.0
INTERRUPTED = "suite-interrupted"
"""The cause for which somebody has to stop the run."""
_SHAREABLE = frozenset({"description", "models", "expect"})


@dataclass(frozen=True, slots=True)
class Trial:
    """One scenario tried on one case."""

    scenario: str
    case: Case
    expect: Expectation


@dataclass(slots=True)
class Cluster:
    """Trials that share a simulated cluster."""

    document: dict[str, Any]
    """The scenario file of the cluster."""
    trials: list[Trial]
    speed: float = SPEED
    options: tuple[str, ...] = ()
    edits: Path | None = None
    """Scenario whose edits of the config tree are needed."""
    nodes: int = 6
    limit: float = LIMIT
    """Real seconds it may take."""
    keep: Path | None = None
    """Where the simulator's ledger and the run's directory are copied to."""

    @property
    def name(self) -> str:
        """For messages."""
        return self.trials[0].scenario if len(self.trials) == 1 else f"{len(self.trials)} scenarios"


@dataclass(slots=True)
class _Packer:
    """Gives each shareable scenario a model of its own, of the kind its expectation names."""

    cases: dict[str, Case]
    taken: set[str] = field(default_factory=set)
    shared: list[Trial] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)

    def add(self, trial: Trial, document: dict[str, Any]) -> bool:
        """Take the trial into the shared cluster; False when it needs one of its own."""
        named = all(rule.get("match") == "*" for rule in document.get("models") or [{}])
        family = trial.expect.cause in CAUSES and CAUSES[trial.expect.cause].scope is Scope.FAMILY
        own = trial.expect.options or trial.expect.speed or trial.expect.cause == INTERRUPTED or family
        if own or not named or not _SHAREABLE.issuperset(document):
            return False
        stand_in = next((case for case in self.cases.values() if self._fits(case, trial.case)), None)
        if stand_in is None:
            return False
        self.taken.add(stand_in.resource_name)
        self.shared.append(Trial(trial.scenario, stand_in, trial.expect))
        self.rules += [{**rule, "match": stand_in.resource_name} for rule in document["models"]]
        return True

    def _fits(self, case: Case, model: Case) -> bool:
        same = case.probe is model.probe and case.gated == model.gated
        return same and case.gpus == 1 and case.resource_name not in self.taken and case.weights_bytes < 2e10


def scenarios(names: Sequence[str] = ()) -> Iterator[tuple[Path, Expectation]]:
    """All scenario files with an expectation, or those named."""
    for path in sorted((CONFIG / "scenarios").glob("*.yaml")):
        expect = read_scenario(path).expect
        if expect is not None and (not names or path.stem in names):
            yield path, expect


def clusters(names: Sequence[str] = (), limit: float = LIMIT) -> list[Cluster]:
    """Everything to be tried, the shared cluster first, then the slow ones; ``limit``: real seconds for each."""
    cases = {case.resource_name: case for case in load_plan(CONFIG).cases}
    packer, alone = _Packer(dict(sorted(cases.items(), key=lambda item: item[1].weights_bytes))), []
    for path, expect in scenarios(names):
        trial = Trial(path.stem, cases[expect.model], expect)
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not packer.add(trial, document):
            edits = path if document.get("files") else None
            alone.append(Cluster(document, [trial], expect.speed or SPEED, expect.options, edits, limit=limit))
    alone.sort(key=lambda cluster: -cluster.speed)
    shared = [Cluster({"models": packer.rules}, packer.shared, limit=limit)] if packer.shared else []
    return [*shared, *alone]
