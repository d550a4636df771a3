"""One conversation with an engine: sends requests, keeps shortened exchanges, names what went wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from pytest_modelrt.diagnosis.model import ProbeExchange
from pytest_modelrt.plan.model import Case
from pytest_modelrt.probes.model import ProbeResult
from pytest_modelrt.redaction import redact

REQUEST_CHARS = 1200
RESPONSE_CHARS = 2000


class Problem(Exception):
    """The model did not answer sensibly; ``slug`` is the cause (facts: failures E6)."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(f"{slug}: {detail}")
        self.slug = slug
        self.detail = detail


class Refused(Exception):
    """The engine answered with a status of 400 or more."""

    def __init__(self, status: int, text: str, path: str) -> None:
        super().__init__(f"{status} on {path}: {text}")
        self.status = status
        self.text = text
        self.path = path

    def as_problem(self) -> Problem:
        """The cause such a refusal stands for when nobody expected it."""
        said = f"HTTP {self.status} on {self.path}: {error_message(self.text)}"
        if self.status == 503 and "no available workers" in self.text.lower():
            return Problem("router-no-workers", said)
        if self.status == 502:
            return Problem("engine-died-during-inference", said)
        if self.status == 404 and is_unknown_model(self.text):
            return Problem("served-name-mismatch", said)
        if self.status in (404, 405) or "does not appear to be an embedding model" in self.text:
            return Problem("inference-endpoint-mismatch", said)
        return Problem("inference-error", said)


class ProbeSession:
    """Requests of one probe run and what was learnt from them."""

    def __init__(self, client: httpx.Client, case: Case, timeout: float) -> None:
        self.client = client
        self.case = case
        self.timeout = timeout
        self.endpoint = ""
        self.exchanges: list[ProbeExchange] = []
        self.checked: list[str] = []
        self.not_checked: list[str] = []
        self.warnings: list[str] = []
        self.facts: dict[str, object] = {}

    def get(self, path: str) -> Any:
        """Parsed JSON of a GET; see ``_send`` for what is raised."""
        return self._send("GET", path, None)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Parsed JSON of a POST; see ``_send`` for what is raised."""
        return self._send("POST", path, body)

    def ask(self, path: str, body: Mapping[str, object]) -> Any:
        """POST the question that counts: remembers the endpoint, the latency and the token counts.

        Raises:
            Problem: no sensible answer; a refusal is turned into its cause.
            Refused: only for the one 400 a caller may want to handle: a missing chat template.
        """
        self.endpoint = path
        try:
            answer = self.post(path, body)
        except Refused as refusal:
            if lacks_chat_template(refusal):
                raise
            raise refusal.as_problem() from refusal
        self.facts["latency_ms"] = round(self.exchanges[-1].seconds * 1000)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        if isinstance(usage, dict):
            counted = ("prompt_tokens", "completion_tokens")
            self.facts.update({key: usage[key] for key in counted if isinstance(usage.get(key), int)})
        return answer

    def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        """Send one request and keep the exchange.

        Raises:
            Refused: status 400 or more.
            Problem: no answer at all, or one that is not JSON.
        """
        sent = "" if body is None else shorten(json.dumps(body, ensure_ascii=False), REQUEST_CHARS)
        request = self.client.build_request(method, path, json=body, timeout=self.timeout)
        url = redact(str(request.url))
        started = time.perf_counter()
        try:
            response = self.client.send(request)
            text = response.text
        except httpx.HTTPError as error:
            seconds = time.perf_counter() - started
            reason = redact(f"{type(error).__name__}: {error}")
            self.exchanges.append(ProbeExchange(method, url, sent, None, "", seconds, reason))
            raise Problem(slug_of(error), f"no answer on {path} after {seconds:.1f} s: {reason}") from error
        seconds = time.perf_counter() - started
        self.exchanges.append(
            ProbeExchange(method, url, sent, response.status_code, shorten(text, RESPONSE_CHARS), seconds),
        )
        if response.status_code >= 400:
            raise Refused(response.status_code, redact(text), path)
        if not text.strip():
            raise Problem("inference-empty", f"HTTP {response.status_code} on {path} with an empty body")
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Problem("inference-error", f"answer on {path} is not JSON: {shorten(text, 120)!r}") from error

    def result(self, answer: str, problem: Problem | None = None) -> ProbeResult:
        """Everything learnt, as the shared record."""
        return ProbeResult(
            endpoint=self.endpoint,
            answer=shorten(answer, 400),
            checked=tuple(self.checked),
            not_checked=tuple(self.not_checked),
            exchanges=tuple(self.exchanges),
            problem=problem.slug if problem else None,
            detail=shorten(problem.detail, 600) if problem else "",
            warnings=tuple(self.warnings),
            facts=dict(self.facts),
        )


def run(session: ProbeSession, steps: Callable[[ProbeSession], str]) -> ProbeResult:
    """Run ``steps`` (which return the answer for people) and turn a problem or refusal into a result."""
    try:
        return session.result(steps(session))
    except Refused as refusal:
        return session.result("", refusal.as_problem())
    except Problem as problem:
        return session.result("", problem)


NO_TEMPLATE = (
    "tokenizer.chat_template is not set",  # SGLang, through transformers
    "default chat template is no longer allowed",  # vLLM, through transformers 4.44 and later
)


def lacks_chat_template(refusal: Refused) -> bool:
    """Whether this is the one refusal that means: a base model, ask for completions instead."""
    return refusal.status == 400 and any(phrase in refusal.text for phrase in NO_TEMPLATE)


def is_unknown_model(text: str) -> bool:
    """Whether an error body says that the model name in the request is not served."""
    low = text.lower()
    return "model" in low and ("does not exist" in low or "not found" in low)


def error_message(text: str) -> str:
    """The engine's own words in an error body of any of the usual shapes, else the shortened body."""
    try:
        body = json.loads(text)
    except ValueError:
        return shorten(" ".join(text.split()), 300)
    if isinstance(body, dict):
        for holder in (body.get("error"), body):
            if isinstance(holder, dict) and isinstance(holder.get("message"), str):
                return shorten(holder["message"], 300)
        for key in ("error", "detail"):
            if isinstance(body.get(key), str):
                return shorten(body[key], 300)
    return shorten(text, 300)


def slug_of(error: httpx.HTTPError) -> str:
    """The cause a transport error points at; the pod's state may later prove another one."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return "port-forward-broken"
    if isinstance(error, httpx.TimeoutException):
        return "inference-timeout"
    if isinstance(error, httpx.DecodingError):
        return "inference-error"
    return "engine-died-during-inference"


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters of ``text``, redacted, saying how many were left out."""
    text = redact(text)
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 8
    return f"{text[:head]} …[{len(text) - head - tail} characters]… {text[-tail:]}"
