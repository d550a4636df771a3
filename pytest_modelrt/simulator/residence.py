"""The directory a simulator lives in: lock, process id, description, kubeconfig."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

KUBECONFIG = "kubeconfig"
DESCRIPTION = "simulator.json"
PID = "pid"


class OccupiedError(Exception):
    """Another simulator lives in the directory."""


class Residence:
    """A directory held by this process; the lock ends with the process, however it ends."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._lock: IO[str] = (directory / PID).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise OccupiedError(f"another simulator runs in {directory}; stop it, or use another directory") from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    @property
    def kubeconfig(self) -> Path:
        """Where the kubeconfig appears when the cluster is ready."""
        return self.directory / KUBECONFIG

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Say what this simulator is like."""
        self.write(DESCRIPTION, json.dumps({"pid": os.getpid(), **facts}, indent=2) + "\n")

    def write(self, name: str, text: str) -> None:
        """Write a private file so that it appears complete or not at all."""
        temporary = self.directory / f".{name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(self.directory / name)

    def leave(self) -> None:
        """Remove what only a running simulator has; logs and ledger stay."""
        for name in (KUBECONFIG, PID):
            (self.directory / name).unlink(missing_ok=True)
        self._lock.close()


def is_occupied(directory: Path) -> bool:
    """Whether a simulator runs in ``directory``."""
    try:
        with (directory / PID).open("r", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
