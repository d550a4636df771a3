"""JSON requests that ride out an API server that is away: rate limit, errors as ApiError, patience."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import tenacity
import urllib3
from urllib3.exceptions import HTTPError

from pytest_modelrt.clock import Clock, ScaledClock
from pytest_modelrt.cluster.availability import Availability
from pytest_modelrt.cluster.connection import Connection, Query, Request, Unreachable
from pytest_modelrt.cluster.model import ApiError, ApiUnavailable, Object
from pytest_modelrt.redaction import redact

_T = TypeVar("_T")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Cluster seconds between attempts, doubling."""
_SHORTEST_REAL_PAUSE = 0.05
"""Real seconds: a fast simulated clock must not turn patience into a storm."""
_FEWEST_ATTEMPTS = 3
_MAX_BODY = 64 * 1024 * 1024
_REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests", 500: "InternalError"}
"""Reasons of answers that are no Status: unknown paths, and proxies in front of the API server."""

_NOT_THE_SERVER = ("webhook", "typed patch", ":10250/", "containerlogs")


class _Away(ApiUnavailable):
    """One attempt got no usable answer."""

    def __init__(self, message: str, retry_after: float | None = None, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.throttled = throttled


class Stopped(Exception):
    """The caller's stop event was set while a request waited for the API server to come back."""


class RateLimit:
    """A token bucket in front of the API server, as wide as kubectl's; thread-safe."""

    def __init__(self, clock: Clock, per_second: float = 50.0, burst: float = 300.0) -> None:
        self._clock = clock
        self._rate = per_second
        self._burst = burst
        self._tokens = burst
        self._at = clock.monotonic()
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Take one token, waiting for it if need be."""
        with self._lock:
            now = self._clock.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1
            self._at = now
            wait = -self._tokens / self._rate
        if wait > 0:
            self._clock.sleep(wait)


class Api:
    """Requests to one API server; thread-safe."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        *,
        tolerate: float,
        limit: RateLimit | None = None,
    ) -> None:
        self.connection = connection
        self.clock = clock
        self.availability = Availability(clock)
        self._tolerate = tolerate
        self._limit = limit or RateLimit(ScaledClock())

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        stop: threading.Event | None = None,
        tolerate: float | None = None,
    ) -> Object:
        """The decoded answer; raises ApiError for a refusal, ApiUnavailable after ``tolerate`` cluster seconds."""
        encoded = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        request = Request(method, path, query, encoded, content_type, accept)
        raw = self._persist(lambda: self._read(request), stop, tolerate)
        try:
            decoded = json.loads(raw)
        except ValueError as error:
            raise ApiError(502, "BadAnswer", f"{method} {path}: the answer is not JSON") from error
        if not isinstance(decoded, dict):
            raise ApiError(502, "BadAnswer", f"{method} {path}: the answer is not an object")
        return decoded

    def text(self, path: str, *, query: Query, limit: int) -> str:
        """At most ``limit`` bytes of a plain-text answer, undecodable bytes replaced."""
        request = Request("GET", path, query, accept="*/*")
        return self._persist(lambda: self._read(request, limit)).decode("utf-8", "replace")

    def stream(self, request: Request, stop: threading.Event | None = None) -> urllib3.BaseHTTPResponse:
        """An open answer with a status below 400; the caller reads and closes it."""
        return self._persist(lambda: self._open(request), stop)

    def _open(self, request: Request) -> urllib3.BaseHTTPResponse:
        self._limit.acquire()
        try:
            response = self.connection.open(request)
        except Unreachable as error:
            raise _Away(str(error)) from error
        if response.status < 400:
            self.availability.succeeded()
            return response
        try:
            content = response.read(_MAX_BODY)
        except (HTTPError, OSError) as error:
            raise _Away(f"{self.connection.server}: {redact(str(error))}") from error
        finally:
            response.close()
        error_ = api_error(response.status, content)
        if is_transient(error_):
            header = response.headers.get("Retry-After", "")
            retry_after = float(header) if header.isdigit() else None
            message = f"{self.connection.server}: {error_.code} {error_.message}"
            raise _Away(message, retry_after, throttled=error_.code == 429)
        self.availability.succeeded()
        raise error_

    def _read(self, request: Request, limit: int | None = None) -> bytes:
        response = self._open(request)
        whole = False
        try:
            content: bytes = response.read(limit or _MAX_BODY)
            whole = limit is None
            return content
        except (HTTPError, OSError) as error:
            raise _Away(f"{self.connection.server}: {redact(str(error))}") from error
        finally:
            if whole:
                response.release_conn()
            else:
                response.close()

    def _persist(
        self, attempt: Callable[[], _T], stop: threading.Event | None = None, tolerate: float | None = None
    ) -> _T:
        patience = _Patience(self.clock, self.availability, self._tolerate if tolerate is None else tolerate, stop)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Away),
            before=patience.check,
            wait=patience.pause,
            stop=patience.over,
            sleep=patience.sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except _Away as error:
            raise ApiUnavailable(f"the API server is away for {patience.waited:.0f} s: {error}") from error


