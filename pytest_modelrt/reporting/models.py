"""The models a page speaks of, and how to recognise them in rows that people wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pytest_modelrt.journal.results import Result, key_of
from pytest_modelrt.plan.model import Case


@dataclass(frozen=True, slots=True)
class Model:
    """A row of the plan, or a model that was tested and is no longer in it."""

    key: str
    vendor: str
    name: str
    resource_name: str
    hub_id: str
    size: str
    type: str
    gpus: str
    planned: bool = True

    @classmethod
    def of_case(cls, case: Case) -> Model:
        """The model of a plan row."""
        key = key_of(case.vendor, case.resource_name, case.hub_id)
        return cls(key, case.vendor, case.name, case.resource_name, case.hub_id, case.size, case.type, case.gpus_text)

    @classmethod
    def of_result(cls, result: Result) -> Model:
        """The model of a result that has no plan row."""
        r = result
        return cls(r.key, r.vendor, r.name, r.resource_name, r.hub_id, r.size, r.type, r.gpus, planned=False)


def models_of(cases: Iterable[Case], results: Iterable[Result]) -> list[Model]:
    """Every model of the plan in its order, then those only the results know."""
    found = {model.key: model for model in map(Model.of_case, cases)}
    for result in results:
        found.setdefault(result.key, Model.of_result(result))
    return list(found.values())


class Names:
    """Finds the model that a row means: by plan name, object name or hub name, under the vendor's name or hub owner."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._by_name: dict[tuple[str, str], Model] = {}
        self._vendor: dict[str, str] = {}
        known = list(models)
        for model in known:
            self._vendor.setdefault(plain(model.vendor), model.vendor)
            for name in (model.name, model.resource_name):
                self._by_name.setdefault((plain(model.vendor), plain(name)), model)
        for model in known:
            owner, _, hub_name = model.hub_id.rpartition("/")
            self._vendor.setdefault(plain(owner), model.vendor)
            for vendor in (plain(model.vendor), plain(owner)):
                for name in (model.name, model.resource_name, hub_name):
                    self._by_name.setdefault((vendor, plain(name)), model)

    def find(self, vendor: str, name: str) -> Model | None:
        """The model, or None when only the page knows it."""
        exact = self._by_name.get((plain(vendor), plain(name)))
        return exact or self._by_name.get((plain(self.vendor(vendor)), plain(name)))

    def key(self, vendor: str, name: str) -> str:
        """Key of the model, or one made up of what the page says."""
        model = self.find(vendor, name)
        return model.key if model else f"{plain(self.vendor(vendor))}/{plain(name)}"

    def vendor(self, name: str) -> str:
        """The plan's name of a vendor that a page may call by its hub owner."""
        return self._vendor.get(plain(name), name)


@lru_cache(maxsize=65536)
def plain(text: str) -> str:
    """Spelling-blind form: ``Llama-3.1-8B`` and ``llama-3-1-8b`` are the same."""
    return re.sub(r"[^0-9a-z]+", "-", text.strip().strip("`*").rsplit("/", 1)[-1].lower()).strip("-")
