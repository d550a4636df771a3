"""``config/rbac`` is enough for runs that pass and fail, and gives nothing they do not ask for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_modelrt import launcher
from tests.selftest.plugin.conftest import CONFIG, SPEED

RBAC = CONFIG / "rbac"
RARE = {
    ("get", "", "pods/portforward"): "asking the model goes past the logged calls",
    ("create", "", "pods/portforward"): "servers from 1.35 on check this verb for the same request",
    ("list", "coordination.k8s.io", "leases"): "waiting for another run's lease",
    ("watch", "coordination.k8s.io", "leases"): "waiting for another run's lease",
    ("get", "", "pods"): "waiting for pods that outlive their service, where that takes a moment",
    ("watch", "", "namespaces"): "waiting until it is gone, where that takes a moment",
    ("watch", "ome.io", "clusterservingruntimes"): "waiting until it is gone, where that takes a moment",
    ("patch", "coordination.k8s.io", "leases"): "a lease is renewed when a run takes longer",
}
VERBS = {"POST": ("create",), "PUT": ("update",), "PATCH": ("create", "patch"), "DELETE": ("delete",)}
"""Applying an object that is not there needs both."""
SPY = """
import pathlib
from pytest_modelrt.cluster import api, tunnel

LOG = pathlib.Path(__file__).parent / "calls.log"
real = api.Api._open

def note(method, path, query=()):
    with LOG.open("a") as file:
        file.write(f"{method} {path} {'watch' if 'watch' in str(query) else ''}\\n")

def spying(self, request):
    note(request.method, request.path, request.query)
    return real(self, request)

api.Api._open = spying
"""


@pytest.fixture
def restricted(tmp_path: Path) -> Iterator[Path]:
    """A kubeconfig of the suite's own account on a cluster where one model crashes."""
    scenario = tmp_path / "faults.yaml"
    scenario.write_text(
        "models:\n- match: smollm-1-7b\n"
        "  startup:\n    crash: {at: load_begin, exit_code: 1, log: CUDA out of memory}\n"
    )
    with launcher.start(tmp_path / "sim", speed=SPEED, config_dir=CONFIG, scenario=str(scenario)) as process:
        admin = process.wait_ready()
        kubectl(admin, "apply", "-k", str(RBAC))
        kubectl(admin, "apply", "--dry-run=server", "-f", str(RBAC / "account.yaml"))
        token = kubectl(admin, "create", "token", "modelrt", "-n", "modelrt", "--duration=24h").strip()  # cluster hours
        config: dict[str, Any] = yaml.safe_load(admin.read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        path = tmp_path / "restricted.yaml"
        path.write_text(yaml.safe_dump(config))
        yield path


def kubectl(kubeconfig: Path, *arguments: str) -> str:
    command = ["kubectl", "--kubeconfig", str(kubeconfig), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_roles_are_enough_and_not_more(campaign: pytest.Pytester, restricted: Path) -> None:
    campaign.makeconftest(SPY)
    arguments = ["-k", "SmolLM-135M or SmolLM-1.7B", "-n", "2", f"--modelrt-kubeconfig={restricted}"]
    result = campaign.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=1, failed=1)
    output = result.stdout.str()
    assert "forbidden" not in output.lower()
    assert "LEFT BEHIND" not in output
    calls = (campaign.path / "calls.log").read_text().splitlines()
    asked = {access for line in calls for access in accesses_of(line)}
    granted = granted_accesses()
    assert granted - asked <= set(RARE), sorted(granted - asked - set(RARE))
    needed = {access for access in asked if access[0] != "list" or access in granted}
    assert needed - granted == set(), sorted(needed - granted)


def granted_accesses() -> set[tuple[str, str, str]]:
    roles = [d for d in yaml.safe_load_all((RBAC / "roles.yaml").read_text()) if d["kind"] in ("Role", "ClusterRole")]
    return {
        (verb, group, resource)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def accesses_of(line: str) -> Iterator[tuple[str, str, str]]:
    """Verb, group and resource a server checks for a logged request; nothing for discovery."""
    method, path, *watch = line.split()
    match = re.fullmatch(
        r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/[^/]+(?=/[a-z]+))?/(?P<resource>[a-z]+)"
        r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?",
        path,
    )
    if match is None:
        return
    reading = "watch" if watch else "get" if match["name"] else "list"
    resource = match["resource"] + (f"/{match['sub']}" if match["sub"] else "")
    for verb in VERBS.get(method, (reading,)):
        yield verb, match["group"] or "", resource
