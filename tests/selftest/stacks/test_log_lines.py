"""Which lines of a platform's log are about a case: those since it began that name its objects."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.stacks.ome.evidence import Collector, lines_about
from pytest_modelrt.stacks.protocol import StackFailure
from tests.selftest.cluster.scripted import Answer, Asked, Json, listing
from tests.selftest.stacks.conftest import NAME, OnScript

NAMES = ("qwen3-4b", "Qwen/Qwen3-4B")


@pytest.mark.parametrize(
    "line",
    [
        "model qwen3-4b failed",
        'key "clusterbasemodel.qwen3-4b" is Updating',
        '{"name":"qwen3-4b","namespace":"x"}',
        "Failed to download Qwen/Qwen3-4B: HTTP 403",
        "https://huggingface.co/Qwen/Qwen3-4B/resolve/main/config.json",
        "cannot create Deployment qwen3-4b-engine",
        "gave up on qwen3-4b.",
    ],
)
def test_lines_about_the_case(line: str) -> None:
    assert lines_about(f"before\n{line}\nafter", *NAMES) == line


@pytest.mark.parametrize(
    "line",
    [
        "model qwen3-4b-instruct failed",
        "Failed to download Qwen/Qwen3-4B-Instruct-2507: HTTP 403",
        "model my-qwen3-4b failed",
        "model qwen3-4b.5 failed",
        "model qwen3-4b2 failed",
    ],
)
def test_lines_about_a_namesake(line: str) -> None:
    assert lines_about(line, *NAMES) == ""


@pytest.mark.parametrize(
    ("minutes", "retried", "least", "most"),
    [(10, None, 600, 620), (-10, None, 90, 90), (10, 30, 30, 30)],
    ids=["created by somebody ahead of us", "clock of the cluster ahead", "another try"],
)
def test_what_agents_said_about_an_earlier_model_of_that_name_is_left_out(
    context: OnScript, minutes: int, retried: int | None, least: int, most: int
) -> None:
    created = rfc3339(utc_now() - timedelta(minutes=minutes))
    asked_for: list[int] = []

    def script(asked: Asked) -> Answer:
        if asked.path.endswith("/log"):
            asked_for.append(int(asked.query["sinceSeconds"]))
            return Answer(body=f"{NAME}: failed")
        if asked.path.endswith(f"/clusterbasemodels/{NAME}"):
            model: Json = {"kind": "ClusterBaseModel", "metadata": {"name": NAME, "creationTimestamp": created}}
            return Answer(body=model)
        pods = asked.path.endswith("/pods")
        return listing({"metadata": {"name": "agent"}, "spec": {"nodeName": "n"}}) if pods else listing()

    collector = Collector(context(script), agents_since=retried, case_age=90)
    evidence = collector.collect(StackFailure(Stage.MODEL, "terminal-state", ""), None)
    assert evidence.agent_logs == {"n": f"{NAME}: failed"}
    assert least <= asked_for[0] <= most
