"""Canaries in every place a secret could leak from, and a search for them in everything a run writes."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pytest_modelrt import launcher
from tests.selftest.plugin.conftest import CONFIG, SPEED


def canary(place: str) -> str:
    """Looks like nothing in particular; no two have a piece in common."""
    digest = hashlib.sha256(place.encode()).hexdigest()
    return f"{digest[:16]}+/.{digest[16:32]}"


ENVIRONMENT, SECRET, MODEL_FILE, RUNTIME_FILE, URL = map(canary, ("environment", "secret", "model", "runtime", "url"))
HUB = "hf_" + "HubCanary0123456789ABC"
"""Of somebody else: nobody can know it by value, it must look like a token."""
ANYWHERE = f"{ENVIRONMENT} {SECRET} {HUB}"
IN_BASE64 = base64.b64encode(f"user:{SECRET}".encode()).decode()

SCENARIO = {
    "models": [
        {
            "match": "smollm-135m",
            "startup": {
                "crash": {
                    "at": "load_begin",
                    "exit_code": 1,
                    "log": f"GET https://hub/x?token={URL} Authorization: Basic {IN_BASE64}\n"
                    "Scheduler hit an exception: Traceback (most recent call last):\n"
                    '  File "/usr/lib/x.py", line 1, in <module>\n'
                    f"ValueError: refused: {ANYWHERE} {MODEL_FILE} {RUNTIME_FILE}",
                }
            },
        },
        {"match": "smollm-360m", "download": {"error": f"HTTP 401 Unauthorized for {ANYWHERE}", "nodes_failed": 14}},
        {
            "match": "smollm-1-7b",
            "http": [{"path": "/v1/*", "status": 400, "body": {"object": "error", "message": f"you sent {ANYWHERE}"}}],
        },
        {"match": "qwen2-5-0-5b", "generation": {"text": f"The answer is {ANYWHERE}"}},
    ],
    "timeline": [
        {
            "object": "InferenceService/*/*",
            "event": {"type": "Warning", "reason": "InternalError", "message": f"cannot use {ANYWHERE}"},
        }
    ],
}

TESTS = """
import logging, os, warnings
import pytest
from pytest_modelrt.cluster.model import ClusterError

def test_model(probe):
    assert probe().answer

@pytest.mark.parametrize("what", ["error"])
def test_own_code(what, case, endpoint):
    token = os.environ["HF_TOKEN"]
    headers = {"Authorization": "Bearer " + token, "padding": "x" * 300}
    print("out", token)
    logging.getLogger("user").warning("log %s", token)
    try:
        raise ValueError(token)
    except ValueError:
        logging.getLogger("user").exception("with traceback")
    warnings.warn("warning " + token)
    answer = endpoint.get("/v1/models", params={"token": token}, headers=headers)
    assert answer.status_code == 418, headers

@pytest.mark.parametrize("what", ["refused"])
def test_no_fault_of_the_model(what, case, _modelrt_life):
    raise ClusterError("refused " + os.environ["HF_TOKEN"])

@pytest.mark.parametrize("what", ["raised"])
def test_exception(what, case):
    raise RuntimeError("exception " + os.environ["HF_TOKEN"] + open(os.environ["KUBECONFIG_CANARY"]).read())
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """A simulated cluster where the hub's token is a canary, and engines, agents and answers tell everything."""
    scenario = tmp_path / "leaky.yaml"
    scenario.write_text(yaml.safe_dump(SCENARIO))
    with launcher.start(tmp_path / "sim", speed=SPEED, config_dir=CONFIG, scenario=str(scenario)) as process:
        path = process.wait_ready()
        patch = json.dumps({"stringData": {"token": SECRET}})
        command = ["kubectl", "--kubeconfig", str(path), "patch", "secret", "hf-token", "-n", "ome", "-p", patch]
        subprocess.run([*command, "--cache-dir", str(tmp_path / "cache")], check=True, capture_output=True)
        yield path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A config tree with secrets in two files."""
    tree = tmp_path / "tree"
    shutil.copytree(CONFIG, tree)
    model = tree / "models/HuggingFaceTB/SmolLM-135M.yaml"
    storage = f"  storage:\n    parameters:\n      token: {MODEL_FILE}\n"
    model.write_text(model.read_text().replace("  storage:\n", storage))
    runtime = tree / "runtimes/srt/HuggingFaceTB/smollm-135m-rt.yaml"
    environment = f"      env:\n      - name: HF_TOKEN\n        value: {RUNTIME_FILE}\n"
    runtime.write_text(runtime.read_text().replace("    runner:\n", f"    runner:\n{environment}", 1))
    return tree


def test_no_file_and_no_line_holds_a_secret(
    campaign: pytest.Pytester, kubeconfig: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", ENVIRONMENT)
    monkeypatch.setenv("KUBECONFIG_CANARY", str(kubeconfig))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(campaign.path / "github.md"))
    campaign.makepyfile(test_campaign=TESTS)
    result = campaign.runpytest_subprocess(
        "-k", "(test_model and SmolLM) or Qwen2.5-0.5B", "-n", "3", f"--modelrt-config={tree}",
        f"--modelrt-kubeconfig={kubeconfig}", "--junitxml=junit.xml", "--showlocals", "--log-level=INFO",
        "--log-file=log.txt", "-rA", "-o", "junit_logging=all", "test_campaign.py",
    )  # fmt: skip
    said = "\n".join([*result.outlines, *result.errlines])
    (kubeconfig_token,) = [user["user"]["token"] for user in yaml.safe_load(kubeconfig.read_text())["users"]]
    canaries = [ENVIRONMENT, SECRET, MODEL_FILE, RUNTIME_FILE, URL, HUB, IN_BASE64, kubeconfig_token]
    files = {
        str(path): path.read_bytes().decode("utf-8", "replace") for path in campaign.path.rglob("*") if path.is_file()
    }
    leaks = [
        (canary, name)
        for name, text in {**files, "terminal": said}.items()
        for canary in canaries
        if canary in text or canary[:16] in text or canary[-16:] in text
    ]
    assert leaks == []
    result.assert_outcomes(passed=1, failed=4, skipped=1, errors=1)
    assert "ValueError: refused: *** *** ***" in said
    assert "token      = '***'" in said
    assert "out ***" in files[str(campaign.path / "junit.xml")]
    assert "log ***" in files[str(campaign.path / "junit.xml")]
    (bundle,) = [text for name, text in files.items() if "/evidence/smollm-135m" in name]
    assert "Authorization: Basic ***" in bundle
