"""Reading the journals of all workers of a run, once or again and again while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_modelrt.journal.files import JournalError
from pytest_modelrt.journal.lines import decode
from pytest_modelrt.journal.model import StageEvent
from pytest_modelrt.journal.rundir import read_info
from pytest_modelrt.journal.trace import CaseTrace, RunView
from pytest_modelrt.journal.writer import PREFIX, SUFFIX


class JournalReader:
    """Follows a run directory: every ``refresh`` reads only what was appended since the last one."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.view = RunView()
        self._offsets: dict[Path, int] = {}
        self._clocks: dict[Path, str] = {}

    def refresh(self) -> list[CaseTrace]:
        """Take in what is new; returns the attempts that came to their verdict. ``view`` is up to date afterwards.

        Raises:
            JournalError: there is no run in that directory.
        """
        self.view.info = read_info(self.run_dir)
        merged: list[tuple[str, str, int, StageEvent]] = []
        for path in sorted(self.run_dir.glob(f"{PREFIX}*{SUFFIX}")):
            for place, event in enumerate(self._new_events(path)):
                # A wall clock may step back; within one file the order of lines is the truth.
                clock = max(self._clocks.get(path, ""), event.time)
                self._clocks[path] = clock
                merged.append((clock, path.name, place, event))
        merged.sort(key=lambda item: item[:3])
        return self.view.add(event for *_, event in merged)

    def _new_events(self, path: Path) -> Iterator[StageEvent]:
        """Whole events after the last one read; a cut last line is left for later, it may still grow."""
        offset = self._offsets.get(path, 0)
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._offsets[path] = offset + end
        for line in data[:end].split(b"\n"):
            if not line.strip():
                continue
            event = _event(line)
            if event is None:
                self.view.torn += 1
            else:
                yield event


def _event(line: bytes) -> StageEvent | None:
    data = decode(line)
    if data is None:
        return None
    try:
        return StageEvent.from_data(data)
    except (KeyError, ValueError, TypeError):
        return None


def read_run(run_dir: Path) -> RunView:
    """The whole run.

    Raises:
        JournalError: there is no run in that directory.
    """
    reader = JournalReader(run_dir)
    reader.refresh()
    return reader.view


__all__ = ["JournalError", "JournalReader", "read_run"]
