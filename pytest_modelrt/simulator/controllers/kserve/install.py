"""What an installed KServe looks like with its surroundings: cert-manager, Istio, Kuadrant (facts: maas-kind.md, 6).

Operators whose work nothing here depends on (DNS, Authorino's and Limitador's own) have no Deployment; Knative, which
LLMInferenceServices do not need, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_modelrt.simulator.client import ApiClient, Object
from pytest_modelrt.simulator.controllers.bootstrap import ensure
from pytest_modelrt.simulator.controllers.kserve.naming import NAMESPACE
from pytest_modelrt.simulator.controllers.kserve.presets import stock_presets
from pytest_modelrt.simulator.resources import (
    DEPLOYMENTS,
    GATEWAY_CLASSES,
    LLM_CONFIGS,
    NAMESPACES,
    SERVICE_ACCOUNTS,
    SERVICES,
    STORAGE_CLASSES,
)

LLMISVC_IMAGE = "kserve/llmisvc-controller"
ISTIOD_IMAGE = "docker.io/istio/pilot"
PROXY_IMAGE = "docker.io/istio/proxyv2"
KUADRANT_IMAGE = "quay.io/kuadrant/kuadrant-operator"
AUTHORINO_IMAGE = "quay.io/kuadrant/authorino"
LIMITADOR_IMAGE = "quay.io/kuadrant/limitador"
MAAS_API_IMAGE = "localhost/maas-api"

PROXY = f"{PROXY_IMAGE}:1.27.1"
AUTHORINO = f"{AUTHORINO_IMAGE}:v0.23.0"
LIMITADOR = f"{LIMITADOR_IMAGE}:v2.2.0"
GATEWAY_CLASS = "istio"
GATEWAY_CONTROLLER = "istio.io/gateway-controller"
ISTIO_NAMESPACE = "istio-system"
KUADRANT_NAMESPACE = "kuadrant-system"


@dataclass(frozen=True, slots=True)
class Program:
    """One Deployment of the installation."""

    namespace: str
    name: str
    image: str
    labels: tuple[tuple[str, str], ...]

    def body(self) -> Object:
        """The Deployment."""
        labels = dict(self.labels)
        container = {
            "name": self.name.removesuffix("-controller-manager"),
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        }
        spec = {"serviceAccountName": self.name, "containers": [container]}
        return {
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }


def _cert_manager(part: str, image: str) -> Program:
    name = f"cert-manager-{part}".removesuffix("-")
    labels = (("app.kubernetes.io/instance", "cert-manager"), ("app.kubernetes.io/name", part or "cert-manager"))
    return Program("cert-manager", name, f"quay.io/jetstack/{image}:v1.19.1", labels)


def _manager(namespace: str, name: str, image: str) -> Program:
    return Program(namespace, f"{name}-controller-manager", image, (("control-plane", f"{name}-controller-manager"),))


PROGRAMS = (
    _cert_manager("", "cert-manager-controller"),
    _cert_manager("cainjector", "cert-manager-cainjector"),
    _cert_manager("webhook", "cert-manager-webhook"),
    Program(ISTIO_NAMESPACE, "istiod", f"{ISTIOD_IMAGE}:1.27.1", (("app", "istiod"), ("istio", "pilot"))),
    _manager(NAMESPACE, "kserve", "kserve/kserve-controller:v0.16.0"),
    _manager(NAMESPACE, "llmisvc", f"{LLMISVC_IMAGE}:v0.16.0"),
    _manager(KUADRANT_NAMESPACE, "kuadrant-operator", f"{KUADRANT_IMAGE}:v1.3.1"),
)
PRELOADED = (*(program.image for program in PROGRAMS), PROXY, AUTHORINO, LIMITADOR, f"{MAAS_API_IMAGE}:dev")
"""Images every node has from the start."""


async def install(client: ApiClient) -> None:
    """Create namespaces, classes, presets, and the Deployments of the operators."""
    for namespace in dict.fromkeys(program.namespace for program in PROGRAMS):
        await ensure(client, NAMESPACES, {"metadata": {"name": namespace}})
    await ensure(client, STORAGE_CLASSES, _storage_class())
    controller = {"controllerName": GATEWAY_CONTROLLER, "description": "The default Istio GatewayClass"}
    await ensure(client, GATEWAY_CLASSES, {"metadata": {"name": GATEWAY_CLASS}, "spec": controller})
    for preset in stock_presets():
        await ensure(client, LLM_CONFIGS, preset)
    await ensure(client, SERVICES, _webhook_service())
    for program in PROGRAMS:
        account = {"metadata": {"name": program.name, "namespace": program.namespace}}
        await ensure(client, SERVICE_ACCOUNTS, account)
        await ensure(client, DEPLOYMENTS, program.body())


def _storage_class() -> Object:
    """Kind's default class: a claim is bound when the first pod that mounts it is scheduled."""
    annotation = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "metadata": {"name": "standard", "annotations": annotation},
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _webhook_service() -> Object:
    name = "llmisvc-controller-manager"
    spec = {"selector": {"control-plane": name}, "ports": [{"port": 443, "targetPort": 9443}]}
    return {"metadata": {"name": "llmisvc-webhook-server-service", "namespace": NAMESPACE}, "spec": spec}
