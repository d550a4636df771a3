"""A Markdown page as lines that keep their own endings, so that what is not ours stays byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_modelrt.reporting.markdown import is_row, is_rule

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")


def with_ending_of(line: str, text: str) -> str:
    """``text`` in place of a line, which may be one of a CRLF page."""
    return text + ("\r" if line.endswith("\r") else "")


@dataclass(slots=True)
class Table:
    """Where a table's rows are: ``lines[first:last]``, possibly with stray blank lines among them."""

    first: int
    last: int


class Page:
    """Lines without ``\\n``; a line of a CRLF page keeps its ``\\r``."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self._ending = "\r" if text.count("\r\n") * 2 > text.count("\n") else ""

    @classmethod
    def of_bytes(cls, data: bytes) -> Page:
        """Bytes that are not UTF-8 are kept."""
        return cls(data.decode("utf-8", "surrogateescape"))

    def to_bytes(self) -> bytes:
        """The page as a file."""
        return "\n".join(self.lines).encode("utf-8", "surrogateescape")

    def find(self, pattern: re.Pattern[str], start: int = 0, stop: int | None = None) -> int | None:
        """First line that matches, outside fenced code and tables."""
        for place, line in self.outside_fences(start, stop):
            if pattern.search(line):
                return place
        return None

    def outside_fences(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, str]]:
        """Lines with their places, without fenced code blocks and table rows."""
        fence = ""
        for place in range(start, len(self.lines) if stop is None else stop):
            line = self.lines[place]
            if line[:1] == "|" or not line:  # most lines of a page; there is nothing else in them
                continue
            mark = line.lstrip()[:3]
            if fence:
                fence = "" if mark == fence else fence
            elif mark in ("```", "~~~"):
                fence = mark
            else:
                yield place, line.rstrip("\r")

    def section(self, title: re.Pattern[str]) -> tuple[int, int] | None:
        """The lines after a ``##`` heading up to the next one of that level or above."""
        return next(((place, end) for place, end, _ in self.headings(2, title=title)), None)

    def headings(
        self, level: int, start: int = 0, stop: int | None = None, title: re.Pattern[str] | None = None
    ) -> list[tuple[int, int, str]]:
        """Headings of ``level``: place, end of what belongs to them, title."""
        stop = len(self.lines) if stop is None else stop
        seen = [
            (place, len(match[1]), match[2])
            for place, line in self.outside_fences(start, stop)
            if line.startswith("#") and (match := _HEADING.match(line))
        ]
        found = []
        for number, (place, depth, text) in enumerate(seen):
            if depth == level and (title is None or title.search(text)):
                end = next((later for later, other, _ in seen[number + 1 :] if other <= level), stop)
                found.append((place, end, text))
        return found

    def table(self, start: int, stop: int) -> Table | None:
        """The first table between two lines; rows may be interrupted by blank lines."""
        rule = next((place for place in range(start, stop) if is_rule(self.lines[place])), None)
        if rule is None:
            return None
        last = rule + 1
        for place in range(rule + 1, stop):
            if is_row(self.lines[place]):
                last = place + 1
            elif self.lines[place].strip():
                break
        return Table(rule + 1, last)

    def set(self, place: int, text: str) -> None:
        """Replace a line's text, keeping its ending."""
        self.lines[place] = with_ending_of(self.lines[place], text.rstrip("\r"))

    def insert(self, place: int, texts: list[str]) -> None:
        """Insert lines with the page's usual ending."""
        self.lines[place:place] = [text + self._ending for text in texts]