class _Patience:
    """The tenacity policies of one request: how long, how often, and what others may know of it."""

    def __init__(self, clock: Clock, availability: Availability, tolerate: float, stop: threading.Event | None) -> None:
        self._clock = clock
        self._availability = availability
        self._tolerate = tolerate
        self._stop = stop
        self._failed_at: float | None = None

    @property
    def waited(self) -> float:
        """Cluster seconds since the first failed attempt."""
        return 0.0 if self._failed_at is None else self._clock.monotonic() - self._failed_at

    def check(self, _: tenacity.RetryCallState) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped

    def over(self, state: tenacity.RetryCallState) -> bool:
        if self._failed_at is None:
            self._failed_at = self._clock.monotonic()
        error = _error_of(state)
        if error.throttled:
            self._availability.throttled += 1
        else:
            self._availability.failed()
        return self.waited >= self._tolerate and state.attempt_number >= _FEWEST_ATTEMPTS

    def pause(self, state: tenacity.RetryCallState) -> float:
        doubling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (state.attempt_number - 1))
        wanted = _error_of(state).retry_after or doubling
        left = max(self._tolerate - self.waited, 0.0)  # one attempt at the very end, before giving up
        return max(min(wanted, left), _SHORTEST_REAL_PAUSE * self._clock.speed)

    def sleep(self, seconds: float) -> None:
        self._clock.wait(self._stop or threading.Event(), seconds)


def _error_of(state: tenacity.RetryCallState) -> _Away:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, _Away)
    return error


def api_error(code: int, content: bytes) -> ApiError:
    """What a refusal says: a Status object, or the plain text some paths answer with."""
    try:
        status = json.loads(content)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = content[:300].decode("utf-8", "replace").strip()
        if code == 404:
            text = "the server could not find the requested resource"
        return ApiError(code, _REASONS.get(code, ""), redact(text) or f"HTTP {code}")
    message = redact(str(status.get("message") or f"HTTP {code}"))
    return ApiError(code, str(status.get("reason") or ""), message, status.get("details") or {})


def is_transient(error: ApiError) -> bool:
    """Whether the API server itself is in trouble, as opposed to refusing this one request.

    A 500 is read closely: a webhook that is down, a document that fits no schema and a node that does not answer for
    its logs come as 500 too, and the API server is well.
    """
    if error.code in (429, 502, 503, 504):
        return True
    if error.code != 500:
        return False
    message = error.message.lower()
    if any(words in message for words in _NOT_THE_SERVER):
        return False
    signs = ("etcdserver", "timed out", "timeout", "connection refused", "leader changed")
    return error.reason == "InternalError" or any(sign in message for sign in signs)
