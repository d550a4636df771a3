"""What a probe is asked and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from pytest_modelrt.diagnosis.model import ProbeExchange
from pytest_modelrt.plan.model import Case


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found. ``problem`` is None when the model answered sensibly."""

    endpoint: str
    """Path that answered: ``/v1/chat/completions``."""
    answer: str
    """Shortened answer for people."""
    checked: tuple[str, ...]
    not_checked: tuple[str, ...]
    exchanges: tuple[ProbeExchange, ...]
    problem: str | None = None
    """Slug of a cause: ``inference-empty``, ``served-name-mismatch``, ... (facts: failures E6)."""
    detail: str = ""
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    """latency_ms, prompt_tokens, completion_tokens, dimensions, ..."""


class Probe(Protocol):
    """One per kind; stateless."""

    def __call__(self, client: httpx.Client, case: Case, *, timeout: float) -> ProbeResult:
        """Ask the model and judge the answer.

        Args:
            client: bound to the engine (or router); its base URL is the server's root.
            case: whose served name, template flag and input kind decide the request.
            timeout: real seconds for one request.
        """
