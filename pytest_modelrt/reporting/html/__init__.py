"""The campaign page: one self-contained HTML file per run."""

from pytest_modelrt.reporting.html.page import HtmlPage

__all__ = ["HtmlPage"]
