"""Figures of the load test on answers made up here."""

from __future__ import annotations

import itertools
import json

import httpx
import pytest

from pytest_modelrt.stacks.kserve.calls import AUTH_FAILED, Reply
from pytest_modelrt.stacks.kserve.load import AUTH_KIND, Figures, measure, percentile


def _plain(status: int = 200, tokens: int = 7, seconds: float = 2.0) -> Reply:
    text = json.dumps({"usage": {"completion_tokens": tokens}})
    return Reply("POST", "/v1/chat/completions", status, {}, text, 0.0, seconds)


def _measure(replies: list[Reply | Exception], *, stream: bool = False) -> Figures:
    turn, ticks = iter(replies), itertools.count(0.0, 10.0)

    def send() -> Reply:
        reply = next(turn)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return measure(
        send, way="direct", model="m", at_once=1, requests=len(replies), stream=stream, now=lambda: next(ticks)
    )


def test_throughput_and_tokens_count_answers_only() -> None:
    refused = Reply("POST", "/v1/chat/completions", 500, {}, f"{AUTH_FAILED}\n", 0.0, 1.0)
    figures = _measure([_plain(), _plain(), _plain(503), httpx.ReadTimeout("late"), refused])
    assert (figures.answered, figures.seconds, figures.throughput) == (2, 10.0, 0.2)
    assert figures.tokens_per_second == 1.4
    assert figures.errors == {AUTH_KIND: 1, "503": 1, "ReadTimeout": 1}


def test_a_stream_gives_the_time_to_its_first_token_and_counts_its_pieces() -> None:
    events = [
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        *[{"choices": [{"delta": {"content": "a"}}]}] * 5,
    ]
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    figures = _measure([Reply("POST", "/", 200, {}, text, 1.0, 4.0, (1.5, 2.0))], stream=True)
    assert (figures.first_token_p50, figures.p50, figures.tokens_per_second) == (0.5, 3.0, 0.5)


def test_nothing_answered_gives_no_figures() -> None:
    figures = _measure([_plain(429)])
    assert (figures.p50, figures.tokens_per_second, figures.errors) == (None, None, {"429": 1})


@pytest.mark.parametrize(("percent", "expected"), [(50, 5.0), (95, 10.0), (99, 10.0), (10, 1.0)])
def test_percentiles_are_values_that_were_measured(percent: float, expected: float) -> None:
    assert percentile([float(number) for number in range(10, 0, -1)], percent) == expected
