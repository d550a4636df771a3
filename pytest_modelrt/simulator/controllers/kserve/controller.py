"""Reconciles LLMInferenceServices: presets, workload, router, status (facts: maas-kind.md, 1.2 to 1.5)."""

from __future__ import annotations

import copy

from pytest_modelrt.simulator.apiserver.pki import Authority
from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.finalizers import add_finalizer, remove_finalizer
from pytest_modelrt.simulator.controllers.kserve import children
from pytest_modelrt.simulator.controllers.kserve.conditions import WORKLOADS, Conditions
from pytest_modelrt.simulator.controllers.kserve.naming import (
    FINALIZER,
    NAMESPACE,
    ROUTE_PRESET,
    STOP_ANNOTATION,
    TEMPLATE_PRESET,
)
from pytest_modelrt.simulator.controllers.kserve.owned import Owned
from pytest_modelrt.simulator.controllers.kserve.presets import PresetError, merge, render
from pytest_modelrt.simulator.controllers.kserve.routing import Router
from pytest_modelrt.simulator.controllers.kserve.storage import StorageError
from pytest_modelrt.simulator.controllers.ome.logs import Log
from pytest_modelrt.simulator.controllers.owners import OwnerQueue
from pytest_modelrt.simulator.controllers.platform import Platform, is_deleting
from pytest_modelrt.simulator.informer import Key
from pytest_modelrt.simulator.resources import (
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    LLM_CONFIGS,
    LLM_SERVICES,
    SECRETS,
    SERVICES,
)

COMPONENT = "llmisvc-controller-manager"
_OWNED = (DEPLOYMENTS, SERVICES, HTTP_ROUTES)


class _FailedError(Exception):
    """A step failed; the conditions say why, the event says this."""


