"""The InferenceService controller: from a service to its children and its status (facts: ome.md, 4.3 to 4.11)."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelrt.simulator.client import ApiStatusError, Object
from pytest_modelrt.simulator.controllers.finalizers import add_finalizer, remove_finalizer
from pytest_modelrt.simulator.controllers.naming import MODE_ANNOTATION, SERVICE_LABEL, worker_set_name
from pytest_modelrt.simulator.controllers.ome import children, status
from pytest_modelrt.simulator.controllers.ome.applier import Applier, contains
from pytest_modelrt.simulator.controllers.ome.catalog import Catalog
from pytest_modelrt.simulator.controllers.ome.components import Component, ComponentError, Setting, make_component
from pytest_modelrt.simulator.controllers.ome.logs import Log
from pytest_modelrt.simulator.controllers.ome.resolution import ReconcileError, find_model, find_runtime
from pytest_modelrt.simulator.controllers.ome.settings import NAME as SETTINGS_NAME
from pytest_modelrt.simulator.controllers.ome.settings import Settings, SettingsError, read_settings
from pytest_modelrt.simulator.controllers.outages import pause
from pytest_modelrt.simulator.controllers.owners import OwnerQueue
from pytest_modelrt.simulator.controllers.platform import Platform, is_deleting
from pytest_modelrt.simulator.informer import Key
from pytest_modelrt.simulator.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    INFERENCE_SERVICES,
    INGRESSES,
    LEADER_WORKER_SETS,
    OME_NAMESPACE,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from pytest_modelrt.simulator.scenario import ControllerRule, Scenario

FINALIZER = "inferenceservice.finalizers"
_WATCHED = (DEPLOYMENTS, SERVICES, CONFIG_MAPS, AUTOSCALERS, DISRUPTION_BUDGETS, LEADER_WORKER_SETS)
_COMPONENTS = ("engine", "decoder", "router")
_UNWATCHED = (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, INGRESSES)
"""Children whose changes do not wake their service."""


class InferenceServiceController:
    """Creates the children of InferenceServices; any error before the end leaves the status unwritten."""

    def __init__(self, platform: Platform, log: Log) -> None:
        self._platform = platform
        self._client = platform.client.as_component("ome-controller-manager")
        self._events = platform.events("v1beta1Controllers")
        self._log = log.named("InferenceService")
        self._catalog = Catalog(platform)
        self._services = platform.informers.of(INFERENCE_SERVICES)
        self._applier = Applier(platform, (*_WATCHED, *_UNWATCHED))
        self._pods = platform.informers.of(PODS)
        if not self._pods.has_index(SERVICE_LABEL):
            self._pods.add_index(SERVICE_LABEL, _service_of)
        self._rejected: set[str] = set()
        self._queue = OwnerQueue(
            "inferenceservice",
            self._reconcile,
            platform.clock,
            self._services,
            [platform.informers.of(resource) for resource in _WATCHED],
            on_error=self._log_error,
        )

    def ignore(self, times: Sequence[ControllerRule], scenario: Scenario) -> None:
        """Do nothing about any object at these times, and say nothing."""
        self._queue.paused = lambda: pause(times, scenario, self._queue.clock)

    async def run(self) -> None:
        """Reconcile until cancelled, beginning with every service there is."""
        await self._queue.run()

    def _log_error(self, key: Key, error: Exception) -> None:
        reference = {"namespace": key[0], "name": key[1]}
        self._log.error("Reconciler error", controller="inferenceservice", object=reference, error=str(error))

    async def _reconcile(self, key: Key) -> float | None:
        service = self._services.cache.get(key)
        if service is None:
            return None
        if is_deleting(service):
            await remove_finalizer(self._client, INFERENCE_SERVICES, service, FINALIZER)
            return None
        service = await add_finalizer(self._client, INFERENCE_SERVICES, service, FINALIZER)
        self._log.info("Reconciling inference service", isvc=key[1], namespace=key[0])
        try:
            await self._bring_about(service)
        except ReconcileError as error:
            if error.reason:
                await self._events.record(service, "Warning", error.reason, str(error))
            raise
        return None

    async def _bring_about(self, service: Object) -> None:
        settings = self._settings()
        mode = (service["metadata"].get("annotations") or {}).get(MODE_ANNOTATION, settings.default_mode)
        if mode == "Serverless":
            await self._reject_serverless(service)
            return
        if mode == "VirtualDeployment":
            await self._write_status(service, {"conditions": [{"type": "Ready", "status": "True"}]})
            return
        setting = await self._resolve(service)
        components = [made for kind in _COMPONENTS if (made := make_component(kind, setting)) is not None]
        if not any(component.kind == "engine" for component in components):
            raise ReconcileError("DeploymentModeError", "engine component is required")
        for component in components:
            await self._apply_component(component)
        entry = next((c for c in components if c.kind == "router"), components[0])
        if settings.ingress_disabled:
            await self._applier.apply(*children.external_service(setting, entry))
        elif self._workload(entry).is_ready:
            await self._applier.apply(*children.ingress(setting, entry, _host(setting, settings)))
        await self._update_status(service, setting, components, entry, settings)

    def _settings(self) -> Settings:
        try:
            return read_settings(self._applier.known(CONFIG_MAPS, SETTINGS_NAME, OME_NAMESPACE))
        except SettingsError as error:
            raise ReconcileError("", str(error)) from None

    async def _reject_serverless(self, service: Object) -> None:
        uid = service["metadata"]["uid"]
        if uid not in self._rejected:
            self._rejected.add(uid)
            text = "It is not possible to use Serverless deployment mode when Knative Services are not available"
            await self._events.record(service, "Warning", "ServerlessModeRejected", text)

    async def _resolve(self, service: Object) -> Setting:
        """Model and runtime of a service; writes its list of models on the way."""
        profile = self._platform.profile
        model = await find_model(self._catalog, service)
        if model is not None:
            await self._applier.apply(*children.model_config(Setting(service, model, None, profile), model))
            if model["spec"].get("disabled"):
                text = f"Failed to reconcile model: model {model['metadata']['name']} is disabled"
                raise ReconcileError("ModelReconcileError", text)
        runtime = await find_runtime(self._catalog, service, model, profile)
        return Setting(service, model, runtime, profile)

    async def _apply_component(self, component: Component) -> None:
        try:
            if component.mode == "Serverless":
                raise ComponentError(
                    f'fails to reconcile {component.kind}: no matches for kind "Service" in version '
                    '"serving.knative.dev/v1"'
                )
            make = children.multinode_children if component.mode == "MultiNode" else children.raw_children
            for resource, body in make(component):
                await self._applier.apply(resource, body)
        except ComponentError as error:
            raise ReconcileError("", str(error)) from None

    async def _update_status(
        self,
        service: Object,
        setting: Setting,
        components: Sequence[Component],
        entry: Component,
        settings: Settings,
    ) -> None:
        old = service.get("status") or {}
        workloads = [self._workload(component) for component in components]
        profile = self._platform.profile
        wanted = status.conditions(workloads, ingress_disabled=settings.ingress_disabled, profile=profile)
        ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in wanted)
        pods = self._pods.indexed(SERVICE_LABEL, (setting.namespace, setting.name))
        engines = [pod for pod in pods if pod["metadata"]["labels"].get("component") == "engine"]
        url = _url(setting, entry, settings, ready=ready)
        fresh: Object = {
            "components": status.components(workloads, old.get("components") or {}),
            "modelStatus": status.model_status(workloads, engines, ready=ready, old=old.get("modelStatus") or {}),
            **url,
        }
        observed = ((workloads[-1].observed or {}).get("status") or {}).get("observedGeneration")
        if observed is not None:
            fresh["observedGeneration"] = observed
        known = old.get("conditions") or []
        if wanted == status.without_times(known) and contains(old, fresh):
            return
        fresh["conditions"] = status.with_times(wanted, known)
        await self._write_status(service, fresh)
        await self._announce(service, known, ready=ready)

    def _workload(self, component: Component) -> status.Workload:
        setting = component.setting
        multinode = component.mode == "MultiNode"
        resource = LEADER_WORKER_SETS if multinode else DEPLOYMENTS
        name = worker_set_name(setting.name, component.kind) if multinode else component.name
        observed = self._applier.known(resource, name, setting.namespace)
        url = f"http://{component.name}.{setting.namespace}.svc.cluster.local"
        return status.Workload(component.kind, name, url, observed, multinode)

    async def _write_status(self, service: Object, fresh: Object) -> None:
        metadata = service["metadata"]
        try:
            await self._client.patch_status(INFERENCE_SERVICES, metadata["name"], fresh, metadata["namespace"])
        except ApiStatusError as error:
            if error.not_found:
                return
            raise ReconcileError("UpdateFailed", f"Failed to update status: {error}") from None

    async def _announce(self, service: Object, old: Sequence[Object], *, ready: bool) -> None:
        was_ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in old)
        name = service["metadata"]["name"]
        if ready and not was_ready:
            text = f"InferenceService [{name}] is Ready"
            await self._events.record(service, "Normal", "InferenceServiceReady", text)
        elif was_ready and not ready:
            text = f"InferenceService [{name}] is no longer Ready"
            await self._events.record(service, "Warning", "InferenceServiceNotReady", text)


def _service_of(pod: Object) -> tuple[tuple[str, str], ...]:
    metadata = pod["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_LABEL)
    return ((metadata["namespace"], name),) if name else ()


def _host(setting: Setting, settings: Settings) -> str:
    return f"{setting.name}.{setting.namespace}.{settings.ingress_domain}"


def _url(setting: Setting, entry: Component, settings: Settings, *, ready: bool) -> Object:
    host = _host(setting, settings)
    port = f":{children.entry_port(entry)}" if setting.profile.url_has_port else ""
    url = f"{settings.url_scheme}://{host}{port}"
    if settings.ingress_disabled:
        return {"url": url, "address": {"url": url}}
    if not ready:
        return {}
    behind = f"{setting.name}-router" if entry.kind == "router" else setting.name
    return {"url": url, "address": {"url": f"http://{behind}.{setting.namespace}.svc.cluster.local"}}
