"""Starts a simulated cluster as a child process, and ends it with its parent however that ends.

The child inherits the reading end of a pipe whose writing end only this process holds: when this process dies, even
by SIGKILL, the child reads end-of-file and exits. A second pipe tells when the cluster is ready.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
LOG_NAME = "simulator.log"
KUBECONFIG_NAME = "kubeconfig"
_TAIL_LINES = 15


class SimulatorError(Exception):
    """The simulated cluster did not start or did not stop; the text says what its log said last."""


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What a simulated cluster is like. ``None`` leaves it to the simulator."""

    speed: float = 60.0
    """Cluster seconds per real second."""
    seed: int | None = None
    config_dir: Path | None = None
    """Config tree with the plan and the scenarios."""
    scenario: str | None = None
    """Name of a scenario of the config tree, or a file."""
    nodes: int | None = None
    gpus_per_node: int | None = None
    profile: str | None = None
    """Release of the platform to behave like."""
    apiserver: Path | None = None
    """Kubeconfig of an API server to use instead of an own one."""
    without: Sequence[str] = ()
    """Workload controllers to leave out, by plural, because that API server has them."""
    platforms: Sequence[str] = ()
    """What to install, by name; empty: everything there is."""

    def arguments(self) -> list[str]:
        """Command line words for the simulator."""
        words = ["--speed", f"{self.speed:g}"]
        named = {
            "--seed": self.seed,
            "--config": self.config_dir,
            "--scenario": self.scenario,
            "--nodes": self.nodes,
            "--gpus-per-node": self.gpus_per_node,
            "--profile": self.profile,
            "--apiserver": self.apiserver,
            "--without": ",".join(self.without) or None,
            "--platforms": ",".join(self.platforms) or None,
        }
        for option, value in named.items():
            if value is not None:
                words += [option, str(value)]
        return words


class SimulatorProcess:
    """A running simulator, owned by this process; usable as a context manager."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], ready_fd: int, alive_fd: int) -> None:
        self.directory = directory
        self._process = process
        self._ready_fd: int | None = ready_fd
        self._alive_fd: int | None = alive_fd

    @property
    def kubeconfig(self) -> Path:
        """There once the cluster is ready."""
        return self.directory / KUBECONFIG_NAME

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_ready(self, timeout: float = READY_SECONDS) -> Path:
        """Wait until the cluster is ready (real seconds); returns the kubeconfig.

        Raises:
            SimulatorError: it ended, or is not ready in time.
        """
        if self._ready_fd is not None:
            try:
                _await_ready(self._ready_fd, timeout, self.directory / LOG_NAME)
            except SimulatorError:
                self.stop()
                raise
            os.close(self._ready_fd)
            self._ready_fd = None
        return self.kubeconfig

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """End the process, by force after ``timeout`` real seconds; fine if it has ended already."""
        for name in ("_ready_fd", "_alive_fd"):
            descriptor = getattr(self, name)
            if descriptor is not None:
                os.close(descriptor)
                setattr(self, name, None)
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> SimulatorProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def start(
    directory: Path,
    *,
    speed: float = 60.0,
    seed: int | None = None,
    config_dir: Path | None = None,
    scenario: str | None = None,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    profile: str | None = None,
    apiserver: Path | None = None,
    platforms: Sequence[str] = (),
) -> SimulatorProcess:
    """Start a simulator that lives in ``directory`` and ends with this process; does not wait until it is ready."""
    options = SimulatorOptions(
        speed, seed, config_dir, scenario, nodes, gpus_per_node, profile, apiserver, platforms=platforms
    )
    alive_reader, alive_writer = os.pipe()
    try:
        process, ready_reader = _spawn(
            directory, [*options.arguments(), "--parent-fd", str(alive_reader)], inherit=alive_reader
        )
    except BaseException:
        os.close(alive_writer)
        raise
    finally:
        os.close(alive_reader)
    return SimulatorProcess(directory, process, ready_reader, alive_writer)


def start_detached(directory: Path, options: SimulatorOptions, timeout: float = READY_SECONDS) -> int:
    """Start a simulator that outlives this process, and wait until it is ready; returns its process id.

    Raises:
        SimulatorError: it ended, or is not ready in time (then it is ended).
    """
    process, ready_reader = _spawn(directory, options.arguments(), detach=True)
    try:
        _await_ready(ready_reader, timeout, directory / LOG_NAME)
    except SimulatorError:
        process.kill()
        process.wait()
        raise
    finally:
        os.close(ready_reader)
    process.returncode = 0  # its end is not ours to wait for
    return process.pid


def _spawn(
    directory: Path, arguments: Sequence[str], *, inherit: int | None = None, detach: bool = False
) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and the descriptor that becomes readable when it is ready or has ended."""
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (directory / KUBECONFIG_NAME).unlink()
    ready_reader, ready_writer = os.pipe()
    command = [sys.executable, "-m", "pytest_modelrt.simulator", "--directory", str(directory.resolve()), *arguments]
    try:
        with (directory / LOG_NAME).open("ab") as log:
            process = subprocess.Popen(
                [*command, "--ready-fd", str(ready_writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[ready_writer] if inherit is None else [ready_writer, inherit],
                start_new_session=True,
                cwd=directory if detach else None,
            )
    except BaseException:
        os.close(ready_reader)
        raise
    finally:
        os.close(ready_writer)
    return process, ready_reader


def _await_ready(descriptor: int, timeout: float, log: Path) -> None:
    readable, _, _ = select.select([descriptor], [], [], timeout)
    if not readable:
        raise SimulatorError(f"the simulated cluster is not ready after {timeout:g} s; {_tail(log)}")
    if not os.read(descriptor, 1):
        raise SimulatorError(f"the simulated cluster ended while starting; {_tail(log)}")


def _tail(log: Path) -> str:
    """The end of the log, for an error message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    if not lines:
        return f"its log {log} is empty"
    return "\n".join([f"the end of {log}:", *(f"  {line}" for line in lines)])
