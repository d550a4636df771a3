"""Reading an engine's log: milestones, the primary exception, and what is only aftermath (facts: failures, A10-A13)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile

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

_SCHEDULER = re.compile(r"\w+ hit an exception")
"""SGLang's words before the traceback of a part that dies: Scheduler, DetokenizerManager, ..."""
TRACEBACK = "Traceback (most recent call last)"
_EXCEPTION = re.compile(
    r"(?:^|\s)((?:[A-Za-z_]\w*\.)*(?:[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit)(?:_\w+)?|Exception)\b(?::.*)?)$"
)
_AFTERMATH = re.compile(
    r"Received sigquit from a child process|NCCL.*abort|Child process unexpectedly failed|"
    r"GET /health\S* HTTP/\S+\" 503|Ignore import error when loading"
)
_NOISE = re.compile(r"server_args=|ServerArgs\(")
_PEER = re.compile(r"Connection (closed|reset) by (remote )?peer|remote process exited|Connection was likely closed")
"""A rank that lost another one: the other one's exception says why."""
_RECORD = re.compile(r"\[\d{4}-\d\d-\d\d |INFO|WARNING")
"""How the next record of a log begins."""
AFTER = 8
"""Lines that may belong to the message of an exception: some libraries give the reason there."""


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
    after: tuple[str, ...] = ()
    """What follows the exception's line and may still be its message."""

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

    A traceback after ``... hit an exception`` outranks an earlier one, because engines print and survive others
    (optional imports); so does one that no milestone follows. Among several ranks the earliest counts, but for one
    that only lost its peer.
    """
    lines = meaningful(log)
    dying = [number for number, line in enumerate(lines) if _SCHEDULER.search(line)]
    if dying:
        found = list(filter(None, (_crash_at(lines, start) for start in dying)))
        return next((crash for crash in found if not _PEER.search(crash.line)), found[0] if found else None)
    for start in (number for number, line in enumerate(lines) if TRACEBACK in line):
        crash = _crash_at(lines, start)
        if crash is not None and not _survived(lines, start):
            return crash
    return None


def _crash_at(lines: list[str], start: int) -> Crash | None:
    """The exception that ends the traceback, or the chain of them, beginning at ``start``."""
    for number in range(start, len(lines)):
        line = lines[number]
        if TRACEBACK in line or line.startswith((" ", "\t")) or _NOISE.search(line):
            continue
        found = _EXCEPTION.search(line)
        if found is not None and _is_last_of_chain(lines, number):
            block, before = tuple(lines[start : number + 1]), tuple(lines[:start])
            return Crash(found.group(1), block, before, phase(before), _message(lines, number + 1))
    return None


def _message(lines: list[str], start: int) -> tuple[str, ...]:
    rest = takewhile(lambda line: TRACEBACK not in line and not _RECORD.match(line), lines[start : start + AFTER])
    return tuple(rest)


def _survived(lines: list[str], start: int) -> bool:
    """Whether the engine came further after that traceback."""
    return phase(lines) != phase(lines[:start])


def tail(log: str, count: int = 30) -> tuple[str, ...]:
    """The last ``count`` meaningful lines."""
    return tuple(meaningful(log)[-count:])


def _is_last_of_chain(lines: list[str], number: int) -> bool:
    """Whether the exception is not followed by `During handling ...` / `The above exception was ...`."""
    following = next((line for line in lines[number + 1 :] if line.strip()), "")
    return "the above exception" not in following.lower()
