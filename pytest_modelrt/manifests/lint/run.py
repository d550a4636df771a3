"""Runs every check over a config tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_modelrt.manifests.lint.findings import Document, Finding, Findings, Severity
from pytest_modelrt.manifests.lint.objects import check_model, check_runtime, check_service
from pytest_modelrt.manifests.lint.relations import check_presence, check_relations, collect
from pytest_modelrt.manifests.lint.schema import check_schema
from pytest_modelrt.manifests.objects import duplicate_keys
from pytest_modelrt.manifests.tree import KINDS, MODEL_KINDS, RUNTIME_KINDS, ConfigTree, ManifestFile
from pytest_modelrt.plan.document import MAX_BYTES, compose
from pytest_modelrt.plan.load import CAMPAIGN, PLAN, display, load_campaign, load_plan, read_text
from pytest_modelrt.plan.model import Campaign, Plan
from pytest_modelrt.plan.problems import ConfigError, Problem

_OURS = {"models", "runtimes", "samples"}
"""Folders whose every YAML file should hold objects; elsewhere only files that name one of our kinds are looked at."""


@dataclass(frozen=True)
class Report:
    """What was looked at and found."""

    findings: tuple[Finding, ...]
    objects: int
    files: int

    def count(self, severity: Severity) -> int:
        """Findings of that severity."""
        return sum(finding.severity == severity for finding in self.findings)


def check_tree(path: Path) -> Report:
    """Lint a config tree, or a single file.

    Raises:
        ConfigError: there is nothing at ``path``.
    """
    tree = ConfigTree(path) if path.is_file() else ConfigTree.load(path)
    root = path.parent if path.is_file() else path
    findings: list[Finding] = []
    plan, campaign = _load(root, findings)
    documents: list[Document] = []
    files = 0
    for file in tree.files():
        before = len(documents)
        try:
            documents.extend(_read(file, root, findings))
        except ConfigError as error:
            findings.extend(Finding(Severity.ERROR, problem) for problem in error.problems)
            files += 1
        files += len(documents) > before
    objects, twice = collect(documents)
    findings += twice
    for document in documents:
        findings.extend(_check_document(document))
    findings.extend(check_relations(objects, plan.cases, campaign))
    if path.is_dir() and (path / PLAN).exists():
        findings.extend(check_presence(objects, plan.cases, display(path / PLAN)))
    ordered = sorted(findings, key=lambda finding: (finding.problem.file, finding.problem.line))
    return Report(tuple(ordered), len(documents), files)


def _load(root: Path, findings: list[Finding]) -> tuple[Plan, Campaign]:
    """The tree's own plan and settings; a broken file is a finding, and checks against it are left out."""
    campaign = Campaign(tiers=())
    try:
        campaign = load_campaign(root)
        return load_plan(root), campaign
    except ConfigError as error:
        findings.extend(Finding(Severity.ERROR, problem) for problem in error.problems)
        return Plan(()), campaign


def _read(path: Path, root: Path, findings: list[Finding]) -> Iterator[Document]:
    if path.parent == root and path.name in (PLAN, CAMPAIGN):
        return
    expected = path == root or bool(_OURS & set(path.relative_to(root).parts[:-1]))
    if not expected and not _mentions(path):
        return
    text = read_text(path)
    if not expected and "{{" in text:
        return  # a template of something else
    for index, node in enumerate(compose(text, display(path))):
        document = Document(ManifestFile(path, index, text))
        for field, line in duplicate_keys(node):
            what = "is given twice, and only one of them counts"
            findings.append(Finding(Severity.ERROR, Problem(display(path), line, field, what, "remove one")))
        if document.kind in KINDS:
            yield document
        elif expected and not document.kind and path.stem != "kustomization":
            findings.append(document.error("kind", "is missing", "write apiVersion, kind and metadata"))


def _mentions(path: Path) -> bool:
    """Whether a file may hold objects of our kinds; schemas of the kinds themselves are larger than any."""
    data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
    return any(f"kind: {kind}".encode() in data for kind in KINDS)


def _check_document(document: Document) -> Findings:
    yield from check_schema(document)
    if document.kind in MODEL_KINDS:
        yield from check_model(document)
    elif document.kind in RUNTIME_KINDS:
        yield from check_runtime(document)
    else:
        yield from check_service(document)
