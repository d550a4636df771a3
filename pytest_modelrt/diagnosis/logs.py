"""Reading an engine's log: milestones, the primary exception, and what is only aftermath (facts: failures, A10-A13)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MILESTONES = (
    ("server_args=", "arguments parsed"),
    ("Load weight begin", "loading weights"),
    ("Load weight end", "weights loaded"),
    ("KV Cache is allocated", "KV cache allocated"),
    ("Memory pool end", "KV cache allocated"),
    ("Capture cuda graph begin", "capturing CUDA graphs"),
    ("max_total_num_tokens=", "memory planned"),
    ("Application startup complete", "HTTP server up"),
    ("Start of co-locate warmup", "warming up"),
    ("The server is fired up and ready to roll!", "ready"),
)
"""(text in the log, phase it begins), in the order an engine writes them."""

_SCHEDULER = "Scheduler hit an exception"
_TRACEBACK = "Traceback (most recent call last)"
_EXCEPTION = re.compile(
    r"(?:^|\s)((?:[A-Za-z_]\w*\.)*(?:[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit)|Exception)\b(?::.*)?)$"
)
_AFTERMATH = re.compile(
    r"Received sigquit from a child process|NCCL.*abort|Child process unexpectedly failed|"
    r"GET /health\S* HTTP/\S+\" 503|Ignore import error when loading"
)
_NOISE = re.compile(r"server_args=|ServerArgs\(")


@dataclass(frozen=True, slots=True)
class Crash:
    """The first exception of a log that is a cause and not a consequence."""

    line: str
    """The exception's own line."""
    block: tuple[str, ...]
    """Traceback with that line at its end."""
    before: tuple[str, ...]
    """Log lines before the traceback."""
    phase: str
    """Last milestone before it."""

    @property
    def fingerprint(self) -> str:
        """The exception with everything that differs between two runs of the same crash taken out."""
        return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "N", self.line)


def phase(lines: tuple[str, ...] | list[str]) -> str:
    """What the engine was doing when the log ends: the last milestone seen, ``starting`` when none."""
    seen = "starting"
    position = -1
    for line in lines:
        for number, (text, name) in enumerate(MILESTONES):
            if number > position and text in line:
                seen, position = name, number
    return seen


def meaningful(log: str) -> list[str]:
    """Lines of ``log`` without those that only look like trouble."""
    return [line for line in log.splitlines() if line.strip() and not _AFTERMATH.search(line)]


def first_crash(log: str) -> Crash | None:
    """The primary exception of ``log``; None when it holds none.

    The traceback after ``Scheduler hit an exception`` outranks an earlier one, because engines print and survive
    others (optional imports); among several ranks the earliest counts.
    """
    lines = meaningful(log)
    start = _first(lines, _SCHEDULER)
    if start is None:
        start = _first(lines, _TRACEBACK)
    if start is None:
        return None
    for number in range(start, len(lines)):
        line = lines[number]
        if _TRACEBACK in line or line.startswith((" ", "\t")) or _NOISE.search(line):
            continue
        found = _EXCEPTION.search(line)
        if found is not None and _is_last_of_chain(lines, number):
            return Crash(found.group(1), tuple(lines[start : number + 1]), tuple(lines[:start]), phase(lines[:start]))
    return None


def tail(log: str, count: int = 30) -> tuple[str, ...]:
    """The last ``count`` meaningful lines."""
    return tuple(meaningful(log)[-count:])


def _first(lines: list[str], text: str) -> int | None:
    return next((number for number, line in enumerate(lines) if text in line), None)


def _is_last_of_chain(lines: list[str], number: int) -> bool:
    """Whether the exception is not followed by `During handling ...` / `The above exception was ...`."""
    following = next((line for line in lines[number + 1 :] if line.strip()), "")
    return "the above exception" not in following.lower()
