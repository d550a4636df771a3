"""The append-only journal of one worker."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.journal.lines import append, encode
from pytest_modelrt.journal.model import EventKind, StageEvent, Verdict

PREFIX = "events-"
SUFFIX = ".jsonl"


class JournalWriter:
    """Appends events to ``events-<worker>.jsonl`` in a run directory; safe between threads, kill-safe between lines."""

    def __init__(self, run_dir: Path, worker: str = "main") -> None:
        self.worker = re.sub(r"[^A-Za-z0-9_-]+", "_", worker) or "main"
        self.path = run_dir / f"{PREFIX}{self.worker}{SUFFIX}"
        self._lock = threading.Lock()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)  # freed when this process ends, however: see ``alive``
        if not _ends_whole(self._descriptor):
            append(
                self._descriptor, b"\n"
            )  # what a killed worker of the same name left must not swallow our first line

    def record(self, event: StageEvent) -> None:
        """Append ``event``, redacted, as written by this worker.

        Raises:
            OSError: the line could not be written.
        """
        line = encode(replace(event, worker=self.worker).as_data())
        with self._lock:
            append(self._descriptor, line)

    def verdict(self, verdict: Verdict) -> None:
        """Append the last line of a case attempt."""
        self.record(
            StageEvent(
                time=verdict.finished or rfc3339(utc_now()),
                kind=EventKind.VERDICT,
                case=verdict.case,
                attempt=verdict.attempt,
                stage=verdict.stage,
                data=verdict.as_data(),
            )
        )

    def close(self) -> None:
        """Close the file; the writer is of no use afterwards."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ends_whole(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