class LLMInferenceServiceController:
    """Brings services to their wanted state; errors are conditions and an event, and tried again."""

    def __init__(self, platform: Platform, log: Log) -> None:
        self._client = platform.client.as_component(COMPONENT)
        self._events = platform.events("LLMInferenceServiceController")
        self._log = log.named("LLMInferenceService")
        self._services = platform.informers.of(LLM_SERVICES)
        self._presets = platform.informers.of(LLM_CONFIGS)
        self._owned = Owned(platform, self._client, self._events, (*_OWNED, SECRETS))
        self._router = Router(platform, self._owned)
        self._authority = Authority()
        self._queue = OwnerQueue(
            "llminferenceservice",
            self._reconcile,
            platform.clock,
            self._services,
            [platform.informers.of(resource) for resource in _OWNED],
            on_error=self._log_error,
            on_gone=self._owned.forget,
        )
        self._presets.on_change(self._on_anything)
        platform.informers.of(GATEWAYS).on_change(self._on_anything)

    async def run(self) -> None:
        """Reconcile until cancelled, beginning with every service there is."""
        await self._queue.run()

    def _on_anything(self, _kind: str, _obj: Object, _old: Object | None) -> None:
        self._queue.add_all()

    def _log_error(self, key: Key, error: Exception) -> None:
        reference = {"namespace": key[0], "name": key[1]}
        self._log.error("Reconciler error", controller="llminferenceservice", object=reference, error=str(error))

    async def _reconcile(self, key: Key) -> float | None:
        service = self._services.cache.get(key)
        if service is None:
            return None
        if is_deleting(service):
            await remove_finalizer(self._client, LLM_SERVICES, service, FINALIZER)
            return None
        service = await add_finalizer(self._client, LLM_SERVICES, service, FINALIZER)
        self._log.info("Starting reconciliation", Namespace=key[0], Name=key[1])
        status = service.get("status") or {}
        generation = service["metadata"]["generation"]
        conditions = Conditions(status.get("conditions") or [])
        conditions.begin(new_generation=status.get("observedGeneration") != generation)
        fresh: Object = {"observedGeneration": generation}
        failure: _FailedError | None = None
        try:
            fresh |= await self._bring_about(service, conditions)
        except _FailedError as error:
            failure = error
            await self._events.record(service, "Warning", "Error", f"Reconciliation failed: {error}")
        await self._write_status(service, {**fresh, "conditions": conditions.sorted()})
        if failure is not None:
            raise failure
        return None

    async def _bring_about(self, service: Object, conditions: Conditions) -> Object:
        """Presets, workload, router in this order; returns what of the status is not conditions."""
        try:
            spec = self._combined(service)
        except PresetError as error:
            conditions.false("PresetsCombined", "CombineBaseError", str(error))
            raise _FailedError(f"failed to combine base-configurations: {error}") from None
        conditions.true("PresetsCombined")
        stopped = (service["metadata"].get("annotations") or {}).get(STOP_ANNOTATION) == "true"
        try:
            await self._workload(service, spec, conditions, stopped=stopped)
        finally:
            conditions.determine("WorkloadsReady", WORKLOADS)
        return await self._router.reconcile(service, spec, conditions, stopped=stopped)

    def _combined(self, service: Object) -> Object:
        """The service's spec on top of its presets."""
        spec = service["spec"]
        namespace = service["metadata"]["namespace"]
        names = [TEMPLATE_PRESET]
        route = (spec.get("router") or {}).get("route")
        if route is not None and not (route.get("http") or {}).get("refs"):
            names.append(ROUTE_PRESET)
        names += [entry["name"] for entry in spec.get("baseRefs") or []]
        combined: Object = {}
        for name in names:
            found = self._presets.get(name, namespace) or self._presets.get(name, NAMESPACE)
            if found is None:
                raise PresetError(
                    f'failed to get LLMInferenceServiceConfig "{name}" from namespaces ["{namespace}" "{NAMESPACE}"]: '
                    f'LLMInferenceServiceConfig.serving.kserve.io "{name}" not found'
                )
            combined = merge(combined, render(copy.deepcopy(found.get("spec") or {}), service))
        merged: Object = merge(combined, spec)
        merged["model"].setdefault("name", service["metadata"]["name"])
        return merged

    async def _workload(self, service: Object, spec: Object, conditions: Conditions, *, stopped: bool) -> None:
        await self._owned.ensure_once(service, SECRETS, children.certificate(service, self._authority))
        if spec.get("worker") is not None:
            text = "failed to reconcile multi node workload: multi-node services are not part of this simulator"
            conditions.false("WorkerWorkloadReady", "ReconcileMultiNodeWorkloadError", text)
            raise _FailedError(f"failed to reconcile workload: {text}")
        conditions.clear("WorkerWorkloadReady")
        try:
            wanted = children.deployment(service, spec)
        except StorageError as error:
            # the multi-node object is built first, also for a single-node service
            text = (
                "failed to reconcile main workload: failed to get expected main LWS: failed to attach model artifacts "
                f"to LWS leader template: {error}"
            )
            conditions.false("WorkerWorkloadReady", "ReconcileMultiNodeWorkloadError", text)
            raise _FailedError(
                f"failed to reconcile workload: failed to reconcile multi node workload: {text}"
            ) from None
        front = children.workload_service(service)
        if stopped:
            conditions.false("MainWorkloadReady", "Stopped", "Service is stopped")
            for resource, body in ((DEPLOYMENTS, wanted), (SERVICES, front)):
                await self._owned.remove(service, resource, body)
            return
        try:
            deployment = await self._owned.apply(service, DEPLOYMENTS, wanted)
            _propagate(deployment, conditions)
        except ApiStatusError as error:
            self._fail(conditions, "ReconcileSingleNodeWorkloadError", "single node workload", error)
        try:
            await self._owned.apply(service, SERVICES, front)
        except ApiStatusError as error:
            self._fail(conditions, "ReconcileWorkloadServiceError", "workload service", error)

    def _fail(self, conditions: Conditions, reason: str, what: str, error: ApiStatusError) -> None:
        conditions.false("MainWorkloadReady", reason, str(error))
        raise _FailedError(f"failed to reconcile workload: failed to reconcile {what}: {error}") from None

    async def _write_status(self, service: Object, fresh: Object) -> None:
        metadata, old = service["metadata"], service.get("status") or {}
        gone = {name: None for name in ("url", "addresses") if name in old and name not in fresh}
        if not gone and all(old.get(name) == value for name, value in fresh.items()):
            return
        try:
            await self._client.patch_status(LLM_SERVICES, metadata["name"], {**fresh, **gone}, metadata["namespace"])
        except ApiStatusError as error:
            if not error.not_found:
                raise


def _propagate(deployment: Object, conditions: Conditions) -> None:
    """The Deployment's availability is the workload's."""
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Available":
            if condition["status"] == "True":
                conditions.true("MainWorkloadReady")
            else:
                conditions.false("MainWorkloadReady", condition["reason"], condition.get("message", ""))
            return
    conditions.false("MainWorkloadReady", "Progressing")
