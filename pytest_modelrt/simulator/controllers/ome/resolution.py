"""From a service to the model and runtime it means, checked against each other (facts: ome.md, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.ome.catalog import Catalog
from pytest_modelrt.simulator.controllers.ome.matching import MismatchError, check_runtime, select_runtime
from pytest_modelrt.simulator.controllers.profile import Profile


class ReconcileError(Exception):
    """A reconcile ends early; ``reason`` names the event, empty for a line in the log only."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def find_model(catalog: Catalog, service: Object) -> Object | None:
    """The model of a service, ``None`` if it names none. A disabled one is for the caller to refuse.

    Raises:
        ReconcileError: there is no such model; without an event, as the first step that needs it has none.
    """
    named = (service["spec"].get("model") or {}).get("name")
    if not named:
        return None
    model = await catalog.model(named, service["metadata"]["namespace"])
    if model is None:
        raise ReconcileError("", f'fails to reconcile modelconfig: basemodel.ome.io "{named}" not found')
    return model


async def find_runtime(catalog: Catalog, service: Object, model: Object | None, profile: Profile) -> Object | None:
    """The runtime a service names, or the best one for its model; ``None`` if its engine brings its own container.

    Raises:
        ReconcileError: missing, disabled, incompatible, or none to select.
    """
    namespace, spec = service["metadata"]["namespace"], service["spec"]
    named = (spec.get("runtime") or {}).get("name")
    if named:
        return await _named_runtime(catalog, named, namespace, model, profile)
    if model is None:
        if _has_own_image(spec):
            return None
        raise ReconcileError("ModelReconcileError", "Failed to reconcile model: model reference is required")
    selection = select_runtime(model["spec"], namespace, *catalog.runtimes(namespace), profile)
    if selection.runtime is None:
        text = f"Failed to find runtime for model {model['metadata']['name']}: {selection.problem}"
        raise ReconcileError("RuntimeSelectionError", text)
    return selection.runtime


async def _named_runtime(
    catalog: Catalog, named: str, namespace: str, model: Object | None, profile: Profile
) -> Object:
    runtime = await catalog.runtime(named, namespace)
    try:
        if runtime is None:
            raise MismatchError(f"runtime {named} not found in namespace {namespace} or at cluster scope")
        if runtime["spec"].get("disabled"):
            scope = "namespace" if runtime["metadata"].get("namespace") else "cluster"
            raise MismatchError(f"{scope}-scoped runtime {named} is disabled")
        if model is not None:
            check_runtime(named, runtime["spec"], model["spec"], profile)
    except MismatchError as error:
        model_name = model["metadata"]["name"] if model else ""
        text = f"Runtime {named} does not support model {model_name}: {error}"
        raise ReconcileError("RuntimeValidationError", text) from None
    return runtime


def _has_own_image(spec: Mapping[str, Any]) -> bool:
    return bool(((spec.get("engine") or {}).get("runner") or {}).get("image"))
