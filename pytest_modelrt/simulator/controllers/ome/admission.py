"""OME's webhooks, as admission callbacks of the simulated API server (facts: ome.md, 3.1, 4.1, 4.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_modelrt.simulator.apiserver.admission import AdmissionRequest
from pytest_modelrt.simulator.apiserver.errors import StatusError
from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.naming import MODE_ANNOTATION
from pytest_modelrt.simulator.controllers.ome.catalog import Catalog
from pytest_modelrt.simulator.controllers.ome.matching import select_runtime
from pytest_modelrt.simulator.controllers.ome.settings import NAME as SETTINGS_NAME
from pytest_modelrt.simulator.controllers.ome.settings import SettingsError, read_settings
from pytest_modelrt.simulator.controllers.platform import Platform
from pytest_modelrt.simulator.resources import ACCELERATOR_CLASSES, CONFIG_MAPS, OME_NAMESPACE

_NAME = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_SERVER = "ome-webhook-server"
_AUTOSCALERS = ("hpa", "keda", "external")
_METRICS = ("cpu", "memory")
_MULTINODE = (
    "invalid configuration: for MultiNode deployment, both leader and worker must be defined and worker.size must be "
    "greater than 0"
)
_RAW = "invalid configuration: for RawDeployment, leader and worker must not be defined"


class _DeniedError(Exception):
    """The webhook refuses; the text is OME's."""


class Webhooks:
    """Defaulting and validation of InferenceServices, validation of runtimes."""

    def __init__(self, platform: Platform, is_serving: Callable[[], bool]) -> None:
        self._profile = platform.profile
        self._catalog = Catalog(platform)
        self._config_maps = platform.informers.of(CONFIG_MAPS)
        self._accelerators = platform.informers.of(ACCELERATOR_CLASSES)
        self._is_serving = is_serving

    async def __call__(self, request: AdmissionRequest) -> Object | None:
        """Admit a write: returns the changed object or None.

        Raises:
            StatusError: refused, or the webhook's server does not run.
        """
        if request.subresource or request.object is None or request.operation not in ("CREATE", "UPDATE"):
            return None
        if request.resource.group != "ome.io":
            return None
        kind = request.resource.kind
        if kind == "InferenceService":
            self._require_server(f"inferenceservice.{_SERVER}.defaulter")
            changed = self._default(request.object)
            await self._check("inferenceservice", self._check_service, changed, request)
            return changed
        if kind in ("ClusterServingRuntime", "ServingRuntime"):
            self._require_server(f"{kind.lower()}.{_SERVER}.validator")
            await self._check(kind.lower(), self._check_runtime, request.object, request)
        return None

    def _require_server(self, webhook: str) -> None:
        if not self._is_serving():
            text = (
                f'Internal error occurred: failed calling webhook "{webhook}": failed to call webhook: Post '
                f'"https://{_SERVER}-service.ome.svc:443/": no endpoints available for service "{_SERVER}-service"'
            )
            raise StatusError(500, "InternalError", text)

    async def _check(self, kind: str, check: Any, obj: Object, request: AdmissionRequest) -> None:
        try:
            await check(obj, request)
        except _DeniedError as error:
            text = f'admission webhook "{kind}.{_SERVER}.validator" denied the request: {error}'
            raise StatusError(403, "Forbidden", text) from None

    # --- InferenceService

    def _default(self, service: Object) -> Object:
        spec = service["spec"] = dict(service.get("spec") or {})
        annotations = service["metadata"].setdefault("annotations", {})
        if spec.get("predictor"):
            self._migrate(spec, annotations)
        engine, decoder = spec.get("engine"), spec.get("decoder")
        if MODE_ANNOTATION not in annotations:
            annotations[MODE_ANNOTATION] = self._mode(engine, decoder)
        for kind, most in (("engine", 3), ("decoder", 3), ("router", 2)):
            component = spec.get(kind)
            if component is not None:
                component.setdefault("minReplicas", 1)
                component["maxReplicas"] = component.get("maxReplicas") or most
        return service

    def _mode(self, engine: Mapping[str, Any] | None, decoder: Mapping[str, Any] | None) -> str:
        if engine is not None and decoder is not None:
            return "PDDisaggregated"
        if engine and engine.get("leader") and (engine.get("worker") or {}).get("size", 0) > 0:
            return "MultiNode"
        try:
            return read_settings(self._config_maps.get(SETTINGS_NAME, OME_NAMESPACE)).default_mode
        except SettingsError:
            return "RawDeployment"

    def _migrate(self, spec: Object, annotations: Object) -> None:
        predictor = spec.pop("predictor")
        model = predictor.pop("model", None) or {}
        if model.get("baseModel") and "model" not in spec:
            spec["model"] = {"name": model["baseModel"], "kind": "ClusterBaseModel", "apiGroup": "ome.io"}
        if model.get("runtime") and "runtime" not in spec:
            spec["runtime"] = {"name": model["runtime"], "kind": "ClusterServingRuntime", "apiGroup": "ome.io"}
        spec.setdefault("engine", predictor)
        annotations["ome.io/deprecation-warning"] = (
            "The Predictor field is deprecated and will be removed in a future release. Please use Engine and Model "
            "fields instead."
        )

    async def _check_service(self, service: Object, request: AdmissionRequest) -> None:
        metadata, spec = service["metadata"], service["spec"]
        if not re.fullmatch(_NAME, metadata["name"]):
            raise _DeniedError(f'invalid InferenceService name "{metadata["name"]}", must match "{_NAME}"')
        _check_annotations(metadata.get("annotations") or {})
        if spec.get("decoder") is not None and spec.get("engine") is None:
            raise _DeniedError("decoder cannot be specified without engine")
        if self._profile.webhook_checks_model:
            await self._check_model(spec, request.namespace)

    async def _check_model(self, spec: Mapping[str, Any], namespace: str) -> None:
        name = (spec.get("model") or {}).get("name")
        model = await self._catalog.model(name, namespace) if name else None
        if name and model is None:
            raise _DeniedError(
                f'referenced model "{name}" not found in namespace "{namespace}": ensure a BaseModel exists in the '
                "namespace or a ClusterBaseModel exists at cluster scope"
            )
        engine = spec.get("engine")
        if engine is None or spec.get("runtime") or (engine.get("runner") or {}).get("image"):
            return
        if model is None:
            raise _DeniedError(
                "model reference is required when runtime is not specified and engine does not have complete runner "
                "configuration"
            )
        if model["spec"].get("disabled"):
            raise _DeniedError(f"model {name} is disabled")
        selection = select_runtime(model["spec"], namespace, *self._catalog.runtimes(namespace), self._profile)
        if selection.runtime is None:
            raise _DeniedError(
                f"no supporting runtime found for model {name} and engine does not have complete runner configuration: "
                f"{selection.problem}"
            )

    # --- runtimes

    async def _check_runtime(self, runtime: Object, request: AdmissionRequest) -> None:
        spec = runtime.get("spec") or {}
        if spec.get("disabled"):
            return
        cluster_scoped = request.resource.kind == "ClusterServingRuntime"
        if self._profile.runtime_worker_check or not cluster_scoped:
            _check_workers(spec)
            wanted = (spec.get("acceleratorRequirements") or {}).get("acceleratorClasses") or []
            unknown = [name for name in wanted if self._accelerators.get(name) is None]
            if unknown:
                listed = " ".join(unknown)
                raise _DeniedError(f"unknown accelerator classes referenced in AcceleratorRequirements: [{listed}]")
        if any(self._catalog.runtimes(request.namespace)):
            _check_priorities(request.resource.kind, runtime)


