"""The simulated cluster of a run: started when the first case is known, stopped when the run ends."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_modelrt.session.run import Run, simulator_directory

if TYPE_CHECKING:
    from pytest_modelrt.launcher import SimulatorProcess


class SimulatedCluster:
    """A simulator process that belongs to this run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._directory = simulator_directory(run.run_id)
        self._process: SimulatorProcess | None = None

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            pytest.UsageError: its directory is taken.
            SimulatorError: it does not start; says what its log said.
        """
        from pytest_modelrt import launcher

        try:
            self._directory.mkdir(mode=0o700)
        except OSError as error:
            raise pytest.UsageError(f"{self._directory}: {error.strerror}; choose another --modelrt-run-id") from None
        settings = self._run.settings
        self._process = launcher.start(
            self._directory,
            speed=settings.speed,
            seed=settings.seed,
            config_dir=settings.config,
            scenario=settings.scenario,
            nodes=settings.nodes,
            profile=settings.profile,
        )
        self._process.wait_ready()

    @property
    def started(self) -> bool:
        """Whether there is a process: without one, nothing was created anywhere."""
        return self._process is not None

    def stop(self) -> None:
        """Stop it and remove its files."""
        if self._process is not None:
            self._process.stop()
            self._process = None
            shutil.rmtree(self._directory, ignore_errors=True)
