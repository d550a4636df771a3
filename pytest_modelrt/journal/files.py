"""Files that survive a kill at any moment: atomic replacement, and a lock between controllers."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pytest_modelrt.clock import Deadline, ScaledClock

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.02


class JournalError(Exception):
    """A file of the journal cannot be used; says which and what to do."""


def atomic_write(path: Path, data: bytes) -> None:
    """Replace ``path`` in one step: a reader sees the old bytes or the new ones, never a part."""
    _replace({path: data})


def write_if_changed(path: Path, data: bytes) -> bool:
    """``atomic_write`` unless the file already says this; returns whether it was written."""
    return bool(replace_changed({path: data}))


def replace_changed(pages: Mapping[Path, bytes]) -> list[Path]:
    """Replace the files that do not say this yet, all at the same moment but for the renaming; returns them."""
    return _replace({path: data for path, data in pages.items() if _differs(path, data)})


def remove_halves(directory: Path) -> None:
    """Remove what killed processes had written beside their files and not yet put in place."""
    for path in directory.glob(".*.tmp"):
        owner = path.name.split(".")[-3]
        if owner.isdigit() and not _lives(int(owner)):
            path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _replace(pages: Mapping[Path, bytes]) -> list[Path]:
    """Write everything beside the files first, then put it in their places."""
    ready: dict[Path, Path] = {}
    try:
        for path, data in pages.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
            ready[path] = temporary
            temporary.write_bytes(data)
        for path, temporary in ready.items():
            os.replace(temporary, path)
    finally:
        for temporary in ready.values():
            temporary.unlink(missing_ok=True)
    return list(ready)


def _differs(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() != data
    except FileNotFoundError:
        return True


@contextmanager
def locked(path: Path, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock file ``path`` against other processes; the kernel frees it when its holder dies.

    The file stays: removing it would let two processes hold two different files of that name.

    Raises:
        JournalError: another process holds it for longer than ``wait`` real seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, path, wait)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, wait: float) -> None:
    clock = ScaledClock()
    deadline = Deadline(clock, wait)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if deadline.expired:
                message = f"{path}: another run has been writing its pages for {wait:.0f} s; wait for it or stop it"
                raise JournalError(message) from None
            clock.sleep(POLL_SECONDS)
        else:
            return
