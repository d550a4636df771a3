"""A summary that people wrote and edited by hand: only what is ours may change."""

from __future__ import annotations

import difflib
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_modelrt.plan.model import Campaign, Case, Plan
from pytest_modelrt.reporting.pages import RunPages
from tests.selftest.reporting.campaign import START, TROUBLES, Clockwork, Trouble
from tests.selftest.reporting.read_summary import read

SUMMARY = "test-results-summary.md"
HAND_MADE = """# Model Test Results Summary

**Last Updated**: 2025-12-05 10:11:12 UTC

**Cluster**: 14x H100 nodes (8 cards each, 80GB/card, 30TB local disk/node)

> Ask Ada before you rerun the big ones. Done:    yes

---

## Quick Stats

| Metric           | Count |
|------------------|-------|
| **Total Models** | 99    |
| **Passed**       | 7     |
| **Failed**       | 1     |
| **Skipped**      | 0     |
| **Not Tested**   | 0     |
| **Pass Rate**    | 35.8% |

---

## Results by Status

### Passed Models
<!-- PASSED_START -->
| Vendor     | Model                  | Size | Type     | GPUs | Test Date  | Notes                  |
|------------|------------------------|------|----------|------|------------|------------------------|
| meta-llama | Llama-3.2-1B-Instruct  | 1B   | Instruct | 1    | 2025-12-02 | Download: ~30min, fine |
| Qwen       | Qwen3-8B               | 8B   | Base     | 1    | 2025-12-03 | by hand, a \\| bar      |
| somewhere  | not-in-the-plan-7b     | 7B   | Chat     | 1    | 2025-12-03 | ours no more           |

<!-- PASSED_END -->

### Failed Models
<!--FAILED_START-->
| Vendor | Model | Size | Type | GPUs | Test Date | Failure Reason |
|--------|-------|------|------|------|-----------|----------------|
| microsoft | phi-2 | 2.7B | Base | 1 | 2025-12-02 | No module named vllm |
| google | gemma-2-9b | 9B | Base | 1 | 2025-12-02 | once broken |
<!-- FAILED_END -->

### Skipped Models (Gated/Access Issues)
<!-- SKIPPED_START -->
| Vendor | Model | Size | Type | GPUs | Skip Reason |
|--------|-------|------|------|------|-------------|
| xai-org | grok-1 | 314B | MoE | 16+ | raw checkpoint |
<!-- SKIPPED_END -->

---

## Results by Vendor

### bigscience (0/1)
| Model | Status | Test Date | Notes |
|-------|--------|-----------|-------|
| bloomz-7b1 | ❌ Failed | 2025-12-02 | only here, not in the table above |

### google (9/2, and some words)
| Model | Status | Test Date | Notes |
|-------|--------|-----------|-------|
| gemma-2-9b | ❌ Failed | 2025-12-02 | once broken |
| gemma-3-1b-it | ⏳ Not Tested | - | - |

### meta-llama (1/1)
| Model | Status | Test Date | Notes |
|-------|--------|-----------|-------|
| llama-3-2-1b-instruct | ✅ Passed | 2025-12-02 | Download: ~30min, fine |

### microsoft (0/1)
| Model | Status | Test Date | Notes |
|-------|--------|-----------|-------|
| phi-2 | ❌ Failed | 2025-12-02 | No module named vllm |

### Qwen (5/21, 2 skipped)
| Model | Status | Test Date | Notes |
|-------|--------|-----------|-------|
| qwen3-8b | ⏳ Not Tested | - | - |
| qwen3-4b | ⏭ Skipped | 2025-12-03 | no variation selector |

### somewhere (1/1)
| Model | Status | Test Date | Notes |
|-------|--------|-----------|-------|
| not-in-the-plan-7b | ✅ Passed | 2025-12-03 | ours no more |

### xai-org (0/1, 1 skipped)
| Model | Status | Test Date | Notes |
|-------|--------|-----------|-------|
| grok-1 | ⏭️ Skipped | 2025-12-03 | raw checkpoint |

---

## Status Legend

| Symbol | Meaning |
|--------|---------|
| ✅ Passed | All tests successful |
| 🥨 Pretzel | Our own symbol |

---

## How to Update This Summary

### 1. Mark the model

```markdown
### Qwen (1/1)
<!-- PASSED_START -->
| qwen3-8b | ✅ Passed | 2025-01-01 | an example, not a row |
```

---

## Test Execution Log

<!-- Keep a running log of test executions -->

| Date | Agent | Models Tested | Results |
|------|-------|---------------|---------|
| 2025-12-02 02:31 | Agent-1 | microsoft/phi-2 | ❌ Failed - by hand |

## Our Own Section

trailing spaces stay   \tand this byte too: \udcff
no newline at the end"""


def case_named(plan: Plan, name: str) -> Case:
    return next(case for case in plan.cases if case.name == name)


def run_on(
    reports: Path,
    plan: Plan,
    campaign: Campaign,
    names: list[str],
    troubles: dict[str, Trouble] | None = None,
    day: int = 0,
) -> None:
    cases = [case_named(plan, name) for name in names]
    named = {case_named(plan, name).id: trouble for name, trouble in (troubles or {}).items()}
    run = Clockwork(reports, cases, named, run_id=f"run-{day}", started=START + timedelta(days=day))
    run.write()
    RunPages(reports, plan, campaign, run.directory).update()


