"""What strict readers of JUnit XML want, as rules: the schema of Jenkins' xUnit plugin (junit-10), GitLab's parser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err", "testsuite"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}
"""Of the elements we may need; ``properties`` of a test case is what the schema refuses and pytest writes."""
NEEDED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
    "property": {"name", "value"},
}
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    "testcase": {"time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
}
TIME = re.compile(r"\d+(\.\d{1,3})?")
"""Neither an exponent nor a sign, at most milliseconds."""
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
MOST_TEXT = 60_000
"""Characters of one element: what a page about a test can show."""


def problems(data: bytes) -> list[str]:
    """What a strict reader would object to; empty: nothing."""
    root = ElementTree.fromstring(data)
    found = [] if root.tag in ("testsuites", "testsuite") else [f"root <{root.tag}>"]
    for element in root.iter():
        found += _shape(element)
    for suite in root.iter("testsuite"):
        found += _counts(suite)
    names = Counter((test.get("classname"), test.get("name")) for test in root.iter("testcase"))
    found += [f"GitLab shows only the first of {name}" for name, count in names.items() if count > 1]
    return found


def _shape(element: ElementTree.Element) -> Iterator[str]:
    tag, keys = element.tag, set(element.attrib)
    allowed = ALLOWED.get(tag, set()) | NEEDED.get(tag, set())
    yield from (f"<{tag} {key}>" for key in keys - allowed)
    yield from (f"<{tag}> without {key}" for key in NEEDED.get(tag, set()) - keys)
    yield from (f"<{child.tag}> in <{tag}>" for child in element if child.tag not in CHILDREN.get(tag, set()))
    if "time" in keys and not TIME.fullmatch(element.attrib["time"]):
        yield f"time {element.attrib['time']}"
    if "timestamp" in keys and not STAMP.fullmatch(element.attrib["timestamp"]):
        yield f"timestamp {element.attrib['timestamp']}"
    if len(element.text or "") > MOST_TEXT:
        yield f"<{tag}> of {len(element.text or '')} characters"
    if tag in ("failure", "error", "skipped") and not (element.text or "").strip():
        yield f"<{tag}> without text: GitLab shows nothing else"


def _counts(suite: ElementTree.Element) -> Iterator[str]:
    tests = suite.findall("testcase")
    tags = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    held = {name: sum(test.find(tag) is not None for test in tests) for name, tag in tags.items()}
    for name, wanted in {"tests": len(tests), **held}.items():
        if suite.get(name) != str(wanted):
            yield f"{name} {suite.get(name)} of {wanted}"
