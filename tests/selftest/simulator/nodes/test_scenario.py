"""Scenario files, the duration model and the hub."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import pytest
import yaml

from pytest_modelrt.plan.problems import ConfigError
from pytest_modelrt.simulator import durations
from pytest_modelrt.simulator.fleet import node_names
from pytest_modelrt.simulator.hub import Hub
from pytest_modelrt.simulator.scenario import Scenario
from tests.selftest.simulator.nodes.lab import CONFIG, case_named, plan_cases, scenario_of

HUB = Hub.load(CONFIG)


def test_every_mistake_is_reported_with_its_line_and_field(tmp_path: Path) -> None:
    text = """seed: 3
platform: v9
models:
- match: phi-*
  download: stuc
  startup: {crash: {log: boom, at: nowhere}, seconds: -3, bogus: 1}
- vendor: meta
  http: [{status: "500"}]
timeline: {}
"""
    with pytest.raises(ConfigError) as caught:
        scenario_of(text, tmp_path)
    found = {(problem.line, problem.field) for problem in caught.value.problems}
    assert found == {
        (2, "platform"),
        (5, "models[0].download"),
        (6, "models[0].startup.crash.at"),
        (6, "models[0].startup.seconds"),
        (6, "models[0].startup.bogus"),
        (8, "models[1].http[0].status"),
        (8, "models[1].http[0]"),
        (9, "timeline"),
    }


@pytest.mark.parametrize("text", ["a: [", "- 1", "\tx: 1", "a: 1\na: 2", "x\n---\ny"])
def test_what_is_no_scenario_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        scenario_of(text, tmp_path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"realistic, .*, sunny"):
        Scenario.load("cloudy", directory=CONFIG / "scenarios")


def test_the_documented_example_is_a_valid_scenario(tmp_path: Path) -> None:
    page = (CONFIG / "scenarios" / "README.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert len(scenario_of(example, tmp_path).file.models) == len(yaml.safe_load(example)["models"])


def test_answers_do_not_depend_on_the_order_of_questions() -> None:
    questions = [(case.resource_name, case.hub_id, node) for case in plan_cases()[:30] for node in node_names(4)]
    asked = Scenario(hub=HUB, seed=5)
    straight = {question: asked.download(*question) for question in questions}
    random.Random(1).shuffle(questions)
    again = Scenario(hub=HUB, seed=5)
    assert {question: again.download(*question) for question in questions} == straight
    other = Scenario(hub=HUB, seed=6)
    assert {question: other.download(*question) for question in questions} != straight


def test_the_sunny_day_has_no_trouble_and_no_long_tails() -> None:
    sunny = Scenario(hub=HUB)
    for case in plan_cases():
        download = sunny.download(case.resource_name, case.hub_id, "gpu-node-01")
        assert (download.error, download.stuck_after, download.queued) == (None, None, False)
        assert download.seconds <= 1200
        startup = sunny.startup(case.resource_name, case.hub_id, case.gpus)
        assert (startup.crash, startup.hang) == (None, None)
        assert 10 <= startup.seconds <= 300


@pytest.mark.parametrize(
    ("service", "gigabytes", "median"),
    [("calm", 16, 64), ("calm", 140, 236), ("crowded", 16, 316), ("crowded", 140, 487)],
)
def test_cold_downloads_have_the_medians_of_the_record(service: str, gigabytes: int, median: float) -> None:
    model = durations.DOWNLOAD_MODELS[service]
    drawn = [durations.cold_seconds(model, 1, f"m{n}", "a", gigabytes * 10**9) for n in range(2000)]
    assert statistics.median(drawn) == pytest.approx(median, rel=0.15)
    assert min(drawn) >= gigabytes / 1.75
    assert max(drawn) <= 3600


def test_start_ups_have_the_medians_of_the_record() -> None:
    model = durations.STARTUP_MODELS["recorded"]
    for billions, median in ((1, 50), (8, 86), (70, 154), (400, 246)):
        drawn = [durations.startup_seconds(model, 1, f"m{n}", billions * 1e9) for n in range(2000)]
        assert statistics.median(drawn) == pytest.approx(median, rel=0.1)


def test_faults_hit_the_nodes_and_tries_they_name(tmp_path: Path) -> None:
    scenario = scenario_of(
        """
        models:
        - {match: a, download: {error: HTTP 403, nodes_failed: 2, tries: 1}}
        - {match: b, download: {stuck_at: 0.5, nodes: [gpu-node-03]}}
        - {match: c, download: queued}
        - {match: "*", vendor: acme, download: cached}
        - {match: d, download: {bytes_per_second: 5000000}}
        """,
        tmp_path,
    )
    failed = [node for node in node_names(5) if scenario.download("a", "x/a", node).error]
    assert failed == ["gpu-node-01", "gpu-node-02"]
    assert scenario.download("a", "x/a", "gpu-node-01", attempt=2).error is None
    assert [scenario.download("b", "x/b", node).stuck_after for node in node_names(3)] == [None, None, 0.5]
    assert scenario.download("c", "x/c", "gpu-node-09").queued
    assert scenario.download("z", "acme/z", "gpu-node-01").cached
    assert not scenario.download("z", "acmee/z", "gpu-node-01").queued
    slow = scenario.download("d", "x/qwen2-7b", "gpu-node-01")
    assert slow.seconds == pytest.approx(slow.total_bytes / 5e6)


def test_realistic_breaks_what_the_facts_call_broken_and_nothing_else() -> None:
    realistic = Scenario.load("realistic", HUB, directory=CONFIG / "scenarios")
    broken = set()
    for case in plan_cases():
        argv = [word for argument in case.serving.extra_args for word in argument.split()]
        start = realistic.startup(case.resource_name, case.hub_id, case.gpus, argv=argv)
        said = realistic.generation(case.resource_name, case.hub_id)
        if start.crash or start.hang or said.text or not realistic.hub_rule(case.resource_name, "").licence_accepted:
            broken.add(case.resource_name)
    assert broken == {
        "baichuan2-13b-chat",
        "chatglm2-6b",
        "grok-1",
        "llama-3-1-405b-instruct-fp8",
        "minicpm-v-2-6",
        "nvidia-nemotron-nano-9b-v2",
        "phi-1-5",
        "phi-2",
        "phi-3-vision-128k-instruct",
        "stablelm-tuned-alpha-7b",
        "tele-flm",
    }


def test_the_hub_knows_the_plan_and_guesses_the_rest() -> None:
    known = HUB.repo("hf://Qwen/Qwen3-8B@main")
    assert (known.known, known.architecture, known.weights_bytes) == (
        True,
        "Qwen3ForCausalLM",
        case_named("qwen3-8b").weights_bytes,
    )
    guess = HUB.repo("acme/Foo-Embedding-0.6B")
    assert (guess.known, guess.probe.value, guess.parameters) == (False, "embedding", 0.6e9)
    assert HUB.repo("acme/Mixtral-8x7B-Instruct").architecture == "MixtralForCausalLM"
    assert HUB.repo("acme/thing-70b-fp8").quantization == "fp8"
