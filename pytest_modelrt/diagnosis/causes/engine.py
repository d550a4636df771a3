"""Causes while the engine starts inside its container."""

from __future__ import annotations

from pytest_modelrt.diagnosis.model import Cause, Owner, Scope
from pytest_modelrt.journal.model import Outcome, Stage

UNSUPPORTED = "Architecture not supported"
OOM = "CUDA OOM"


def _crash(
    slug: str, title: str, hint: str, *, bucket: str, owner: Owner = Owner.RUNTIME, scope: Scope = Scope.MODEL,
    outcome: Outcome = Outcome.FAILED, retries: int = 0,
) -> Cause:  # fmt: skip
    return Cause(slug, Stage.SERVICE, owner, outcome, scope, title, hint, retries=retries, bucket=bucket)


CAUSES = (
    _crash("crashloop-missing-module", "the engine's image lacks a Python module",
           "use an image that has it", bucket="Module missing", scope=Scope.FAMILY),
    _crash("crashloop-unsupported-architecture", "the engine does not implement this architecture",
           "use another engine or a newer image", bucket=UNSUPPORTED, scope=Scope.FAMILY),
    _crash("crashloop-tokenizer", "the model's tokenizer does not work with this image",
           "an older transformers or another engine", bucket=UNSUPPORTED),
    _crash("crashloop-custom-code", "the model brings its own code and it cannot run",
           "add --trust-remote-code (it runs code of the repository), or check the repository's files",
           bucket=UNSUPPORTED, owner=Owner.CONFIG),
    _crash("crashloop-weights", "the weights do not fit the engine's implementation",
           "the engine lacks this variant", bucket=UNSUPPORTED),
    _crash("weights-missing-on-node", "the pod runs on a node that does not hold the model",
           "schedule it to a node in nodesReady", bucket="Cluster", owner=Owner.PLATFORM,
           outcome=Outcome.ERROR, scope=Scope.NODE, retries=1),
    _crash("engine-args-invalid", "the engine refuses its arguments",
           "mend the argument named in the log, in the runtime file", bucket="Configuration", owner=Owner.CONFIG),
    _crash("tp-gpu-mismatch", "tensor-parallel size and GPUs do not go together",
           "make --tp-size equal the GPU limit, and a divisor of the model's heads", bucket=OOM, owner=Owner.CONFIG),
    _crash("cuda-oom", "the GPU's memory does not suffice", "lower --mem-fraction-static, or ask for more GPUs",
           bucket=OOM, owner=Owner.CONFIG),
    _crash("kv-cache-memory", "no memory is left for the KV cache",
           "raise --mem-fraction-static; for hybrid models limit --max-mamba-cache-size or --max-running-requests",
           bucket=OOM, owner=Owner.CONFIG),
    _crash("host-oom", "the container ran out of host memory",
           "raise the memory limit in the runtime file", bucket="CUDA OOM", owner=Owner.CONFIG),
    _crash("shm-too-small", "shared memory is too small for the ranks",
           "mount a memory-backed emptyDir at /dev/shm", bucket="Configuration", owner=Owner.CONFIG),
    _crash("startup-timeout", "the engine was still loading when its startup probe gave up",
           "raise startupProbe.failureThreshold in the runtime file", bucket="Download timeout",
           owner=Owner.CONFIG),
    _crash("warmup-hang", "the engine's warm-up never ends",
           "try --attention-backend triton, then --disable-cuda-graph, then --tp-size 1",
           bucket="Inference issues"),
    _crash("warmup-failed", "the engine's warm-up request failed",
           "if it refused the input type: --skip-server-warmup; a kernel error needs another backend",
           bucket="Inference issues"),
    _crash("probe-endpoint-mismatch", "the kubelet probes a path the engine does not serve",
           "use /health for liveness and /health_generate for readiness", bucket="Inference issues",
           owner=Owner.CONFIG),
    _crash("crashloop-unclassified", "the engine crashes the same way each time",
           "read the exception in the evidence", bucket="Other"),
)  # fmt: skip
