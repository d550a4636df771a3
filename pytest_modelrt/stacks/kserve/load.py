"""Figures of a model under load: throughput, latencies, time to first token, tokens per second, kinds of errors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from pytest_modelrt.stacks.kserve.calls import Reply

AUTH_KIND = "500 authentication"
"""The gateway could not authenticate, however often it was asked."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One step of a load test. Times are cluster seconds; None: no request gave the figure."""

    way: str
    model: str
    at_once: int
    stream: bool
    requests: int
    answered: int
    seconds: float
    """From the first request to the last answer."""
    throughput: float
    """Answers per second."""
    p50: float | None
    p95: float | None
    p99: float | None
    first_token_p50: float | None
    """Streams only."""
    first_token_p95: float | None
    tokens_per_second: float | None
    """Completion tokens of all answers together."""
    errors: dict[str, int]
    """Kind -> count: an HTTP status, ``AUTH_KIND``, or the name of an exception."""

    def as_data(self) -> dict[str, Any]:
        """JSON-able."""
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class _Sample:
    reply: Reply | None
    error: str = ""


def measure(
    send: Callable[[], Reply],
    *,
    way: str,
    model: str,
    at_once: int,
    requests: int,
    stream: bool,
    now: Callable[[], float],
) -> Figures:
    """Send ``requests``, ``at_once`` at any time, and count.

    Args:
        send: makes one request.
        way: how it travels, for the table.
        model: who answers, for the table.
        at_once: requests under way at any time.
        requests: all of them.
        stream: whether the answers are streams.
        now: the cluster's clock.
    """
    began = now()
    with ThreadPoolExecutor(at_once) as pool:
        samples = list(pool.map(lambda _: _sample(send), range(requests)))
    seconds = max(now() - began, 1e-9)
    good = [sample.reply for sample in samples if sample.reply is not None and not sample.error]
    latencies = [reply.seconds for reply in good]
    first = [reply.chunks[0] - reply.began for reply in good if reply.chunks] if stream else []
    tokens = sum(_tokens(reply, stream=stream) for reply in good)
    return Figures(
        way=way,
        model=model,
        at_once=at_once,
        stream=stream,
        requests=requests,
        answered=len(good),
        seconds=seconds,
        throughput=len(good) / seconds,
        p50=percentile(latencies, 50),
        p95=percentile(latencies, 95),
        p99=percentile(latencies, 99),
        first_token_p50=percentile(first, 50),
        first_token_p95=percentile(first, 95),
        tokens_per_second=tokens / seconds if tokens else None,
        errors=dict(sorted(Counter(sample.error for sample in samples if sample.error).items())),
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that ``percent`` of all do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _sample(send: Callable[[], Reply]) -> _Sample:
    try:
        reply = send()
    except httpx.HTTPError as error:
        return _Sample(None, type(error).__name__)
    if reply.auth_failed:
        return _Sample(reply, AUTH_KIND)
    return _Sample(reply, "" if reply.status == httpx.codes.OK else str(reply.status))


def _tokens(reply: Reply, *, stream: bool) -> int:
    """Completion tokens: as the answer says, or the pieces of text of a stream that does not."""
    if not stream:
        return int(reply.data["usage"]["completion_tokens"])
    events = reply.events
    told = [event["usage"] for event in events if event.get("usage")]
    if told:
        return int(told[-1]["completion_tokens"])
    return sum(1 for event in events for choice in event["choices"] if choice["delta"].get("content"))
