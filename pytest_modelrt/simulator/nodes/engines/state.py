"""What the HTTP side of an engine knows about the engine behind it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_modelrt.clock import Clock
from pytest_modelrt.simulator.hub import HubRepo
from pytest_modelrt.simulator.nodes.engines.arguments import EngineArguments, Role
from pytest_modelrt.simulator.nodes.logs import ContainerLog
from pytest_modelrt.simulator.scenario import GenerationRule, HttpRule

_FIRST_ANSWER_SECONDS = 2.0
_ANSWER_SECONDS = 0.5


@dataclass(slots=True)
class EngineState:
    """One served model."""

    arguments: EngineArguments
    repo: HubRepo
    role: Role
    served_name: str
    clock: Clock
    output: ContainerLog
    generation: GenerationRule = field(default_factory=GenerationRule)
    http_rules: tuple[HttpRule, ...] = ()
    note: Callable[[str], None] = lambda what: None
    """Told of every answer that is not the engine's own."""
    ready: bool = False
    died: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a request that kills the engine."""
    created: int = field(default_factory=lambda: int(time.time()))
    requests: Counter[str] = field(default_factory=Counter)
    """Answered requests by path."""
    prompt_tokens: int = 0
    generated_tokens: int = 0

    @property
    def context_length(self) -> int:
        """Tokens a request may have."""
        return self.arguments.context_length or self.repo.context_length

    def die(self) -> None:
        """A request killed the engine."""
        self.ready = False
        self.died.set()

    async def work(self) -> None:
        """Take the time of one answer; the first one compiles kernels."""
        seconds = _ANSWER_SECONDS if self.requests else _FIRST_ANSWER_SECONDS
        await self.clock.asleep(seconds)

    def count(self, prompt_tokens: int, generated_tokens: int = 0) -> None:
        """Add to the metrics."""
        self.prompt_tokens += prompt_tokens
        self.generated_tokens += generated_tokens
