"""A canary token in the places it could leak from, and a search for it in everything a run writes."""

from __future__ import annotations

import shutil

import pytest

from tests.selftest.plugin.conftest import CONFIG, SPEED

CANARY = "hf_" + "CANARYcanary0123456789CANARY"
SCENARIO = f"""
models:
- match: smollm-135m
  startup:
    crash:
      at: load_begin
      exit_code: 1
      log: |-
        GET https://huggingface.co Authorization: Bearer {CANARY}
        Scheduler hit an exception: Traceback (most recent call last):
          File "/usr/lib/x.py", line 1, in <module>
        ValueError: refused with token={CANARY}
"""


def test_no_file_and_no_line_holds_a_token(campaign: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    tree = campaign.path / "tree"
    shutil.copytree(CONFIG, tree)
    model = tree / "models/HuggingFaceTB/SmolLM-135M.yaml"
    storage = f"  storage:\n    parameters:\n      token: {CANARY}\n"
    model.write_text(model.read_text().replace("  storage:\n", storage))
    scenario = campaign.path / "leaky.yaml"
    scenario.write_text(SCENARIO)
    result = campaign.runpytest_subprocess(
        "-k", "SmolLM-135M", f"--modelrt-config={tree}", f"--modelrt-scenario={scenario}",
        f"--modelrt-speed={SPEED}", "--junitxml=pages/junit.xml", "--tb=line", "test_campaign.py",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    written = [path for path in (campaign.path / "pages").rglob("*") if path.is_file()]
    assert any("crashloop-unclassified" in path.read_text() for path in written)
    assert [str(path) for path in written if CANARY in path.read_text()] == []
    assert CANARY not in "\n".join([*result.outlines, *result.errlines])
