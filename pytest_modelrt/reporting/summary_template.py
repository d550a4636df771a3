"""The summary page before anything was tested: headings, markers and legend in the users' order."""

from __future__ import annotations

TEMPLATE = """# Model Test Results Summary

**Last Updated**: {updated}

**Cluster**: {cluster}

---

## Quick Stats

| Metric | Count |
|--------|-------|
| **Total Models** | 0 |
| **Passed** | 0 |
| **Failed** | 0 |
| **Skipped** | 0 |
| **Not Tested** | 0 |
| **Pass Rate** | 0.0% |

---

## Results by Status

### Passed Models
<!-- PASSED_START -->
| Vendor | Model | Size | Type | GPUs | Test Date | Notes |
|--------|-------|------|------|------|-----------|-------|
<!-- PASSED_END -->

### Failed Models
<!-- FAILED_START -->
| Vendor | Model | Size | Type | GPUs | Test Date | Failure Reason |
|--------|-------|------|------|------|-----------|----------------|
<!-- FAILED_END -->

### Skipped Models (Gated/Access Issues)
<!-- SKIPPED_START -->
| Vendor | Model | Size | Type | GPUs | Skip Reason |
|--------|-------|------|------|------|-------------|
<!-- SKIPPED_END -->

---

## Results by Vendor

---

## GPUs Held

No run has held any.

---

## Status Legend

| Symbol | Meaning |
|--------|---------|
| ✅ Passed | All tests successful |
| ❌ Failed | Test errors encountered |
| ⏭️ Skipped | Gated model or access issue |
| ⏳ Not Tested | Pending; a note that starts with `infra:` names trouble that says nothing about the model |
| 🔄 In Progress | Currently testing |

---

## How to Update This Summary

Every test run rewrites this page. To render it again from what was recorded:

```bash
modelrt report
```

Text around the tables and rows of models that were not run are kept as they are.

---

## Test Execution Log

<!-- Keep a running log of test executions -->

| Date | Agent | Models Tested | Results |
|------|-------|---------------|---------|
"""

VENDOR_COLUMNS = ("| Model | Status | Test Date | Notes |", "|-------|--------|-----------|-------|")
