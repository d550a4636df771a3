"""The settings of the controller: ConfigMap ``inferenceservice-config`` in its namespace."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pytest_modelrt.simulator.client import Object
from pytest_modelrt.simulator.controllers.profile import Profile

NAME = "inferenceservice-config"


class SettingsError(Exception):
    """The ConfigMap is missing or unreadable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the controller and its webhooks read from the ConfigMap."""

    default_mode: str
    ingress_disabled: bool
    ingress_domain: str
    url_scheme: str


def defaults(profile: Profile) -> Object:
    """The ConfigMap as shipped."""
    ingress = {
        "ingressGateway": "knative-serving/knative-ingress-gateway",
        "ingressDomain": "svc.cluster.local",
        "ingressClassName": "istio",
        "domainTemplate": "{{ .Name }}.{{ .Namespace }}.{{ .IngressDomain }}",
        "urlScheme": "http",
        "disableIstioVirtualHost": False,
        "disableIngressCreation": profile.ingress_disabled,
        "enableGatewayAPI": False,
    }
    data = {
        "deploy": json.dumps({"defaultDeploymentMode": "RawDeployment"}, indent=2),
        "ingress": json.dumps(ingress, indent=2),
    }
    return {"metadata": {"name": NAME}, "data": data}


def read_settings(config_map: Object | None) -> Settings:
    """The settings in force.

    Raises:
        SettingsError: no ConfigMap, or not valid.
    """
    if config_map is None:
        raise SettingsError(f'configmaps "{NAME}" not found')
    data = config_map.get("data") or {}
    try:
        deploy, ingress = json.loads(data.get("deploy", "{}")), json.loads(data.get("ingress", "{}"))
        mode = deploy.get("defaultDeploymentMode", "RawDeployment")
        disabled = bool(ingress.get("disableIngressCreation", False))
    except (ValueError, AttributeError) as error:
        raise SettingsError(f"unable to parse {NAME}: {error}") from None
    if mode not in ("Serverless", "RawDeployment"):
        raise SettingsError(f"invalid deployment mode {mode}; supported modes are Serverless and RawDeployment")
    return Settings(mode, disabled, ingress.get("ingressDomain", "svc.cluster.local"), ingress.get("urlScheme", "http"))
