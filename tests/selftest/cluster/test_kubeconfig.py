from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from pytest_modelrt.cluster.connection import Connection
from pytest_modelrt.cluster.kubeconfig import is_named, resolve
from pytest_modelrt.cluster.model import ClusterError, ClusterTarget, KubeconfigError

from .scripted import kubeconfig


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory that has a kubeconfig, as most do."""
    directory = tmp_path / "home"
    (directory / ".kube").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(directory))
    return kubeconfig(directory / ".kube", "https://from-home:6443")


@pytest.mark.usefixtures("home")
def test_home_config_alone_names_no_cluster() -> None:
    assert not is_named(ClusterTarget(), {})
    with pytest.raises(ClusterError, match="no cluster named; name an existing file with --modelrt-kubeconfig"):
        resolve(ClusterTarget(), {})


@pytest.mark.usefixtures("home")
def test_context_by_name_may_come_from_the_home_config() -> None:
    target = ClusterTarget(context="test")
    assert is_named(target, {})
    assert resolve(target, {}).server == "https://from-home:6443"


@pytest.mark.usefixtures("home")
def test_explicit_file_wins_over_the_variable(tmp_path: Path) -> None:
    named = kubeconfig(tmp_path, "https://named:6443", name="named")
    variable = kubeconfig(tmp_path, "https://variable:6443", name="variable")
    environ = {"KUBECONFIG": str(variable)}
    assert resolve(ClusterTarget(named), environ).server == "https://named:6443"
    assert resolve(ClusterTarget(), environ).server == "https://variable:6443"


def test_variable_lists_files_first_wins_and_missing_ones_are_skipped(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path, "https://first:6443", name="first")
    second = tmp_path / "second"
    second.write_text(first.read_text().replace("first:", "second:").replace("test", "other"))
    environ = {"KUBECONFIG": os.pathsep.join([str(tmp_path / "absent"), str(first), str(second)])}
    assert resolve(ClusterTarget(), environ).context == "test"
    assert resolve(ClusterTarget(context="other"), environ).server == "https://second:6443"


def test_simulator_is_known_by_its_extension(tmp_path: Path) -> None:
    simulated = resolve(ClusterTarget(kubeconfig(tmp_path, "https://127.0.0.1:1", speed=60, name="sim")), {})
    real = resolve(ClusterTarget(kubeconfig(tmp_path, "https://127.0.0.1:1", name="real")), {})
    assert (simulated.speed, simulated.simulator) == (60, tmp_path)
    assert (real.speed, real.simulator) == (1, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty or not a mapping"),
        ("a: [1\nb: 2\n", r"config:2: "),
        ("contexts: []\n", "no current-context; name one with --modelrt-context"),
        ("current-context: x\ncontexts: 7\n", "contexts must be a list of entries with a name"),
        ("current-context: x\ncontexts: [{name: y, context: {}}]\n", "no context 'x'; it has: y"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n", "cluster 'c', which has no server"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
            "clusters: [{name: c, cluster: {server: 'https://h'}}]\n",
            "user 'u', which is not there",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
            "clusters: [{name: c, cluster: {server: 'https://h', extensions: "
            "[{name: modelrt.io/simulator, extension: {speed: fast}}]}}]\n",
            "speed must be a number > 0",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterError, match=message) as caught:
        resolve(ClusterTarget(path), {})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def plugin(script: str) -> str:
    run = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "sh"}
    return yaml.safe_dump({"exec": {**run, "args": ["-c", script]}}, default_flow_style=True)


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        (
            plugin("echo session expired, >&2; echo log in again >&2; exit 1"),
            "{}",
            "no credentials: .*session expired, ",
        ),
        (plugin("echo hello"), "{}", "no credentials: .*failed to decode"),
        ("{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin}}", "{}", "no-such-plugin"),
        ("{client-certificate: /nowhere/c.crt, client-key: /nowhere/c.key}", "{}", "/nowhere/c.crt"),
        ("{client-certificate-data: bm9uZQ==, client-key-data: bm9uZQ==}", "{}", "certificates or key cannot be used"),
        ("{token: xyz}", "{certificate-authority: /nowhere/ca.crt}", "/nowhere/ca.crt"),
        ("{token: xyz}", "{certificate-authority-data: bm9uZQ==}", "certificates or key cannot be used"),
    ],
)
def test_credentials_that_cannot_be_had_are_said_in_one_line(
    tmp_path: Path, user: str, cluster: str, message: str
) -> None:
    """Before any contact: the official client would go on as nobody when a login plugin fails."""
    path = tmp_path / "config"
    server = {"server": "https://127.0.0.1:1", **yaml.safe_load(cluster)}
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {json.dumps(server)}}}]\nusers: [{{name: u, user: {user.strip()}}}]\n"
    )
    with pytest.raises(KubeconfigError, match=message) as caught:
        Connection.from_kubeconfig(resolve(ClusterTarget(path), {}))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="absent not found; name an existing file"):
        resolve(ClusterTarget(tmp_path / "absent"), {})
    with pytest.raises(ClusterError, match="not found"):
        resolve(ClusterTarget(), {"KUBECONFIG": str(tmp_path / "absent")})
    latin = tmp_path / "latin"
    latin.write_bytes(b"a: \xe9\xff\n")
    with pytest.raises(ClusterError, match="cannot be read"):
        resolve(ClusterTarget(latin), {})
