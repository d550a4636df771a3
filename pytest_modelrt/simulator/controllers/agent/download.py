"""One download of one model on one node: how long, how far, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_modelrt.clock import Clock, rfc3339, utc_now
from pytest_modelrt.simulator.hub import HubRepo
from pytest_modelrt.simulator.scenario import DownloadScript, HubRule

ATTEMPTS_SECONDS = 1.2
"""Cluster seconds the four tries of a refused request take."""


class DownloadError(Exception):
    """The download failed; the text is the downloader's."""


@dataclass(slots=True)
class Download:
    """A transfer that follows a script."""

    script: DownloadScript
    clock: Clock
    started: float = field(init=False)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _last: Mapping[str, Any] = field(default_factory=dict)
    _last_at: float = 0.0

    def __post_init__(self) -> None:
        self.started = self._last_at = self.clock.monotonic()

    async def run(self) -> bool:
        """Wait for the end of the transfer; returns whether it was completed and not cancelled.

        Raises:
            DownloadError: the script says so.
        """
        seconds = None if self._stalls_for_ever else self._whole / self.clock.speed
        try:
            async with asyncio.timeout(seconds):
                await self.cancelled.wait()
                return False
        except TimeoutError:
            if self.script.error is not None:
                raise DownloadError(_xet(self.script.error)) from None
            return True

    def progress(self) -> Mapping[str, Any]:
        """What the downloader reports now; the last report once nothing moves any more."""
        share = self._share()
        done = int(self.script.total_bytes * share)
        if self._last and done == self._last["completedBytes"]:
            return self._last
        now = self.clock.monotonic()
        before = self._last.get("completedBytes", 0)
        elapsed = now - self._last_at
        self._last = {
            "phase": "downloading" if done else "scanning",
            "totalBytes": self.script.total_bytes,
            "completedBytes": done,
            "totalFiles": self.script.files,
            "completedFiles": int(self.script.files * share),
            "speedBytesPerSec": round((done - before) / elapsed, 1) if elapsed > 0 else 0.0,
            "lastUpdated": rfc3339(utc_now()),
        }
        self._last_at = now
        return self._last

    def finished(self) -> Mapping[str, Any]:
        """A report of everything done."""
        total = self.script.total_bytes
        return {
            "phase": "finalizing",
            "totalBytes": total,
            "completedBytes": total,
            "totalFiles": self.script.files,
            "completedFiles": self.script.files,
            "speedBytesPerSec": 0.0,
            "lastUpdated": rfc3339(utc_now()),
        }

    @property
    def stalls_after(self) -> float | None:
        """Cluster seconds until nothing moves; None: it always moves."""
        return None if self.script.stuck_after is None else self.script.stuck_after * self.script.seconds

    @property
    def _stalls_for_ever(self) -> bool:
        return self.script.stuck_after is not None and self.script.stall_seconds is None

    @property
    def _whole(self) -> float:
        """Cluster seconds from start to end, a stall included."""
        return self.script.seconds + (self.script.stall_seconds or 0.0 if self.script.stuck_after is not None else 0.0)

    def _share(self) -> float:
        elapsed = self.clock.monotonic() - self.started
        seconds = max(self.script.seconds, 0.001)
        stall = self.stalls_after
        if stall is not None and elapsed > stall:
            end = float("inf") if self.script.stall_seconds is None else stall + self.script.stall_seconds
            elapsed = stall if elapsed < end else elapsed - (end - stall)
        return min(1.0, elapsed / seconds)


def refusal(repo: HubRepo, rule: HubRule, *, token: bool, cluster_age: float) -> str | None:
    """The downloader's error if the hub refuses this repository, else None.

    The hub hides missing repositories behind 401 from callers without a token.
    """
    if cluster_age < rule.rate_limited_seconds:
        return _xet("head request failed after 4 attempts: HTTP 429 Too Many Requests")
    if not repo.exists:
        code = "404 Not Found" if token else "401 Unauthorized"
        return _xet(f"list files failed after 4 attempts: HTTP {code}")
    if repo.gated and not token:
        return _xet("head request failed after 4 attempts: HTTP 401 Unauthorized")
    if repo.gated and not rule.licence_accepted:
        return _xet("head request failed after 4 attempts: HTTP 403 Forbidden")
    return None


def _xet(text: str) -> str:
    return text if text.startswith("xet error") else f"xet error 99: {text}"
