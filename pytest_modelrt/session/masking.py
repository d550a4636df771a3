"""Masks secrets in what pytest itself writes: tracebacks with their locals, captured output, logs, warnings.

Reports are masked in the process that makes them, before xdist, JUnit or any other plugin sees them.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pytest_modelrt.redaction import redact, redact_value

OURS = "modelrt_"
"""Attributes of reports that carry our own data start with this."""
_LOGGING = ("report_handler", "log_file_handler", "log_cli_handler")


class Masking:
    """Registered in every process."""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Records that pytest shows or writes to a file pass a filter."""
        plugin = session.config.pluginmanager.get_plugin("logging-plugin")
        for name in _LOGGING:
            handler = getattr(plugin, name, None)
            if isinstance(handler, logging.Handler):
                handler.addFilter(masked_record)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test."""
        _mask_report(report)
        report.user_properties = [(name, masked(value)) for name, value in report.user_properties]
        for name, value in vars(report).items():
            if name.startswith(OURS):
                setattr(report, name, redact_value(value))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file or class was collected, or could not be."""
        _mask_report(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """A bug of pytest or of a plugin, with its traceback."""
        masked(excrepr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: Any) -> None:
        """A warning, which is shown at the end."""
        text = str(warning_message.message)
        clean = redact(text)
        if clean != text:
            warning_message.message = UserWarning(clean)


def masked(value: Any) -> Any:
    """Texts, lists and tuples of them, and pytest's representations of tracebacks (in place) without secrets."""
    if isinstance(value, str):
        return redact(value)
    if type(value) in (list, tuple):  # a named tuple of somebody else's is left alone
        return type(value)(masked(item) for item in value)
    if hasattr(value, "toterminal"):
        for name, held in vars(value).items():
            setattr(value, name, masked(held))
    return value


def masked_record(record: logging.LogRecord) -> bool:
    """A filter for handlers: lets everything through, without secrets."""
    text = record.getMessage()
    clean = redact(text)
    if clean != text:
        record.msg, record.args = clean, ()
    if record.exc_info and not record.exc_text:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
    return True


def _mask_report(report: pytest.TestReport | pytest.CollectReport) -> None:
    report.longrepr = masked(report.longrepr)
    report.sections = masked(report.sections)
