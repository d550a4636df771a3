"""Results over runs: ``results.jsonl``, one line per attempt, the only source of the pages about all models.

Appending is the only write of a run: a kill loses at most the line in flight. The beginning of the file is a header
with the schema. The latest verdict of a case is found by reading; all attempts stay as history.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pytest_modelrt.journal.files import JournalError, atomic_write, locked
from pytest_modelrt.journal.lines import append, decode, encode
from pytest_modelrt.journal.model import Outcome, RunInfo, Stage, Verdict
from pytest_modelrt.journal.trace import CaseTrace
from pytest_modelrt.plan.model import Case

SCHEMA = 1
FILE = "results.jsonl"
LOCK = ".results.lock"
BACKUP = "results.jsonl.bak"
KIND = "pytest-modelrt results"
COMPACT_BYTES = 32 * 1024 * 1024
"""From here on, old attempts lose exchanges and repairs when a run opens the store; verdicts stay."""
NO_VERDICT = (Outcome.NOT_RUN, Outcome.CARRIED_OVER)
"""Outcomes that say nothing new and replace no earlier verdict."""


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt at a case, with what pages show of it."""

    case: str
    vendor: str
    name: str
    resource_name: str
    hub_id: str
    size: str
    type: str
    gpus: str
    run_id: str
    simulated: bool
    cluster: str
    runner: str
    """Program and worker: ``pytest-modelrt 0.1.0 (gw3)``."""
    verdict: Verdict
    exchanges: tuple[Mapping[str, Any], ...] = ()
    repairs: tuple[Mapping[str, Any], ...] = ()
    runtime_name: str = ""
    framework_version: str = ""
    """Version of transformers the model was saved with."""
    speed: float = 1.0
    """Cluster seconds per real second of the run."""
    image: str = ""
    """Of the engine, as the plan names it; empty: not known."""
    hidden_download: float = 0.0
    """Cluster seconds of the download that passed before the case began."""

    def __hash__(self) -> int:
        return hash((self.case, self.run_id, self.verdict.started, self.verdict.attempt))

    @property
    def key(self) -> str:
        """Stable over renamed rows: vendor folder, object name and hub id."""
        return key_of(self.vendor, self.resource_name, self.hub_id)

    @property
    def download(self) -> float | None:
        """Cluster seconds of the download, with what passed before the case began; None: it did not come to that."""
        waited = self.verdict.stages.get(Stage.MODEL)
        return None if waited is None else waited + self.hidden_download

    def as_data(self) -> dict[str, Any]:
        """JSON-able."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        return {"schema": SCHEMA, "key": self.key, **data, "verdict": self.verdict.as_data()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Result:
        """The result of ``as_data``; unknown keys of later schemas are ignored.

        Raises:
            KeyError, ValueError, TypeError: not a result.
        """
        known = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        known["verdict"] = Verdict.from_data(known["verdict"])
        for name in ("exchanges", "repairs"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)


def key_of(vendor: str, resource_name: str, hub_id: str) -> str:
    """The key of a model over all runs and pages."""
    return f"{vendor}/{resource_name}@{hub_id}"


def result_of(case: Case, trace: CaseTrace, run: RunInfo) -> Result:
    """The result of a judged attempt.

    Raises:
        ValueError: the attempt has no verdict.
    """
    if trace.verdict is None:
        raise ValueError(f"{trace.case}: no verdict yet")
    return Result(
        case=case.id,
        vendor=case.vendor,
        name=case.name,
        resource_name=case.resource_name,
        hub_id=case.hub_id,
        size=case.size,
        type=case.type,
        gpus=case.gpus_text,
        run_id=run.run_id,
        simulated=run.simulated,
        cluster=run.cluster,
        speed=run.speed,
        runner=f"pytest-modelrt {run.version} ({trace.worker})",
        verdict=trace.verdict,
        exchanges=tuple(trace.exchanges),
        repairs=tuple(trace.repairs),
        runtime_name=case.runtime_name,
        framework_version=case.framework_version,
        image=case.serving.image,
        hidden_download=trace.hidden_download,
    )


def result_without_plan(trace: CaseTrace, run: RunInfo) -> Result:
    """The result of a judged attempt at something that is no row of the plan, for example behind a gateway.

    Raises:
        ValueError: the attempt has no verdict.
    """
    if trace.verdict is None:
        raise ValueError(f"{trace.case}: no verdict yet")
    vendor, _, name = trace.case.rpartition("/")
    return Result(
        case=trace.case,
        vendor=vendor or "-",
        name=name,
        resource_name=name,
        hub_id=trace.case,
        size="-",
        type="-",
        gpus="-",
        run_id=run.run_id,
        simulated=run.simulated,
        cluster=run.cluster,
        speed=run.speed,
        runner=f"pytest-modelrt {run.version} ({trace.worker})",
        verdict=trace.verdict,
        exchanges=tuple(trace.exchanges),
        repairs=tuple(trace.repairs),
    )


@dataclass(slots=True)
class History:
    """All attempts at one case, oldest first; never empty."""

    attempts: list[Result] = field(default_factory=list)

    @property
    def latest(self) -> Result:
        """The attempt that speaks for the case: the last one that was not merely left out."""
        telling = [result for result in self.attempts if result.verdict.outcome not in NO_VERDICT]
        return (telling or self.attempts)[-1]

    @property
    def first_seen(self) -> Result:
        """The first attempt of the unbroken series with the latest outcome and cause."""
        latest = self.latest
        first = latest
        for result in reversed(self.attempts):
            if result.verdict.outcome in NO_VERDICT:
                continue
            if (result.verdict.outcome, result.verdict.cause) != (latest.verdict.outcome, latest.verdict.cause):
                break
            first = result
        return first


class ResultsStore:
    """The results in a reports directory."""

    def __init__(self, reports: Path) -> None:
        self.path = reports / FILE
        self.by_key: dict[str, History] = {}
        self.attempts: list[Result] = []
        """In order of their verdicts' arrival."""
        self._lock = reports / LOCK
        self._inode = 0
        self._offset = 0
        self._lines = 0

    @classmethod
    def open(cls, reports: Path, compact_bytes: int = COMPACT_BYTES) -> ResultsStore:
        """Load the store, creating it when it is missing; keeps a copy of the last state that could be read.

        In a file above ``compact_bytes`` old attempts lose exchanges and repairs.

        Raises:
            JournalError: the file is corrupt, or of a later version.
        """
        store = cls(reports)
        with locked(store._lock):
            store._make_whole()
            store._read_new()
            store._tidy(compact_bytes)
        return store

    @classmethod
    def peek(cls, reports: Path) -> ResultsStore:
        """What is there now, without touching anything; empty when there is no store.

        Raises:
            JournalError: the file is corrupt, or of a later version.
        """
        store = cls(reports)
        if store.path.is_file():
            store._read_new()
        return store

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep other controllers out while pages are read and rewritten; brings in what they added."""
        with locked(self._lock):
            self._make_whole()
            self._read_new()
            yield

    def add(self, result: Result) -> None:
        """Append one attempt; a second time it changes nothing.

        Raises:
            JournalError: another controller holds the lock for too long, or the file is corrupt.
            OSError: the disk does not take it.
        """
        with locked(self._lock):
            self._make_whole()
            self._read_new()
            if self._has(result):
                return
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                append(descriptor, encode(result.as_data()))
            finally:
                os.close(descriptor)
            self._read_new()

    def of(self, case: Case) -> Result | None:
        """The result that speaks for a case; None: never tested."""
        history = self.by_key.get(key_of(case.vendor, case.resource_name, case.hub_id))
        return history.latest if history else None

    def latest(self) -> list[Result]:
        """The result that speaks for each model ever tested."""
        return [history.latest for history in self.by_key.values()]

    def _has(self, result: Result) -> bool:
        history = self.by_key.get(result.key, History())
        same = (result.run_id, result.verdict.started, result.verdict.attempt)
        return any((old.run_id, old.verdict.started, old.verdict.attempt) == same for old in history.attempts)

    def _make_whole(self) -> None:
        """Create a missing file; remove the beginning of a line whose writer was killed. Only under the lock."""
        if self.path.exists():
            _cut_torn_tail(self.path)
        if not self.path.exists() or self.path.stat().st_size == 0:
            atomic_write(self.path, _header())

    def _read_new(self) -> None:
        """Take in whole lines after the last one read; everything when the file was replaced.

        Raises:
            JournalError: a line that is not a result, or a file of a later version.
        """
        with self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._inode, self._offset, self._lines = status.st_ino, 0, 0
                self.by_key, self.attempts = {}, []
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        for line in data[:end].splitlines():
            self._lines += 1
            if self._lines == 1:
                self._check_header(line)
            elif line.strip():
                self._take(self._parse(line))
        self._offset += end

    def _take(self, result: Result) -> None:
        self.attempts.append(result)
        self.by_key.setdefault(result.key, History()).attempts.append(result)

    def _check_header(self, line: bytes) -> None:
        header = decode(line)
        if header is None or header.get("kind") != KIND:
            raise JournalError(
                f"{self.path}: line 1: not a results file of pytest-modelrt; move it away, or restore {BACKUP}"
            )
        if header.get("schema") != SCHEMA:
            raise JournalError(
                f"{self.path}: line 1: written by another version (schema {header.get('schema')}, this one reads "
                f"{SCHEMA}); upgrade pytest-modelrt or use another reports directory"
            )

    def _parse(self, line: bytes) -> Result:
        data = decode(line)
        try:
            if data is None:
                raise ValueError("not JSON")
            return Result.from_data(data)
        except (KeyError, ValueError, TypeError) as error:
            reason = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise JournalError(
                f"{self.path}: line {self._lines}: not a result ({reason}); delete that line, or restore {BACKUP} "
                "beside it"
            ) from None

    def _tidy(self, compact_bytes: int) -> None:
        """Keep a copy that can be read; let old attempts of a large file lose their details."""
        data = self.path.read_bytes()
        if len(data) > compact_bytes:
            telling = {id(history.latest) for history in self.by_key.values()}
            lines = [_header()]
            for result in self.attempts:
                slim = {} if id(result) in telling else {"exchanges": (), "repairs": ()}
                lines.append(encode(result.as_data() | slim))
            data = b"".join(lines)
            atomic_write(self.path, data)
            self._read_new()
        if self.attempts:
            atomic_write(self.path.with_name(BACKUP), data)


def _header() -> bytes:
    return encode({"kind": KIND, "schema": SCHEMA})


def _cut_torn_tail(path: Path) -> None:
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


__all__ = ["History", "JournalError", "Result", "ResultsStore", "key_of", "result_of", "result_without_plan"]
