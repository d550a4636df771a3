"""Bodies of the objects an LLMInferenceService owns (facts: maas-kind.md, 1.3 and 1.4)."""

from __future__ import annotations

import base64
import copy
from datetime import timedelta

from pytest_modelrt.clock import utc_now
from pytest_modelrt.simulator.apiserver.pki import Authority
from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.kserve.naming import (
    PORT,
    child_name,
    selector,
    service_labels,
    workload_labels,
)
from pytest_modelrt.simulator.controllers.kserve.storage import attach_model
from pytest_modelrt.simulator.controllers.platform import owner_reference

EXPIRATION = "certificates.kserve.io/expiration"
_KUEUE = "kueue.x-k8s.io/"
_VALID = timedelta(days=3650)


def deployment(service: Object, spec: Object) -> Object:
    """The workload of ``spec``, the service's own merged with its presets.

    Raises:
        StorageError: the model's URI cannot be served.
    """
    name = service["metadata"]["name"]
    labels = workload_labels(name, split="prefill" in spec)
    pod = copy.deepcopy(spec.get("template") or {})
    attach_model(spec["model"]["uri"], pod)
    carried = {key: value for key, value in (service["metadata"].get("labels") or {}).items() if key.startswith(_KUEUE)}
    body: Object = {
        "metadata": _metadata(service, "-kserve", {**labels, **carried}),
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": {**labels, **carried}}, "spec": pod},
        },
    }
    if spec.get("replicas") is not None:
        body["spec"]["replicas"] = spec["replicas"]
    return body


def workload_service(service: Object) -> Object:
    """The Service in front of the pods; its port is *named* https whatever the pods speak."""
    name = service["metadata"]["name"]
    port = {"name": "https", "protocol": "TCP", "appProtocol": "https", "port": PORT, "targetPort": PORT}
    return {
        "metadata": _metadata(service, "-kserve-workload-svc", service_labels(name, "workload")),
        "spec": {"type": "ClusterIP", "ports": [port], "selector": selector(name)},
    }


def certificate(service: Object, authority: Authority) -> Object:
    """The TLS secret (an elliptic-curve key: the real RSA-4096 takes a second of processor time each)."""
    metadata = service["metadata"]
    host = f"{child_name(metadata['name'], '-kserve-workload-svc')}.{metadata['namespace']}.svc"
    chain, key = authority.issue(host, f"{host}.cluster.local", user="kserve-self-signed")
    body = _metadata(service, "-kserve-self-signed-certs", service_labels(metadata["name"], "workload"))
    body["annotations"] = {EXPIRATION: (utc_now() + _VALID).strftime("%Y-%m-%dT%H:%M:%SZ")}
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    return {"metadata": body, "type": "kubernetes.io/tls", "data": data}


def route(service: Object, spec: Object) -> Object:
    """The HTTPRoute of ``spec.router.route.http.spec``, attached to the gateways the service names."""
    router = spec["router"]
    body = copy.deepcopy(router["route"]["http"]["spec"])
    references = (router.get("gateway") or {}).get("refs") or []
    if references:
        gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
        namespace = service["metadata"]["namespace"]
        body["parentRefs"] = [
            {**gateway, "name": entry["name"], "namespace": entry.get("namespace") or namespace} for entry in references
        ]
    labels = service_labels(service["metadata"]["name"], "router")
    return {"metadata": _metadata(service, "-kserve-route", labels), "spec": body}


def _metadata(service: Object, suffix: str, labels: dict[str, str]) -> Object:
    metadata = service["metadata"]
    return {
        "name": child_name(metadata["name"], suffix),
        "namespace": metadata["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(service)],
    }
