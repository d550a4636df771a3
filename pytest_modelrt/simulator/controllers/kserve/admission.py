"""The validating webhook of LLMInferenceServices (facts: maas-kind.md, 1.1)."""

from __future__ import annotations

from collections.abc import Callable

from pytest_modelrt.simulator.apiserver.admission import AdmissionRequest
from pytest_modelrt.simulator.apiserver.errors import Cause, StatusError, invalid, invalid_value
from pytest_modelrt.simulator.client import Object

_WEBHOOK = "llminferenceservice.kserve-webhook-server.validator"
_SERVICE = "llmisvc-webhook-server-service"
_GATEWAY_REFS, _ROUTE = "spec.router.gateway.refs", "spec.router.route"
_HTTP, _HTTP_REFS, _HTTP_SPEC = f"{_ROUTE}.http", f"{_ROUTE}.http.refs", f"{_ROUTE}.http.spec"
_WORKER_NEEDS = (
    "when worker is specified, parallelism must be configured for either data parallelism or pipeline parallelism"
)


class Webhook:
    """Refuses what the controller could not make sense of. Containers are not looked at."""

    def __init__(self, is_serving: Callable[[], bool]) -> None:
        self._is_serving = is_serving

    async def __call__(self, request: AdmissionRequest) -> Object | None:
        """Admit a write: never changes it.

        Raises:
            StatusError: refused, or the webhook's server does not run.
        """
        if request.resource.kind != "LLMInferenceService" or request.resource.group != "serving.kserve.io":
            return None
        if request.subresource or request.object is None or request.operation not in ("CREATE", "UPDATE"):
            return None
        if not self._is_serving():
            text = (
                f'Internal error occurred: failed calling webhook "{_WEBHOOK}": failed to call webhook: Post '
                f'"https://{_SERVICE}.kserve.svc:443/": no endpoints available for service "{_SERVICE}"'
            )
            raise StatusError(500, "InternalError", text)
        spec = request.object.get("spec") or {}
        causes = [*router_problems(spec), *parallelism_problems("spec", spec)]
        causes += parallelism_problems("spec.prefill", spec.get("prefill") or {})
        if causes:
            refused = invalid("LLMInferenceService.serving.kserve.io", request.name, causes)
            refused.message = f'admission webhook "{_WEBHOOK}" denied the request: {refused.message}'
            raise refused
        return None


def router_problems(spec: Object) -> list[Cause]:
    """Own and managed routes and gateways that do not go together."""
    router = spec.get("router") or {}
    route, gateway = router.get("route"), router.get("gateway")
    if route is None:
        return []
    references = (gateway or {}).get("refs")
    if not route and references is not None:
        text = (
            f"unsupported configuration: custom gateway ('{_GATEWAY_REFS}') cannot be used with managed route "
            f"('{_ROUTE}: {{}}'); either provide your own HTTP routes ('{_HTTP_REFS}') or remove '{_GATEWAY_REFS}' to "
            "use the managed gateway"
        )
        return [invalid_value(_GATEWAY_REFS, references, text)]
    http = route.get("http") or {}
    causes = []
    if http.get("refs") and http.get("spec") is not None:
        text = (
            f"unsupported configuration: cannot use both custom HTTPRoute refs ('{_HTTP_REFS}') and an inline route "
            f"spec ('{_HTTP_SPEC}'); choose one"
        )
        causes.append(invalid_value(_HTTP, http, text))
    if http.get("refs") and gateway is not None and not references:
        text = (
            f"unsupported configuration: custom HTTP routes ('{_HTTP_REFS}') cannot be used with a managed gateway "
            f"('spec.router.gateway'); either remove '{_HTTP_REFS}' or set '{_GATEWAY_REFS}'"
        )
        causes.append(invalid_value(_HTTP_REFS, http["refs"], text))
    if http.get("spec") is not None and references:
        text = (
            f"unsupported configuration: managed HTTP route spec ('{_HTTP_SPEC}') cannot be used with custom gateway "
            f"refs ('{_GATEWAY_REFS}'); either remove '{_GATEWAY_REFS}' or '{_HTTP_SPEC}'"
        )
        causes.append(invalid_value(_HTTP_SPEC, http["spec"], text))
    return causes


def parallelism_problems(where: str, workload: Object) -> list[Cause]:
    """Workers without parallelism, and halves of pairs."""
    worker, parallelism = workload.get("worker"), workload.get("parallelism")
    if parallelism is None:
        return [] if worker is None else [invalid_value(f"{where}.worker", worker, _WORKER_NEEDS)]
    causes = []
    data, local, pipeline = (parallelism.get(name) for name in ("data", "dataLocal", "pipeline"))
    parallel_data = bool(data) or bool(local)
    if worker is not None and not parallel_data and not pipeline:
        causes.append(invalid_value(f"{where}.worker", worker, _WORKER_NEEDS))
    inside = f"{where}.parallelism"
    if pipeline and parallel_data:
        text = "cannot set both pipeline parallelism and data parallelism (data or dataLocal) simultaneously"
        causes.append(invalid_value(inside, parallelism, text))
    if data is not None and local is None:
        causes.append(invalid_value(f"{inside}.dataLocal", None, "dataLocal must be set when data is set"))
    if local is not None and data is None:
        causes.append(invalid_value(f"{inside}.data", None, "data must be set when dataLocal is set"))
    for name, value, title in (
        ("pipeline", pipeline, "pipeline"),
        ("data", data, "data"),
        ("dataLocal", local, "dataLocal"),
    ):
        if value is not None and value <= 0:
            causes.append(invalid_value(f"{inside}.{name}", value, f"{title} parallelism must be greater than 0"))
    return causes
