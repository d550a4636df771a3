"""Real runs: what is selected starts the cluster, what is missing skips, each fault turns its own tests red."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_modelrt import launcher
from tests.selftest.maas import as_written
from tests.selftest.maas.conftest import CONFIG, ROOT, Run, tool_path

SOME = (
    "test_health_answers_200 or test_every_policy_is_accepted or test_the_catalogue_is_open"
    " or test_a_tier_may_ask_its_models or exactly_its_requests_per_window and free"
    " or test_the_request_that_crosses_the_limit or test_the_lookup_knows_the_tier and premium"
)
DIRECT = {"test_health_answers_200", "test_every_policy_is_accepted_and_enforced"}
LIMITS = {
    "test_a_tier_gets_exactly_its_requests_per_window[free]",
    "test_the_request_that_crosses_the_limit_passes_and_the_next_is_refused",
}
LOOKUP = {"test_the_lookup_knows_the_tier_of_an_account[premium]"}


class Outcome:
    """One run of the suite, and what its results say."""

    def __init__(self, done: subprocess.CompletedProcess[str], reports: Path) -> None:
        self.code, self.text = done.returncode, done.stdout + done.stderr
        self.verdicts: dict[str, Any] = {}
        store = reports / "results.jsonl"
        for line in store.read_text(encoding="utf-8").splitlines()[1:] if store.is_file() else []:
            data = json.loads(line)
            self.verdicts[data["case"]] = data["verdict"]

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        """Test -> what it found."""
        return {test["test"]: test for verdict in self.verdicts.values() for test in verdict["facts"]["tests"]}

    @property
    def red(self) -> set[str]:
        """Tests that did not pass."""
        return {name for name, test in self.findings.items() if test["outcome"] in ("failed", "error")}


def _run(reports: Path, *arguments: str) -> Outcome:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("KUBECONFIG", "MODELRT", "PYTEST"))
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--modelrt-reports={reports}",
        *arguments,
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "PATH": tool_path()},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    return Outcome(done, reports)


@pytest.mark.parametrize(
    ("fault", "green", "red", "cause"),
    [
        ("slow-auth", DIRECT, None, "gateway-auth-failing"),
        ("limiter-away", None, LIMITS, "gateway-limiter-away"),
        ("tier-error", None, LIMITS | LOOKUP, "gateway-tier-lookup"),
    ],
)
def test_a_fault_turns_exactly_its_own_tests_red(
    tmp_path: Path, fault: str, green: set[str] | None, red: set[str] | None, cause: str
) -> None:
    scenario = f"--modelrt-scenario=gateway-{fault}"
    found = _run(tmp_path / "reports", "-m", "maas", "-k", SOME, "-n", "2", scenario)
    assert found.code == 1, found.text
    assert found.red == (set(found.findings) - green if green else red), found.text
    assert {found.findings[name]["cause"] for name in found.red} == {cause}
    assert found.verdicts["maas/model-a"]["cause"] == cause


def test_without_kserve_every_test_skips_with_the_command_that_brings_it(tmp_path: Path) -> None:
    with launcher.start(tmp_path / "sim", speed=120, config_dir=CONFIG, nodes=1, platforms=("ome",)) as process:
        kubeconfig = process.wait_ready()
        found = _run(tmp_path / "reports", "-m", "maas", "-k", SOME, "-rs", f"--modelrt-kubeconfig={kubeconfig}")
    assert found.code == 0, found.text
    assert re.search(r"maas-not-installed: .*config/kind/install\.sh istio", found.text)
    assert {test["outcome"] for test in found.findings.values()} == {"skipped"}
    assert found.verdicts["maas/model-a"]["outcome"] == "skipped"


def test_a_platform_that_is_there_is_used_as_it_is_and_stays(tmp_path: Path, kubectl: Run, simulator: Path) -> None:
    kubectl("apply", "-k", str(CONFIG / "kind"))
    before = kubectl("get", "llminferenceservice", "model-a", "-n", "llm", "-o", "jsonpath={.metadata.uid}").stdout
    found = _run(tmp_path / "reports", "-m", "maas", "-k", SOME, f"--modelrt-kubeconfig={simulator}")
    assert found.code == 0, found.text
    after = kubectl("get", "llminferenceservice", "model-a", "-n", "llm", "-o", "jsonpath={.metadata.uid}").stdout
    assert after == before
    ours = kubectl("get", "serviceaccounts,namespaces", "-A", "-l", "modelrt.io/run-id", "-o", "name").stdout
    assert ours == ""


def _only(kubeconfig: Path) -> dict[str, str]:
    """An environment that names this cluster, and keeps kubectl's cache beside it."""
    return {"KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(kubeconfig.parent / "cache")}


def test_four_workers_share_one_platform_and_the_run_leaves_nothing(tmp_path: Path, kubectl_binary: str) -> None:
    with launcher.start(tmp_path / "sim", speed=60, config_dir=CONFIG, nodes=2) as process:
        kubeconfig = process.wait_ready()
        found = _run(tmp_path / "reports", "-m", "maas", "-k", SOME, "-n", "4", f"--modelrt-kubeconfig={kubeconfig}")
        kinds = "namespaces,clusterroles,kuadrants,authpolicies,ratelimitpolicies,tokenratelimitpolicies"
        command = [kubectl_binary, "get", kinds, "-A", "-l", "modelrt.io/run-id", "-o", "name"]
        left = subprocess.run(command, env=_only(kubeconfig), capture_output=True, text=True, check=True)
    assert found.code == 0, found.text
    assert found.verdicts["maas/model-a"]["outcome"] == "passed"
    assert found.verdicts["maas/model-a"]["facts"]["deployed"]["objects"] > 20
    assert left.stdout == ""


def test_on_the_platforms_own_overlay_what_it_promises_holds_and_the_rest_is_expected_to_fail(
    tmp_path: Path, kubectl_binary: str
) -> None:
    manifest = tmp_path / "as-written.yaml"
    manifest.write_text(yaml.safe_dump_all(as_written.objects()))
    select = f"{SOME} or exactly_its_requests_per_window or test_each_model_mounts or test_the_lookup_knows_the_tier"
    with launcher.start(tmp_path / "sim", speed=30, config_dir=CONFIG, nodes=2) as process:
        kubeconfig = process.wait_ready()
        command = [kubectl_binary, "apply", "-f", str(manifest)]
        subprocess.run(command, env=_only(kubeconfig), capture_output=True, check=True)
        found = _run(tmp_path / "reports", "-m", "maas", "-k", select, f"--modelrt-kubeconfig={kubeconfig}")
    assert found.code == 0, found.text
    outcomes = {name: test["outcome"] for name, test in found.findings.items()}
    expected_to_fail = {name for name, outcome in outcomes.items() if outcome == "skipped"}
    assert expected_to_fail == {
        "test_a_tier_gets_exactly_its_requests_per_window[premium]",
        "test_a_tier_gets_exactly_its_requests_per_window[enterprise]",
        "test_the_lookup_knows_the_tier_of_an_account[premium]",
        "test_the_lookup_knows_the_tier_of_an_account[enterprise]",
        "test_each_model_mounts_a_claim_of_its_own[model-a]",
        "test_each_model_mounts_a_claim_of_its_own[model-b]",
    }
    assert outcomes["test_a_tier_may_ask_its_models_and_no_other[free-model-b]"] == "passed"
