"""The pytest plugin. Inert unless a config tree is named: then, and only then, the rest of the package is imported."""

from __future__ import annotations

import pytest

from pytest_modelrt.options import add_options, config_directory, refuse_orphans


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; they show in ``--help`` of every run."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks others may implement."""
    from pytest_modelrt import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto``: xdist asks before it configures anything, so nothing else is there yet."""
    if config_directory(config) is None:
        return None
    from pytest_modelrt.activation import useful_workers

    return useful_workers(config)


def pytest_configure(config: pytest.Config) -> None:
    """Come to life when a config tree is named."""
    if config_directory(config) is None:
        refuse_orphans(config)
        return
    from pytest_modelrt.activation import activate

    activate(config)