def _check_annotations(annotations: Mapping[str, str]) -> None:
    autoscaler = annotations.get("ome.io/autoscalerClass")
    if autoscaler is not None and autoscaler not in _AUTOSCALERS:
        raise _DeniedError(f"[{autoscaler}] is not a supported autoscaler class type")
    metric = annotations.get("ome.io/metrics")
    if metric is not None and metric not in _METRICS:
        raise _DeniedError(f"[{metric}] is not a supported metric")
    share = annotations.get("ome.io/targetUtilizationPercentage")
    if share is not None and not (share.isdigit() and 1 <= int(share) <= 100):
        raise _DeniedError("the target utilization percentage should be a [1-100] integer")


def _check_workers(spec: Mapping[str, Any]) -> None:
    workers = spec.get("workers")
    environment = {
        entry["name"]: entry.get("value")
        for container in spec.get("containers") or []
        for entry in container.get("env") or []
    }
    mode = environment.get("DEPLOYMENT_MODE")
    if mode == "RawDeployment" and workers is not None:
        raise _DeniedError(_RAW)
    if (workers is not None and int(workers.get("size", 0)) <= 0) or (mode == "MultiNode" and workers is None):
        raise _DeniedError(_MULTINODE)


def _check_priorities(kind: str, runtime: Object) -> None:
    priorities: dict[str, Any] = {}
    for entry in runtime["spec"].get("supportedModelFormats") or []:
        if not entry.get("autoSelect"):
            continue
        name = entry.get("name", "")
        if priorities.setdefault(name, entry.get("priority")) != entry.get("priority"):
            raise _DeniedError(
                f"different priorities assigned for the model format {name} under the {kind.lower()} "
                f"{runtime['metadata']['name']}"
            )
