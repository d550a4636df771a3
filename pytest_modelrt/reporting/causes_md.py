"""``docs/causes.md`` from the taxonomy: what each cause means, whose turn it is, and what to do."""

from __future__ import annotations

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.journal.model import Stage

_HEAD = """# Causes

Every test that did not pass names one of these causes, with the lines that prove it. This page is generated from the
data in `pytest_modelrt/diagnosis/causes/` by `python -m pytest_modelrt.reporting.causes_md`; do not edit it.

- **outcome**: `failed` says something about the model, its runtime or its engine; `error` says nothing about the model;
  `skipped` names a precondition nobody here can create.
- **scope**: what else the cause speaks for. `tier` and `campaign` causes count for the circuit breaker.
- **retries**: how often the suite tries again by itself.
"""


def render() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for stage in Stage:
        causes = [cause for cause in CAUSES.values() if cause.stage is stage]
        if not causes:
            continue
        parts.append(f"\n## {stage.value}\n\n| cause | outcome | whose turn | scope | retries | meaning | what to do |")
        parts.append("\n|---|---|---|---|---|---|---|\n")
        parts += [
            f"| `{c.slug}` | {c.outcome.value} | {c.owner.value} | {c.scope.value} | {c.retries} | {c.title} "
            f"| {c.hint.replace('{{', '{').replace('}}', '}')} |\n"
            for c in causes
        ]
    return "".join(parts)


if __name__ == "__main__":
    print(render(), end="")
