"""Real runs of pytest with pytest-xdist in a subprocess."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_modelrt.scheduling.limits import Limits
from tests.selftest.scheduling.build import LIMITS

REPOSITORY = Path(__file__).parents[3]
Start = Callable[..., "Played"]


@dataclass
class Played:
    """A run that is over."""

    result: pytest.RunResult
    ledger: list[list[str]]

    @property
    def passed(self) -> int:
        return self.result.parseoutcomes().get("passed", 0)

    @property
    def text(self) -> str:
        return self.result.stdout.str()

    def taken(self) -> list[str]:
        return [words[1] for words in self.ledger if words[0] == "take"]

    def peaks(self, limits: Limits = LIMITS) -> dict[str, int]:
        """Most holders at once per tier, from what the tests wrote themselves; ``gpus``: most GPUs."""
        held: set[str] = set()
        peak: dict[str, int] = {}
        for word, *rest in self.ledger:
            if word == "free":
                held.discard(rest[0])  # a worker killed right after its last line is cleaned up once more
            elif word == "take":
                assert rest[0] not in held, "one case twice at once"
                held.add(rest[0])
            now: dict[str, int] = {}
            for key in held:
                gpus = int(key.partition("/m")[2].partition("-")[0])
                tier = limits.tier_of(gpus)
                assert tier is not None
                now[tier.name] = now.get(tier.name, 0) + 1
                now["gpus"] = now.get("gpus", 0) + gpus
            peak = {name: max(peak.get(name, 0), now.get(name, 0)) for name in peak | now}
        return peak


@pytest.fixture
def play(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run pytest over the files made so far, with the settings of ``harness.SETTINGS``."""

    def start(*args: str, **settings: Any) -> Played:
        ledger = pytester.path / "ledger"
        ledger.unlink(missing_ok=True)
        monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
        monkeypatch.setenv("SCHEDULING_TEST", json.dumps({"ledger": str(ledger), **settings}))
        result = pytester.runpytest_subprocess(
            "-p", "no:modelrt", "-p", "tests.selftest.scheduling.harness", *args, timeout=120
        )
        lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
        return Played(result, [line.split(" ") for line in lines])

    return start
