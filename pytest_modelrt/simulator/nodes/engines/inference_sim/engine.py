"""The engine behind the HTTP surface: workers, delays, counters, and what it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.nodes.engines.inference_sim import tools, words
from pytest_modelrt.simulator.nodes.engines.inference_sim.requests import Completion, Refused
from pytest_modelrt.simulator.nodes.engines.inference_sim.settings import Settings

_CLIP = 0.7
"""A random delay differs from its base by at most this share."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says."""

    tokens: tuple[str, ...]
    finish_reason: str
    calls: tuple[tools.Call, ...] = ()

    @property
    def completion_tokens(self) -> int:
        """Tokens as usage counts them."""
        return sum(call.tokens for call in self.calls) if self.calls else len(self.tokens)


@dataclass(slots=True)
class Counters:
    """What the metrics of the later generation count."""

    prompt_tokens: int = 0
    generation_tokens: int = 0
    finished: dict[str, int] = field(default_factory=dict)


class Engine:
    """At most ``max_num_seqs`` requests are worked on at a time; the rest waits in order of arrival."""

    def __init__(self, settings: Settings, clock: Clock, rng: random.Random) -> None:
        self.settings = settings
        self.clock = clock
        self.rng = random.Random(settings.seed) if settings.seed is not None else rng
        self.loras = list(settings.loras)
        self.running = 0
        self.waiting = 0
        self.counters = Counters()
        self.ready_at = clock.monotonic() + settings.startup
        self._workers = asyncio.Semaphore(settings.max_num_seqs)

    @property
    def ready(self) -> bool:
        """Whether the start-up time has passed."""
        return self.clock.monotonic() >= self.ready_at

    @asynccontextmanager
    async def admitted(self, request: Completion) -> AsyncIterator[None]:
        """Wait for a worker and hold it; streams of v0.5.1 need none.

        Raises:
            Refused: the queue of the later generation is full.
        """
        free = request.stream and not self.settings.later
        if not free:
            if self.settings.later and self._workers.locked() and self.waiting >= self.settings.max_waiting:
                text = "Failed to enqueue request, waiting requests queue is full"
                raise Refused(429, "TooManyRequestsError", text)
            self.waiting += 1
            try:
                await self._workers.acquire()
            finally:
                self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            if not free:
                self._workers.release()

    def say(self, request: Completion) -> Reply:
        """The reply, in full."""
        calls = tools.calls_for(request.tools, request.tool_choice, self.rng)
        if calls:
            return Reply((), "tool_calls", calls)
        if self.settings.mode == "echo":
            most = None if self.settings.later else request.most
            said, finish = words.echo_tokens(request.last_user_text, most)
            if self.settings.later and request.most is not None and len(said) >= request.most:
                finish = "length"
            return Reply(tuple(said), finish)
        if request.ignore_eos and request.most is not None:
            count, finish = request.most, "length"
        elif request.most is None and self.settings.later:
            count, finish = words.reply_length(self.settings.max_model_len - request.prompt_tokens, self.rng)
        else:
            count, finish = words.reply_length(request.most, self.rng)
        return Reply(tuple(words.random_tokens(count, self.rng)), finish)

    def first_delay(self, request: Completion) -> float:
        """Cluster seconds to the first token."""
        settings = self.settings
        if settings.first_token:
            return self._varied(settings.first_token, settings.first_token_deviation)
        base = settings.prefill_overhead + request.prompt_tokens * settings.prefill_per_token
        return self._varied(base, settings.prefill_deviation)

    def next_delay(self) -> float:
        """Cluster seconds from one token to the next."""
        return self._varied(self.settings.next_token, self.settings.next_token_deviation)

    def finished(self, request: Completion, reply: Reply) -> None:
        """Count a request that was answered in full."""
        self.counters.prompt_tokens += request.prompt_tokens
        self.counters.generation_tokens += reply.completion_tokens
        counts = self.counters.finished
        counts[reply.finish_reason] = counts.get(reply.finish_reason, 0) + 1

    def _varied(self, base: float, deviation: float) -> float:
        if not base:
            return 0.0
        seconds = self.rng.gauss(base, deviation) if deviation else base
        seconds = min(base * (1 + _CLIP), max(base * (1 - _CLIP), seconds))
        most = self.settings.max_num_seqs
        if most <= 1:
            return seconds
        return seconds * (1 + (self.settings.load_factor - 1) * (self.running - 1) / (most - 1))
