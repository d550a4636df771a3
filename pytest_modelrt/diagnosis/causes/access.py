"""Causes while the running model is asked."""

from __future__ import annotations

from pytest_modelrt.diagnosis.model import Cause, Owner, Scope
from pytest_modelrt.journal.model import Outcome, Stage


def _cause(
    slug: str, owner: Owner, title: str, hint: str, *, outcome: Outcome = Outcome.FAILED,
    scope: Scope = Scope.MODEL, retries: int = 0, backoff: tuple[float, ...] = (),
) -> Cause:  # fmt: skip
    return Cause(slug, Stage.PROBE, owner, outcome, scope, title, hint, retries, backoff, "Inference issues")


CAUSES = (
    _cause("router-discovery-rbac", Owner.PLATFORM, "the router may not list pods",
           "check ServiceAccount, Role and RoleBinding {name}-router", outcome=Outcome.ERROR, scope=Scope.TIER),
    _cause("router-no-workers", Owner.CONFIG, "the router finds no worker",
           "check its --selector and --service-discovery-port", outcome=Outcome.ERROR, retries=1, backoff=(60.0,)),
    _cause("port-forward-broken", Owner.CLUSTER, "the port-forward broke", "see the pod's restarts",
           outcome=Outcome.ERROR, retries=3, backoff=(1.0, 5.0, 15.0)),
    _cause("served-name-mismatch", Owner.CONFIG, "the engine serves the model under another name",
           "set --served-model-name to the hub id"),
    _cause("inference-endpoint-mismatch", Owner.CONFIG, "the model does not answer on this endpoint",
           "change `probe` of the plan row to the kind the model serves"),
    _cause("chat-template-missing", Owner.CONFIG, "the model has no chat template",
           "ask it by completions, or give it a template file"),
    _cause("inference-error", Owner.RUNTIME, "the engine answered with an error",
           "see the engine's log at the time of the request", retries=2, backoff=(5.0, 15.0)),
    _cause("inference-timeout", Owner.RUNTIME, "no answer in time", "see whether the first request compiles kernels",
           retries=1),
    _cause("inference-empty", Owner.RUNTIME, "the answer is empty", "check the chat template and stop tokens",
           retries=1),
    _cause("inference-garbage", Owner.RUNTIME, "the answer is degenerate",
           "check quantization, KV cache type and attention backend", retries=1),
    _cause("engine-died-during-inference", Owner.RUNTIME, "the engine died while it was asked",
           "see the exception after the request"),
)  # fmt: skip
