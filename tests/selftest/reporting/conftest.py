from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelrt.plan.load import load_campaign, load_plan
from pytest_modelrt.plan.model import Campaign, Plan

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="session")
def plan() -> Plan:
    return load_plan(CONFIG)


@pytest.fixture(scope="session")
def campaign() -> Campaign:
    return load_campaign(CONFIG)