@pytest.fixture(params=["\n", "\r\n"], ids=["LF", "CRLF"])
def page(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / SUMMARY
    path.write_bytes(HAND_MADE.replace("\n", request.param).encode("utf-8", "surrogateescape"))
    return path


def changes(before: bytes, after: bytes) -> tuple[list[bytes], list[bytes]]:
    """Lines removed and lines added, with their endings."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    removed, added = [], []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            removed += old[i1:i2]
            added += new[j1:j2]
    return removed, added


def test_only_ours_changes(page: Path, plan: Plan, campaign: Campaign) -> None:
    before = page.read_bytes()
    run_on(page.parent, plan, campaign, ["gemma-2-9b", "gemma-3-1b-it"], {"gemma-3-1b-it": TROUBLES[0]})
    after = page.read_bytes()
    removed, _ = changes(before, after)
    ending = b"\r\n" if b"\r\n" in before else b"\n"
    gone = [line.removesuffix(ending).decode("utf-8", "surrogateescape") for line in removed]
    assert gone == [
        "**Last Updated**: 2025-12-05 10:11:12 UTC",
        "| **Total Models** | 99    |",
        "| **Passed**       | 7     |",
        "| **Failed**       | 1     |",
        "| **Skipped**      | 0     |",
        "| **Not Tested**   | 0     |",
        "| **Pass Rate**    | 35.8% |",
        "| google | gemma-2-9b | 9B | Base | 1 | 2025-12-02 | once broken |",
        "### google (9/2, and some words)",
        "| gemma-2-9b | ❌ Failed | 2025-12-02 | once broken |",
        "| gemma-3-1b-it | ⏳ Not Tested | - | - |",
        "### meta-llama (1/1)",
        "### microsoft (0/1)",
        "### Qwen (5/21, 2 skipped)",
        "| qwen3-8b | ⏳ Not Tested | - | - |",
    ]
    assert b"\n" not in after.replace(b"\r\n", b"") or ending == b"\n"
    assert after.endswith(b"and this byte too: \xff" + ending + b"no newline at the end")
    summary = read(page)
    summary.assert_adds_up()
    assert summary.headers["google"] == "(1/9, and some words)"
    assert summary.headers["Qwen"] == "(1/25, 1 skipped)"
    assert summary.headers["meta-llama"] == "(1/18)"
    assert "meta" not in summary.vendors
    assert summary.vendors["google"][0][:3] == ["gemma-2-9b", "✅ Passed", "2026-01-31"]
    assert summary.vendors["google"][1][:3] == ["gemma-3-1b-it", "❌ Failed", "2026-01-31"]
    assert summary.vendors["Qwen"][0] == ["qwen3-8b", "✅ Passed", "2025-12-03", r"by hand, a \| bar"]
    assert ["bigscience", "bloomz-7b1", "-", "-", "-", "2025-12-02", "only here, not in the table above"] in (
        summary.tables["FAILED"]
    )
    assert [row[:3] for row in summary.log] == [
        ["2025-12-02 02:31", "Agent-1", "microsoft/phi-2"],
        ["2026-01-31 12:00", "pytest-modelrt 0.1.0 (gw1)", "google/gemma-3-1b-it"],
        ["2026-01-31 12:00", "pytest-modelrt 0.1.0 (gw0)", "google/gemma-2-9b"],
    ]
    assert summary.stats["Total Models"] == str(157 + 2)


def test_doing_it_again_changes_nothing(page: Path, plan: Plan, campaign: Campaign) -> None:
    run_on(page.parent, plan, campaign, ["gemma-2-9b", "phi-2"])
    before = page.read_bytes()
    pages = RunPages(page.parent, plan, campaign, page.parent / "runs" / "run-0")
    assert pages.update() == []
    assert page.read_bytes() == before


def test_what_people_change_after_a_run_stays(page: Path, plan: Plan, campaign: Campaign) -> None:
    run_on(page.parent, plan, campaign, ["phi-2"], {"phi-2": TROUBLES[0]})
    text = page.read_bytes()
    edited = text.replace(
        b"crashloop-missing-module: ModuleNotFoundError", b"We know, see the wiki: ModuleNotFoundError"
    )
    assert edited != text
    page.write_bytes(edited)
    run_on(page.parent, plan, campaign, ["gemma-2-9b"], day=1)
    assert page.read_bytes().count(b"We know, see the wiki") == edited.count(b"We know, see the wiki")
    run_on(page.parent, plan, campaign, ["phi-2"], day=2)
    summary = read(page)
    summary.assert_adds_up()
    assert [row[1] for row in summary.vendors["microsoft"] if row[0] == "phi-2"] == ["✅ Passed"]
    assert [row[2] for row in summary.log].count("microsoft/phi-2") == 3  # a pass does not erase what was before


def test_a_verdict_replaces_the_one_of_another_table(page: Path, plan: Plan, campaign: Campaign) -> None:
    run_on(page.parent, plan, campaign, ["grok-1", "phi-2"], {"phi-2": TROUBLES[2]})
    summary = read(page)
    summary.assert_adds_up()
    assert [row[1] for row in summary.tables["SKIPPED"]] == ["phi-2", "qwen3-4b"]
    assert "grok-1" in [row[1] for row in summary.tables["PASSED"]]


def test_a_page_that_is_not_ours_is_kept_aside(tmp_path: Path, plan: Plan, campaign: Campaign) -> None:
    page = tmp_path / SUMMARY
    page.write_text("# My own notes\n")
    run_on(tmp_path, plan, campaign, ["phi-2"])
    read(page).assert_adds_up()
    assert (tmp_path / f"{SUMMARY}.orig").read_text() == "# My own notes\n"
