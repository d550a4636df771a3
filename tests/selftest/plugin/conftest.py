"""What tests of the plugin start from: a project in a temporary directory that has the plugin installed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelrt import launcher
from tests.selftest.plugin.live import Live

CONFIG = Path(__file__).parents[3] / "config"
"""The repository's own config tree."""

SPEED = 120.0
"""Cluster seconds per real second: a small model lives about three real seconds."""

ENDLESS = "SmolLM-360M"
"""A model that does not come to its end by itself on the ``live`` cluster."""


@pytest.fixture(autouse=True)
def _no_cluster_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs these tests may have a cluster of their own in the environment, or xdist."""
    for name in ("KUBECONFIG", "MODELRT_CONFIG", "MODELRT_KUBECONFIG", "MODELRT_REPORTS", "PYTEST_ADDOPTS",
                 "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Whoever runs these tests in the background of a script ignores Ctrl-C, and so would every run they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def campaign(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose ini file names the repository's config tree, with one test per model."""
    pytester.makepyprojecttoml(
        f"""
        [tool.pytest.ini_options]
        addopts = ["--strict-markers"]
        modelrt_config = "{CONFIG}"
        modelrt_reports = "pages"
        """
    )
    pytester.makepyfile(test_campaign="def test_model(probe):\n    assert probe().answer\n")
    return pytester


Collect = Callable[..., list[str]]


@pytest.fixture
def collect(campaign: pytest.Pytester) -> Collect:
    """Node ids a selection collects."""

    def run(*arguments: str) -> list[str]:
        result = campaign.runpytest("--collect-only", "-q", *arguments)
        assert result.ret == pytest.ExitCode.OK
        return [line for line in result.outlines if "::" in line]

    return run


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A simulated cluster for runs that are told of it by ``--modelrt-kubeconfig``."""
    directory = tmp_path_factory.mktemp("live")
    scenario = directory / "endless.yaml"
    scenario.write_text(f"models:\n- match: {ENDLESS.lower()}\n  startup: {{seconds: 100000}}\n")
    with launcher.start(directory / "sim", speed=SPEED, config_dir=CONFIG, scenario=str(scenario)) as process:
        found = Live.at(process.wait_ready())
        yield found
        found.cluster.close()
    log = (directory / "sim" / launcher.LOG_NAME).read_text()
    assert "Traceback" not in log, f"the simulator stumbled over its clients:\n{log[-5000:]}"
