"""Errors on purpose: by rate, or asked for by a header."""

from __future__ import annotations

from http import HTTPStatus

from pytest_modelrt.simulator.nodes.engines.inference_sim.engine import Engine
from pytest_modelrt.simulator.nodes.engines.inference_sim.requests import Refused

_KINDS: dict[str, tuple[int, str, str, str | None]] = {
    "rate_limit": (
        429,
        "RateLimitError",
        "Rate limit reached for {model} in organization org-xxx on requests per min (RPM): Limit 3, Used 3, "
        "Requested 1.",
        None,
    ),
    "invalid_api_key": (401, "AuthenticationError", "Incorrect API key provided.", None),
    "context_length": (
        400,
        "BadRequestError",
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 4500 tokens.",
        "messages",
    ),
    "server_error": (503, "InternalServerError", "The server is overloaded or not ready yet.", None),
    "invalid_request": (400, "BadRequestError", "Invalid request: missing required parameter 'model'.", "model"),
    "model_not_found": (404, "NotFoundError", "The model '{model}-nonexistent' does not exist.", "model"),
}


def injected(engine: Engine) -> None:
    """Refuse as many requests as ``--failure-injection-rate`` says.

    Raises:
        Refused: this request drew the short straw.
    """
    settings = engine.settings
    if settings.failure_rate and engine.rng.randint(1, 100) <= settings.failure_rate:
        status, kind, text, param = _KINDS[engine.rng.choice(settings.failure_types)]
        raise Refused(status, kind, text.format(model=settings.name), param)


def returned(code: str | None) -> None:
    """Answer with the status header ``X-Return-Error`` asks for.

    Raises:
        Refused: there is such a header.
    """
    if code is None:
        return
    if not code.lstrip("-").isdigit() or not 400 <= int(code) <= 599:
        raise Refused(400, "BadRequestError", f"invalid X-Return-Error header: {code}")
    phrases = {status.value: status.phrase for status in HTTPStatus}
    phrase = phrases.get(int(code), "Error")
    raise Refused(int(code), f"{phrase.replace(' ', '')}Error", phrase)
