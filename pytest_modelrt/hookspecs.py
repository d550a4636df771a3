"""Hooks that a conftest or another plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_modelrt.journal.model import Verdict
    from pytest_modelrt.stacks.protocol import Stack, StackRequest


@pytest.hookspec(firstresult=True)
def pytest_modelrt_make_stack(config: pytest.Config, request: StackRequest) -> Stack | None:
    """The serving stack for one case attempt; None: the next implementation, at last OME."""


@pytest.hookspec
def pytest_modelrt_verdict(config: pytest.Config, verdict: Verdict) -> None:
    """A case has its verdict. Called in the controller (or the only process), in the order cases end."""
