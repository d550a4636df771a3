"""Options: where they come from, which place wins, and what is said about impossible ones."""

from __future__ import annotations

import pytest

from pytest_modelrt.options import OPTIONS

SHOW = """
import pytest
from pytest_modelrt.session.run import RUN

def test_show(pytestconfig):
    run = pytestconfig.stash[RUN]
    print(f"budget={run.campaign.gpu_budget} repair={run.campaign.repair} id={run.run_id}")
    print("tiers=" + ",".join(f"{tier.name}:{tier.limit}" for tier in run.campaign.tiers))
    print(f"kubeconfig={run.settings.kubeconfig} simulated={run.simulated}")
"""


@pytest.fixture
def shown(campaign: pytest.Pytester) -> pytest.Pytester:
    campaign.makepyfile(test_show=SHOW)
    return campaign


def test_every_option_is_in_help_with_its_variable(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest("--help").stdout.str()
    for option in OPTIONS:
        assert option.flag in text
        assert option.env in text


def test_command_line_outranks_environment_outranks_ini(
    shown: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    ini = shown.path / "pyproject.toml"
    ini.write_text(
        ini.read_text() + '\nmodelrt_gpu_budget = "11"\nmodelrt_repair = "off"\nmodelrt_run_id = "from-ini"\n'
    )
    monkeypatch.setenv("MODELRT_GPU_BUDGET", "22")
    monkeypatch.setenv("MODELRT_REPAIR", "write")
    result = shown.runpytest("-s", "test_show.py", "--modelrt-gpu-budget=33")
    result.stdout.fnmatch_lines(["*budget=33 repair=write id=from-ini"])


def test_tier_limits_add_up_over_repeated_options(shown: pytest.Pytester) -> None:
    result = shown.runpytest("-s", "test_show.py", "--modelrt-tier", "gpu1=4", "--modelrt-tier", "gpu2=3")
    result.stdout.fnmatch_lines(["tiers=gpu1:4,gpu2:3,*"])


def test_an_option_without_a_config_tree_says_why_nothing_would_happen(
    campaign: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("pages")
    result = campaign.runpytest("--modelrt-reports", str(elsewhere))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --modelrt-reports: no config tree is named*root directory is*with '='*"])


def test_a_kubeconfig_in_the_environment_names_a_cluster(
    shown: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shown.makefile(".yaml", kubeconfig=KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(path))
    result = shown.runpytest("-s", "test_show.py")
    result.stdout.fnmatch_lines(
        ["modelrt: cluster REAL, server https://192.0.2.1:6443, context there", f"kubeconfig={path} simulated=False"]
    )


def test_a_kubeconfig_in_the_home_directory_is_not_used(
    shown: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shown.mkdir("home")
    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_text(KUBECONFIG)
    monkeypatch.setenv("HOME", str(home))
    result = shown.runpytest("-s", "test_show.py")
    result.stdout.fnmatch_lines(["modelrt: cluster simulated*", "kubeconfig=None simulated=True"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modelrt-gpu-budget=0"], "*--modelrt-gpu-budget: '0' cannot be used: must be at least 1"),
        (["--modelrt-prefetch=two"], "*--modelrt-prefetch: 'two' cannot be used: must be a whole number"),
        (["--modelrt-speed=fast"], "*--modelrt-speed: 'fast' cannot be used: must be a number above 0"),
        (["--modelrt-tier=gpu1"], "*--modelrt-tier: 'gpu1' cannot be used: must look like NAME=LIMIT*"),
        (["--modelrt-tier=huge=3"], "*--modelrt-tier: no tier huge in campaign.yaml; there are: gpu1, *"),
        (["--modelrt-run-id=a/b"], "*--modelrt-run-id: 'a/b' cannot be used*"),
        (["--modelrt-kubeconfig=nowhere"], "*nowhere not found*"),
        (["--modelrt-config=nowhere"], "*nowhere*no such directory*"),
    ],
)
def test_an_impossible_value_is_one_clear_usage_error(
    campaign: pytest.Pytester, arguments: list[str], message: str
) -> None:
    result = campaign.runpytest_subprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_an_impossible_variable_is_named(campaign: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELRT_REPAIR", "maybe")
    result = campaign.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: environment variable MODELRT_REPAIR: 'maybe' is not one of overlay, *"])


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: there
contexts: [{name: there, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}]
users: [{name: u, user: {}}]
"""
