"""What report plugins of other people are told about a case: pytest-html and allure-pytest, where they are active."""

from __future__ import annotations

from collections.abc import Generator
from html import escape
from importlib import import_module
from typing import Any

import pytest

from pytest_modelrt.scheduling.worker import IdleItem
from pytest_modelrt.session.outcomes import VERDICT

HTML, ALLURE = "html", "allure_listener"
"""Names under which the two register themselves."""


class Companions:
    """Hands the properties of a case on when its verdict has fallen."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Allure takes everything a worker holds for a test; the idle item is none."""
        allure: Any = self._plugins.get_plugin(ALLURE)  # not before: it may be configured after us
        if isinstance(item, IdleItem) and allure is not None:
            begun = allure._cache.pop(item.nodeid)
            if begun:
                allure.allure_logger.drop_test(begun)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The last report of a case carries what is known about it."""
        report = yield
        if call.when == "teardown" and VERDICT in item.stash:
            known = [(name, str(value)) for name, value in item.user_properties]
            if self._plugins.hasplugin(HTML):
                report.extras = [*getattr(report, "extras", ()), _html_extra(known)]  # type: ignore[attr-defined]
            if self._plugins.hasplugin(ALLURE):
                _tell_allure(known)
        return report


def _html_extra(known: list[tuple[str, str]]) -> dict[str, Any]:
    """What ``pytest_html.extras.html`` makes."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in known)
    table = f"<table>{rows}</table>"
    return {"name": "modelrt", "format_type": "html", "content": table, "mime_type": None, "extension": None}


def _tell_allure(known: list[tuple[str, str]]) -> None:
    """As parameters that do not tell tests apart: the same case has one history."""
    allure = import_module("allure")
    for name, value in known:
        allure.dynamic.parameter(name, value, excluded=True)
