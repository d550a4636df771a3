"""Causes where model and runtime do not match, or the platform does not act on the service."""

from __future__ import annotations

from pytest_modelrt.diagnosis.model import Cause, Owner, Scope
from pytest_modelrt.journal.model import Outcome, Stage

CONFIGURATION = "Configuration"


def _mismatch(slug: str, title: str, hint: str, *, scope: Scope = Scope.MODEL) -> Cause:
    return Cause(
        slug,
        Stage.SERVICE,
        Owner.CONFIG,
        Outcome.FAILED,
        scope,
        title,
        hint,
        bucket=CONFIGURATION,
    )


CAUSES = (
    _mismatch("runtime-not-found", "the runtime named by the service does not exist",
              "take the name from the runtime file's metadata"),
    _mismatch("runtime-mismatch-framework", "framework versions of model and runtime differ",
              "set the runtime's modelFramework.version to the model's"),
    _mismatch("runtime-mismatch-architecture", "architectures of model and runtime differ",
              "set the runtime's modelArchitecture, if the engine supports the model's"),
    _mismatch("runtime-mismatch-size", "the model's size is outside the runtime's range",
              "widen modelSizeRange to include it"),
    _mismatch("runtime-mismatch-format", "weight formats of model and runtime differ",
              "use a safetensors variant or convert the model", scope=Scope.FAMILY),
    _mismatch("runtime-mismatch-quantization", "quantizations of model and runtime differ",
              "set the runtime's quantization to the model's, if the engine supports it"),
    _mismatch("runtime-wrong-autoselect", "the platform chose the runtime of another model",
              "name the runtime in spec.runtime.name"),
    _mismatch("runtime-template-error", "the runtime's arguments hold `{{`, which the platform takes for a template",
              "put the template into a file or use a built-in name"),
    Cause(
        "isvc-not-reconciled", Stage.SERVICE, Owner.PLATFORM, Outcome.ERROR, Scope.MODEL,
        "the controller does not act on the service",
        "kubectl get pods -n ome -l control-plane=ome-controller-manager; see its log and lease",
        retries=1,
    ),
    Cause(
        "pod-create-rejected", Stage.SERVICE, Owner.CLUSTER, Outcome.FAILED, Scope.MODEL,
        "the ReplicaSet may not create its pods",
        "see the policy or quota named in the event",
    ),
    Cause(
        "isvc-scaled-to-zero", Stage.SERVICE, Owner.CONFIG, Outcome.FAILED, Scope.MODEL,
        "the service asks for no replica",
        "set engine.minReplicas: 1 in the service file",
        bucket=CONFIGURATION,
    ),
)  # fmt: skip
