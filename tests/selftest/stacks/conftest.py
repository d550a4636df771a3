"""A simulated cluster on which some models have trouble, and stacks for single cases on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt import launcher
from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import ClusterTarget, Ownership
from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Deadlines
from pytest_modelrt.stacks.ome import OmeStack
from pytest_modelrt.stacks.ome.context import Context
from pytest_modelrt.stacks.ome.names import Names
from pytest_modelrt.stacks.protocol import StackRequest
from tests.selftest.cluster.scripted import Script, kubeconfig, serving

CONFIG = Path(__file__).parents[3] / "config"
SPEED = 120.0
RUN = "stack-tests"

SCENARIO = """
description: trouble of every kind a stack waits for
models:
- match: qwen2-5-3b
  download: {seconds: 60, error: "head request failed after 4 attempts: HTTP 503", nodes_failed: 12}
- match: qwen2-5-7b
  hub: {gated: true, licence_accepted: false}
- match: qwen2-5-0-5b
  download: stuck
- match: qwen3-4b
  download: {seconds: 60, stale: true}
- match: qwen3-8b
  hub: {framework_version: 4.99.0}
- match: qwen3-1-7b
  startup:
    crash:
      at: load_begin
      exit_code: 1
      log: |-
        Scheduler hit an exception: Traceback (most recent call last):
          File "/usr/lib/x.py", line 1, in <module>
        ValueError: no idea
- match: smollm-1-7b
  pod: {reason: ImagePullBackOff, message: "manifest unknown: not found"}
"""


@dataclass
class Played:
    """A stack and what it told on the way."""

    stack: OmeStack
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def up_to(self, *steps: str) -> None:
        for step in steps:
            getattr(self.stack, step)()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("stacks")
    scenario = directory / "trouble.yaml"
    scenario.write_text(SCENARIO)
    with launcher.start(directory / "sim", speed=SPEED, config_dir=CONFIG, scenario=str(scenario)) as process:
        connected = Cluster.connect(ClusterTarget(kubeconfig=process.wait_ready()), run_id=RUN)
        yield connected
        connected.close()


Play = Callable[..., Played]


@pytest.fixture
def play(cluster: Cluster, tmp_path: Path) -> Iterator[Play]:
    """``play("Qwen/Qwen3-8B", repair="off")``: a stack for that case; everything it made is removed afterwards."""
    made: list[OmeStack] = []

    def begin(case_id: str, *, config_dir: Path = CONFIG, **settings: Any) -> Played:
        case = load_plan(CONFIG).by_id()[case_id]
        campaign = replace(load_campaign(CONFIG), **settings)
        told: list[tuple[str, dict[str, Any]]] = []
        owner = Ownership(RUN, case.resource_name, "2099-01-01T00:00:00Z")
        request = StackRequest(
            case, cluster, campaign, config_dir, tmp_path / "run", owner, lambda what, data: told.append((what, data))
        )
        stack = OmeStack(request)
        made.append(stack)
        return Played(stack, told)

    yield begin
    for stack in made:
        stack.delete_service()
        stack.delete_runtime()
        stack.delete_model()
        assert stack.leftovers() == []


OnScript = Callable[[Script], Context]
NAME = "m"
"""Of every object of a case attempt on a scripted API server."""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnScript]:
    """A case attempt on a scripted API server."""
    monkeypatch.setattr("pytest_modelrt.stacks.ome.context.LEAST_REAL_SECONDS", 0.1)
    opened: list[Any] = []

    def make(script: Script) -> Context:
        api = serving(script)
        server = api.__enter__()
        target = ClusterTarget(kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}", speed=600))
        cluster = Cluster.connect(target, run_id="r")
        opened.extend((cluster.close, lambda: api.__exit__(None, None, None)))
        case = next(iter(load_plan(CONFIG).cases))
        owner = Ownership("r", case.resource_name, "2099-01-01T00:00:00Z")
        names = Names.of(NAME, NAME, NAME, NAME)
        return Context(case, cluster, names, owner, Deadlines(), lambda what, data: None, 3, 1)

    yield make
    for close in opened:
        close()
