"""One model of a vendor page: files, steps as measured, trouble with its proof, cleanup (facts: formats 3)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from pytest_modelrt.journal.model import Outcome, Stage
from pytest_modelrt.journal.results import Result
from pytest_modelrt.plan.model import Case
from pytest_modelrt.reporting.markdown import block, cell, code
from pytest_modelrt.reporting.wording import endpoint, minutes, status

OK, BAD, NOT_REACHED = "✅ Success", "❌ Failed", "⏳ Not reached"
_ORDER = (Stage.PREFLIGHT, Stage.MODEL, Stage.RUNTIME, Stage.SERVICE, Stage.PROBE)


def details(result: Result, case: Case | None, change: str = "") -> list[str]:
    """Lines of the section of one tested model; ``change``: what is new since earlier runs."""
    lines = [f"### {cell(result.name)}", "", f"**Result**: {status(result)}{_attempt(result)}", ""]
    lines += [f"**Since earlier runs**: {cell(change)}", ""] if change else []
    lines += _files(result) + _steps(result) + _usage(result, case) + _issues(result) + _cleanup(result)
    return [*lines, "---", ""]


def stage_state(result: Result, stage: Stage) -> str:
    """Whether a stage was done, failed, or never reached."""
    verdict = result.verdict
    if verdict.outcome is Outcome.PASSED:
        return OK
    if verdict.stage is stage:
        return BAD
    ended = verdict.stage if verdict.stage in _ORDER else None
    if stage in verdict.stages and (ended is None or _ORDER.index(stage) < _ORDER.index(ended)):
        return OK
    return NOT_REACHED


def _attempt(result: Result) -> str:
    verdict = result.verdict
    parts = [f"{verdict.started} to {verdict.finished}", f"run {code(result.run_id)}", result.runner]
    if verdict.retries:
        parts.append(f"{verdict.retries} retries")
    if result.simulated:
        parts.append("simulated cluster")
    return f" ({', '.join(parts)})"


def _files(result: Result) -> list[str]:
    given = result.verdict.facts.get("files")
    files: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    vendor, name = result.vendor, result.resource_name
    usual = {
        "Model": f"models/{vendor}/{result.name}.yaml",
        "Runtime": f"runtimes/srt/{vendor}/{name}-rt.yaml",
        "InferenceService": f"samples/isvc/{vendor}/{name}.yaml",
    }
    keys = {"Model": "model", "Runtime": "runtime", "InferenceService": "service"}
    lines = [f"- {title}: {code(files.get(keys[title]) or path)}" for title, path in usual.items()]
    return ["**Config Files**:", *lines, ""]


def _steps(result: Result) -> list[str]:
    verdict = result.verdict
    facts = verdict.facts
    nodes = f" ({facts['nodes_ready']} nodes ready)" if "nodes_ready" in facts else ""
    return [
        "**Test Steps**:",
        "1. Applied Model",
        f"   - Status: {stage_state(result, Stage.MODEL)}",
        f"   - Time to Ready: {minutes(result.download)}{_ahead(result)}{nodes}",
        "2. Applied Runtime",
        f"   - Status: {stage_state(result, Stage.RUNTIME)}",
        "3. Created Namespace",
        f"   - Status: {stage_state(result, Stage.SERVICE)}",
        "4. Applied InferenceService",
        f"   - Status: {stage_state(result, Stage.SERVICE)}",
        f"   - Time to Ready: {minutes(verdict.stages.get(Stage.SERVICE))}",
        "5. Inference Test",
        *_probe(result),
        "",
    ]


def _ahead(result: Result) -> str:
    return f", {result.hidden_download / 60:.1f} of them before the case began" if result.hidden_download >= 1 else ""


def _probe(result: Result) -> list[str]:
    facts = result.verdict.facts
    command = curl(result)
    name = result.resource_name
    forward = f"kubectl port-forward svc/{name}-engine 8080:8080 -n {name}"
    lines = ["", "   ```bash", f"   {forward} &", *(f"   {line}" for line in command), "   ```", ""] if command else []
    lines.append(f"   - Status: {stage_state(result, Stage.PROBE)}")
    if "latency_ms" in facts:
        lines.append(f"   - Response Time: {facts['latency_ms']} ms ({endpoint(result)})")
    if facts.get("answer"):
        lines.append(f"   - Answer: {code(str(facts['answer'])[:300])}")
    for title, key in (("Checked", "checked"), ("Not checked", "not_checked")):
        said = facts.get(key)
        if isinstance(said, list | tuple) and said:
            lines.append(f"   - {title}: {cell('; '.join(map(str, said)))}")
    return lines


def curl(result: Result) -> list[str]:
    """The request that decided, as a command; empty when no request was made."""
    exchange = deciding_exchange(result)
    if exchange is None:
        return []
    path = "/" + str(exchange.get("url", "")).split("://", 1)[-1].partition("/")[2]
    lines = [f"curl -s http://localhost:8080{path}"]
    request = str(exchange.get("request") or "")
    if request:
        lines[0] += " \\"
        lines += ['  -H "Content-Type: application/json" \\', f"  -d {shlex.quote(_pretty(request))}"]
        if "…[" in request:
            lines.append("# the request is shortened here; the probe sent a picture of known content")
    return lines


def deciding_exchange(result: Result) -> Mapping[str, Any] | None:
    """The last request to the endpoint that answered before the negative control, else the last of all."""
    path = str(result.verdict.facts.get("endpoint") or "")
    posts = [item for item in result.exchanges if item.get("method") == "POST"]
    asked = [item for item in posts if path and str(item.get("url", "")).endswith(path)]
    sound = [item for item in asked if item.get("status") == 200]
    if result.verdict.outcome is Outcome.PASSED and sound:
        return sound[0]
    return next(reversed(asked or posts or list(result.exchanges)), None)


def _pretty(request: str) -> str:
    try:
        return json.dumps(json.loads(request), ensure_ascii=False)
    except ValueError:
        return request


def _usage(result: Result, case: Case | None) -> list[str]:
    facts = result.verdict.facts
    memory = f"{case.gpu_weights_bytes / 1e9:.1f} GB of weights on the GPUs" if case else "-"
    pods = f"{facts['pods']} running" if "pods" in facts else "-"
    nodes = facts.get("nodes")
    where = f" on {', '.join(map(str, nodes))}" if isinstance(nodes, list | tuple) and nodes else ""
    return ["**Resource Usage**:", f"- GPUs: {result.gpus}", f"- Memory: {memory}", f"- Pods: {pods}{where}", ""]


def _issues(result: Result) -> list[str]:
    verdict = result.verdict
    lines = []
    if verdict.cause or verdict.outcome is not Outcome.PASSED:
        owner = f", owner {verdict.owner}" if verdict.owner else ""
        lines.append(f"- {code(verdict.cause or str(verdict.outcome))} in stage {verdict.stage or '-'}{owner}")
        lines += [f"- {cell(verdict.summary)}"] if verdict.summary else []
        lines += [f"- Next: {cell(verdict.hint)}"] if verdict.hint else []
    lines += [f"- Warning: {cell(text)}" for text in verdict.warnings]
    lines += [f"- Repair: {repair_text(repair)}" for repair in result.repairs]
    lines += evidence_block(result)
    return ["**Issues Encountered**:" + ("" if lines else " None"), *lines, ""]


def evidence_block(result: Result) -> list[str]:
    """The lines that prove the cause, with their source, as a code block."""
    lines = [f"{line.source}: {' '.join(line.text.split())[:400]}" for line in result.verdict.evidence]
    if not lines:
        return []
    fence = block("\n".join(lines))
    return ["- Evidence:", "", f"{fence}text", *lines, fence]


def repair_text(repair: Mapping[str, Any]) -> str:
    """``file: field: old -> new (rule)``."""
    where = ": ".join(code(repair[key]) for key in ("file", "field") if repair.get(key))
    change = f"{code(repair.get('old'))} -> {code(repair.get('new'))}" if "new" in repair else ""
    rule = f"({cell(repair['rule'])})" if repair.get("rule") else ""
    said = " ".join(part for part in (f"{where}:" if where and change else where, change, rule) if part)
    return said or cell(json.dumps(dict(repair), ensure_ascii=False, default=str))


def _cleanup(result: Result) -> list[str]:
    name = result.resource_name
    took = result.verdict.stages.get(Stage.CLEANUP)
    return [
        "**Cleanup**:",
        "",
        "```bash",
        f"kubectl delete inferenceservice {name} -n {name}",
        f"kubectl delete namespace {name} --wait=true",
        f"kubectl delete clusterservingruntime {result.runtime_name or f'srt-{name}'}",
        f"kubectl delete clusterbasemodel {name}",
        "```",
        "",
        f"Done by the suite: {'not reached' if took is None else f'{took:.0f} s'}",
        "",
    ]
