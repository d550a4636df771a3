"""The command line: what it may say, and what ends the process."""

from __future__ import annotations

import pytest

from pytest_modelrt.simulator.nodes.engines.inference_sim.settings import SettingsError, is_later, parse


def test_defaults() -> None:
    settings = parse(["--model", "model-a"])
    assert (settings.port, settings.mode, settings.max_num_seqs, settings.max_model_len) == (8000, "random", 5, 1024)
    assert settings.served_names == ("model-a",)


def test_values_in_both_spellings() -> None:
    words = ["--port=8080", "--model", "m", "--served-model-name", "x", "y", "--mode", "echo", "--max-num-seqs=2"]
    settings = parse([*words, "--time-to-first-token", "500", "--lora-modules", '{"name":"l1"}', '{"name":"l2"}'])
    assert (settings.port, settings.name, settings.served_names) == (8080, "x", ("x", "y"))
    assert (settings.mode, settings.max_num_seqs, settings.first_token) == ("echo", 2, 0.5)
    assert settings.loras == ("l1", "l2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "model parameter is empty"),
        (["--model", "m", "--mode", "chatty"], "invalid mode 'chatty'"),
        (["--model", "m", "--time-to-first-token", "100ms"], "invalid argument"),
        (["--model", "m", "--port", "many"], "invalid argument"),
        (["--model", "m", "--colour", "red"], "unknown flag: --colour"),
        (["--model"], "flag needs an argument: --model"),
        (["--model", "m", "--max-num-seqs", "0"], "cannot be less than 1"),
        (["--model", "m", "--time-to-first-token", "100", "--time-to-first-token-std-dev", "31"], "more than 30%"),
        (["--model", "m", "--failure-types", "bad_mood"], "invalid failure type"),
    ],
)
def test_mistakes(words: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(words)


def test_durations_with_units_come_with_the_later_generation() -> None:
    words = ["--model", "m", "--time-to-first-token", "1s500ms", "--inter-token-latency", "20"]
    settings = parse(words, later=True)
    assert (settings.first_token, settings.next_token) == (1.5, 0.02)


@pytest.mark.parametrize(
    ("tag", "later"), [("v0.5.1", False), ("v0.4.0", False), ("v0.6.0", True), ("v0.10.2", True), ("latest", True)]
)
def test_the_tag_tells_the_generation(tag: str, later: bool) -> None:
    assert is_later(f"ghcr.io/llm-d/llm-d-inference-sim:{tag}") is later
