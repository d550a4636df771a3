"""Counting tokens, and the lengths of replies."""

from __future__ import annotations

import random

import pytest

from pytest_modelrt.simulator.nodes.engines.inference_sim.words import echo_tokens, random_tokens, reply_length, tokens


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Hello, how are you?", 6),
        ("Hello! What is 2+2?", 8),
        ("Привет, мир", 1),
        ("Привет", 0),
        ("", 0),
        ("  leading", 1),
    ],
)
def test_words_and_signs_count(text: str, count: int) -> None:
    assert len(tokens(text)) == count


def test_echo_loses_what_does_not_count() -> None:
    said, finish = echo_tokens("It's 5€ — Привет!", None)
    assert ("".join(said).replace(" ", ""), finish) == ("Its5!", "stop")
    assert echo_tokens("plain text", 1) == (["plain  "], "length")


def test_lengths_without_a_limit() -> None:
    rng = random.Random(1)
    found = [reply_length(None, rng) for _ in range(4000)]
    assert {finish for _, finish in found} == {"stop"}
    lengths = [length for length, _ in found]
    assert (min(lengths) >= 1, max(lengths) <= 128) == (True, True)
    assert 39 < sum(lengths) / len(lengths) < 43


@pytest.mark.parametrize(("most", "mean"), [(5, 3.0), (10, 4.5), (50, 24.0)])
def test_lengths_with_a_limit(most: int, mean: float) -> None:
    """Means measured on v0.5.1, less the six tokens of the prompt."""
    rng = random.Random(2)
    found = [reply_length(most, rng) for _ in range(8000)]
    assert all(1 <= length <= most for length, _ in found)
    assert all((finish == "length") == (length == most) for length, finish in found)
    assert abs(sum(length for length, _ in found) / len(found) - mean) < 0.12 * most


def test_exact_share_of_long_limits() -> None:
    rng = random.Random(3)
    share = sum(reply_length(200, rng) == (200, "length") for _ in range(8000)) / 8000
    assert 0.13 < share < 0.17


def test_texts_have_the_length_asked_for() -> None:
    said = random_tokens(60, random.Random(4))
    assert len(said) == 60
    assert len(tokens("".join(said))) == 60
