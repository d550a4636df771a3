"""The directory of a run: ``<reports>/runs/<run-id>/`` with ``run.json`` and one journal per worker."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path

from pytest_modelrt.clock import rfc3339, utc_now
from pytest_modelrt.journal.files import JournalError, atomic_write
from pytest_modelrt.journal.model import RunInfo
from pytest_modelrt.redaction import redact_value

RUNS = "runs"
RUN_FILE = "run.json"


def new_run_id() -> str:
    """``20260131-120000-3f9a2c``: sorts by time, unique, a valid DNS label and label value."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def create_run(reports: Path, info: RunInfo) -> Path:
    """Create the directory of a new run.

    Raises:
        JournalError: a run of that id exists, or the directory cannot be made.
    """
    directory = reports / RUNS / info.run_id
    try:
        directory.mkdir(parents=True, exist_ok=False)
    except FileExistsError:
        raise JournalError(f"{directory}: a run of this id exists already; choose another --modelrt-run-id") from None
    except OSError as error:
        raise JournalError(f"{directory}: cannot be created: {error.strerror}; choose --modelrt-reports") from None
    write_info(directory, info)
    return directory


def write_info(run_dir: Path, info: RunInfo) -> None:
    """Write ``run.json`` in one step."""
    text = json.dumps(redact_value(info.as_data()), ensure_ascii=False, indent=1)
    atomic_write(run_dir / RUN_FILE, text.encode("utf-8", "backslashreplace") + b"\n")


def finish_run(run_dir: Path, info: RunInfo, exit_status: int) -> RunInfo:
    """Write down that the run has ended; returns the completed record."""
    done = replace(info, finished=rfc3339(utc_now()), exit_status=exit_status)
    write_info(run_dir, done)
    return done


def read_info(run_dir: Path) -> RunInfo:
    """The record of a run.

    Raises:
        JournalError: no run there, or its record cannot be read.
    """
    path = run_dir / RUN_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return RunInfo.from_data(data)
    except FileNotFoundError:
        raise JournalError(f"{run_dir}: no run here ({RUN_FILE} is missing)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{path}: not a run record: {error}") from None


def list_runs(reports: Path) -> list[Path]:
    """Directories of all runs, oldest first (by start, then name)."""
    found = []
    for path in (reports / RUNS).glob(f"*/{RUN_FILE}"):
        try:
            started = read_info(path.parent).started
        except JournalError:
            continue
        found.append((started, path.parent.name, path.parent))
    return [path for _, _, path in sorted(found)]


def find_run(reports: Path, run_id: str | None = None) -> Path:
    """The directory of a run; the latest without an id, a unique beginning of an id is enough.

    Raises:
        JournalError: none or several match.
    """
    runs = list_runs(reports)
    if not runs:
        raise JournalError(f"{reports / RUNS}: no runs yet; run pytest first or name the right --reports directory")
    if run_id is None:
        return runs[-1]
    exact = [path for path in runs if path.name == run_id]
    matching = exact or [path for path in runs if path.name.startswith(run_id)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(path.name for path in matching)
        raise JournalError(f"{reports / RUNS}: {run_id!r} could be any of {names}")
    latest = ", ".join(path.name for path in runs[-5:])
    raise JournalError(f"{reports / RUNS}: no run {run_id!r}; the latest are {latest}")
