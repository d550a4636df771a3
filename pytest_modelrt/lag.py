"""Time stands still while a simulated cluster lags.

A simulated cluster runs many times faster than real time. On a busy machine its event loop gets too little of the
processor to keep up, and a deadline in cluster seconds would book that to a model. So the simulator publishes how far
it is behind, and the suite's clock (``LaggedClock``) leaves that time out. On a real cluster there is nothing of this.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import threading
import time
from pathlib import Path

from pytest_modelrt.clock import Clock, ScaledClock

LAG_FILE = "lag"
"""In the simulator's directory, which the kubeconfig names (``clock.SIMULATOR_EXTENSION``)."""
_RECORD = struct.Struct("=dd")
"""(real seconds lost so far, ``time.monotonic()`` of the last beat); that clock is the machine's, not a process's."""
_BEAT = 0.02
_SLACK = 0.005
_LONGEST = 30.0
"""Real seconds without a beat after which the simulator is not behind but gone, and time goes on."""


class LagMeter:
    """Writes how far an event loop is behind."""

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / LAG_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        self._lost = 0.0
        self._write()

    async def run(self) -> None:
        """Beat until cancelled."""
        try:
            while True:
                began = time.monotonic()
                await asyncio.sleep(_BEAT)
                self._lost += _lateness(began)
                self._write()
        finally:
            os.close(self._file)

    def _write(self) -> None:
        os.pwrite(self._file, _RECORD.pack(self._lost, time.monotonic()), 0)


class LaggedClock:
    """Real time without what a simulator on this machine has lost, times ``speed``; thread-safe."""

    def __init__(self, speed: float, directory: Path) -> None:
        self._real = ScaledClock(speed)
        with (directory / LAG_FILE).open("rb") as file:
            self._record = mmap.mmap(file.fileno(), _RECORD.size, access=mmap.ACCESS_READ)
        self._latest = 0.0

    @property
    def speed(self) -> float:
        """Cluster seconds per real second while the simulator keeps up."""
        return self._real.speed

    def monotonic(self) -> float:
        """Cluster seconds since an arbitrary origin."""
        lost, beat = _RECORD.unpack_from(self._record)
        behind = min(_lateness(beat), _LONGEST)
        self._latest = max(self._latest, self._real.monotonic() - (lost + behind) * self.speed)
        return self._latest

    def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds`` cluster seconds."""
        self.wait(threading.Event(), seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, at most ``seconds`` cluster seconds."""
        ends = self.monotonic() + seconds
        while not event.is_set():
            left = ends - self.monotonic()
            if left <= 0:
                return False
            self._real.wait(event, left)
        return True

    async def asleep(self, seconds: float) -> None:
        """Sleep for ``seconds`` cluster seconds inside an event loop."""
        ends = self.monotonic() + seconds
        while (left := ends - self.monotonic()) > 0:
            await self._real.asleep(left)


def clock_of(speed: float, directory: Path | None) -> Clock:
    """The clock of a cluster: lagged where a simulator on this machine says how far it is behind."""
    if directory is not None and (directory / LAG_FILE).is_file():
        return LaggedClock(speed, directory)
    return ScaledClock(speed)


def _lateness(beat: float) -> float:
    """Real seconds by which the beat after ``beat`` is late by now."""
    return max(0.0, time.monotonic() - beat - _BEAT - _SLACK)
