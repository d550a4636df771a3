"""Which models share engine image and architecture, as their files say before anything is downloaded."""

from __future__ import annotations

from pytest_modelrt.manifests.objects import mapping, sequence
from pytest_modelrt.manifests.tree import ConfigTree
from pytest_modelrt.plan.model import Case
from pytest_modelrt.plan.problems import ConfigError
from pytest_modelrt.session.run import Run


class Families:
    """Reads the files of a case once."""

    def __init__(self, run: Run) -> None:
        self._tree = ConfigTree.load(run.settings.config)
        self._known: dict[str, frozenset[tuple[str, str]]] = {}

    def of(self, case: Case) -> frozenset[tuple[str, str]]:
        """Pairs of image and architecture; none where the files do not say."""
        if case.id not in self._known:
            self._known[case.id] = self._read(case)
        return self._known[case.id]

    def _read(self, case: Case) -> frozenset[tuple[str, str]]:
        try:
            files = self._tree.case(case)
            model = files.model.object if files.model is not None else {}
            runtime = files.runtime.object if files.runtime is not None else {}
        except ConfigError:
            return frozenset()  # its own preflight will say what is wrong
        engine = mapping(mapping(runtime, "spec"), "engineConfig")
        image = str(mapping(mapping(engine, "leader") or engine, "runner").get("image") or "")
        own = mapping(model, "spec").get("modelArchitecture")
        formats = sequence(mapping(runtime, "spec"), "supportedModelFormats")
        served = [entry.get("modelArchitecture") for entry in formats if isinstance(entry, dict)]
        return frozenset((image, str(name)) for name in ([own] if own else served) if image and name)
