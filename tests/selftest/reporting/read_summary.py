"""An independent reader of the summary page: what a person with a pencil would count."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Summary:
    stats: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    vendors: dict[str, list[list[str]]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    log: list[list[str]] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)

    def assert_adds_up(self) -> None:
        rows = [row for rows in self.vendors.values() for row in rows]
        count = {word: sum(word in row[1] for row in rows) for word in ("Passed", "Failed", "Skipped", "Not Tested")}
        stats = {name: int(value) for name, value in self.stats.items() if name != "Pass Rate"}
        assert stats == {"Total Models": len(rows), **count}
        assert {name: len(found) for name, found in self.tables.items()} == {
            "PASSED": count["Passed"],
            "FAILED": count["Failed"],
            "SKIPPED": count["Skipped"],
        }
        assert self.stats["Pass Rate"] == f"{100 * count['Passed'] / len(rows):.1f}%"
        for vendor, found in self.vendors.items():
            passed = sum("Passed" in row[1] for row in found)
            assert self.headers[vendor].startswith(f"({passed}/{len(found)}"), vendor


def read(path: Path) -> Summary:
    summary = Summary()
    section = vendor = table = ""
    text = re.sub(r"```.*?```", "", path.read_bytes().decode("utf-8", "surrogateescape"), flags=re.DOTALL)
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("#"):
            summary.headings.append(line)
        if line.startswith("## "):
            section = line[3:]
        match = re.fullmatch(r"### (.+?) (\(.*\))", line)
        if match and section == "Results by Vendor":
            vendor = match[1]
            summary.headers[vendor] = match[2]
            summary.vendors[vendor] = []
        marker = re.fullmatch(r"<!-- ?(\w+)_(START|END) ?-->", line)
        if marker:
            table = marker[1] if marker[2] == "START" else ""
            summary.tables.setdefault(marker[1], [])
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[0] in ("Vendor", "Model", "Metric", "Date", "Symbol"):
            continue
        if section == "Quick Stats":
            summary.stats[cells[0].strip("*")] = cells[1]
        elif table:
            summary.tables[table].append(cells)
        elif section == "Results by Vendor":
            summary.vendors[vendor].append(cells)
        elif section == "Test Execution Log":
            summary.log.append(cells)
    return summary
