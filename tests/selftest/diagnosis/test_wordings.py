"""The same failures in the words of other engines, libraries and releases, and what stands near them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pytest_modelrt.diagnosis.diagnose import diagnose
from pytest_modelrt.diagnosis.logs import first_crash
from pytest_modelrt.diagnosis.model import Evidence
from pytest_modelrt.diagnosis.rules.engine import is_deterministic
from pytest_modelrt.journal.model import Outcome
from tests.selftest.diagnosis.build import (
    NAME,
    READY,
    WARMING,
    agent_log,
    at_model,
    at_probe,
    at_service,
    crash,
    event,
    model,
    node,
    pod,
    refused,
    service,
    started,
    updating,
)

EARLY, LATE = "2026-01-31T12:05:00Z", "2026-01-31T12:10:00Z"
LOAD, AWAY, TRUSTED = "Load weight begin. avail mem=78.57 GB", "node-13", "transformers_modules/x/modeling_foo.py"
NCCL = "torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/x.cpp:3356, unhandled system error (run with NCCL_DEBUG=INFO for details), NCCL version 2.27.3"
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
REAL_TIMEOUT = "requests.exceptions.ReadTimeout: HTTPConnectionPool(host='127.0.0.1', port=8080): Read timed out. (read timeout=600)"


def vllm(*lines: str) -> str:
    """How vLLM writes the exception of its engine process, and then that of its server."""
    head = "(EngineCore_DP0 pid=273) ERROR 11-22 06:58:03 [core.py:842] "
    inner = (
        "EngineCore failed to start.",
        "Traceback (most recent call last):",
        '  File "core.py", line 833, in run',
        *lines,
    )
    outer = ("Traceback (most recent call last):", '  File "vllm", line 7, in <module>',
             "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}")  # fmt: skip
    return "\n".join([*(head + line for line in inner), *("(APIServer pid=1) " + line for line in outer)])


def plain(exception: str, where: str = "x.py", before: str = "") -> str:
    return crash(exception, where=where, before=before, scheduler=False)


ENGINES: list[tuple[str, str]] = [
    # memory of the GPU
    ("cuda-oom", crash("RuntimeError: CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported")),
    ("cuda-oom", crash("torch.AcceleratorError: CUDA error: out of memory")),
    ("cuda-oom", crash("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")),
    ("cuda-oom", crash(f"{NCCL}\nncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 2 'out of memory'")),
    ("cuda-oom", vllm(OOM)),
    ("cuda-oom", f"server_args=x\n{LOAD}\n{OOM}"),
    ("gpu-memory-occupied", crash(f"{OOM} GPU 0 has a total capacity of 79.10 GiB of which 0.5 GiB is free.", before="Load weight begin. avail mem=8.31 GB")),
    ("gpu-memory-occupied", vllm("ValueError: Free memory on device (10.2/79.1 GiB) on startup is less than desired GPU memory utilization (0.9, 71.2 GiB).")),
    ("kv-cache-memory", vllm("ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.")),
    ("kv-cache-memory", vllm("ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is needed, which is larger than the available KV cache memory (3.30 GiB).")),
    # shared memory, disks, host
    ("shm-too-small", crash(f"{NCCL}\nncclSystemError: System call failed.\nLast error:\nError while creating shared memory segment /dev/shm/nccl-lZ2BBt (size 33030528), error: No space left on device (28)")),
    ("shm-too-small", f"server_args=x\n{LOAD}\nFatal Python error: Bus error\n\nThread 0x7f (most recent call first):"),
    ("disk-full", plain("OSError: [Errno 28] No space left on device: '/root/.triton/cache/x'")),
    ("host-oom", plain("EOFError", before="Rank 0 scheduler is dead. Please check if there are relevant logs.\nExit code: -9")),
    # architecture
    ("crashloop-unsupported-architecture", crash("ValueError: The checkpoint you are trying to load has model type `glm4_moe_lite` but Transformers does not recognize this architecture.")),
    ("crashloop-unsupported-architecture", plain("KeyError: 'qwen3_next'", "transformers/models/auto/configuration_auto.py")),
    ("crashloop-unsupported-architecture", crash("ValueError: Unsupported architectures: PersimmonForCausalLM. Supported list: ['LlamaForCausalLM']")),
    ("crashloop-unsupported-architecture", crash("ValueError: Model architectures ['MPTForCausalLM'] failed to be inspected. Please check the logs.")),
    ("crashloop-unsupported-architecture", vllm("pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig", "  Value error, Model architectures ['FooForCausalLM'] are not supported for now.")),
    ("crashloop-unsupported-architecture", crash("ValueError: Unrecognized configuration class <class 'MptConfig'> for this kind of AutoModel: AutoModelForCausalLM.")),
    # modules and code
    ("crashloop-missing-module", plain("ImportError: LlamaTokenizer requires the SentencePiece library but it was not found in your environment.")),
    ("crashloop-missing-module", plain("importlib.metadata.PackageNotFoundError: No package metadata was found for bitsandbytes")),
    ("crashloop-missing-module", plain("ImportError: libcudart.so.12: cannot open shared object file: No such file or directory")),
    ("crashloop-missing-module", "ModuleNotFoundError: No module named 'flashinfer'"),
    ("crashloop-custom-code", plain("ImportError: cannot import name 'LlamaFlashAttention2' from 'transformers.models.llama.modeling_llama' (/x.py)", TRUSTED)),
    ("crashloop-custom-code", plain("OSError: /raid/models/mpt-7b does not appear to have a file named configuration_mpt.py. Checkout 'https://huggingface.co/x'")),
    ("crashloop-custom-code", plain("ValueError: Loading /raid/models/x requires you to execute the configuration file in that repo; set the option `trust_remote_code=True` to remove this error.")),
    # tokenizer
    ("crashloop-tokenizer", plain("ValueError: Couldn't instantiate the backend tokenizer from one of: (1) a `tokenizers` library file")),
    ("crashloop-tokenizer", plain("Exception: data did not match any variant of untagged enum ModelWrapper at line 757443 column 3")),
    ("crashloop-tokenizer", plain("ValueError: Tokenizer class Glm46VTokenizer does not exist or is not currently imported.")),
    ("crashloop-tokenizer", plain("AttributeError: 'ChatGLMTokenizer' object has no attribute 'sp_tokenizer'. Did you mean: '_tokenizer'?")),
    ("crashloop-tokenizer", plain("AttributeError: property 'eos_token' of 'ChatGLM4Tokenizer' object has no setter")),
    # weights
    ("crashloop-weights", crash("AssertionError", before=LOAD, where="layers/linear.py weight_loader")),
    ("crashloop-weights", crash("RuntimeError: The size of tensor a (256) must match the size of tensor b (512) at non-singleton dimension 0", before=LOAD, where="default_weight_loader")),
    ("crashloop-weights", vllm('  File "utils.py", line 300, in load_weights', "ValueError: There is no module or parameter named 'lm_head.bias' in Phi3ForCausalLM")),
    ("crashloop-weights", crash("ValueError: Unknown quantization method: exl2. Must be one of ['fp8', 'awq', 'gptq'].")),
    ("download-corrupt", plain("safetensors_rust.SafetensorError: Error while deserializing header: header too large")),
    ("download-corrupt", plain("json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)", "transformers/configuration_utils.py")),
    ("download-corrupt", crash("RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory")),
    ("download-corrupt", crash("_pickle.UnpicklingError: invalid load key, 'v'.")),
    # arguments and devices
    ("engine-args-invalid", "usage: vllm [-h]\nvllm serve: error: unrecognized arguments: --foo"),
    ("engine-args-invalid", "usage: api_server.py [-h]\napi_server.py: error: argument --dtype: invalid choice: 'fp7'"),
    ("engine-args-invalid", plain("AssertionError: chunked-prefill-size and page-size must be compatible", "sglang/srt/server_args.py")),
    ("engine-args-invalid", vllm("pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig", "  Value error, User-specified max_model_len (131072) is greater than the derived max_model_len (4096).")),
    ("tp-gpu-mismatch", vllm("ValueError: Total number of attention heads (25) must be divisible by tensor parallel size (2).")),
    ("tp-gpu-mismatch", vllm("ValueError: World size (4) is larger than the number of available GPUs (1) in this node.")),
    ("tp-gpu-mismatch", crash("ValueError: The output_size of gate's and up's weight = 192 is not divisible by weight quantization block_n = 128.")),
    ("gpu-device-fault", crash("RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable")),
    ("gpu-device-fault", plain("RuntimeError: No CUDA GPUs are available")),
    ("gpu-device-fault", plain("pynvml.NVMLError_GpuIsLost: GPU is lost")),
    ("gpu-device-fault", f"server_args=x\n{LOAD}\nNVRM: Xid (PCI:0000:3b:00): 79, pid=12, GPU has fallen off the bus."),
    ("gpu-device-fault", "server_args=x\nCUDA error: uncorrectable ECC error encountered"),
    # warm-up
    ("warmup-hang", f"{WARMING}\n[2026-01-31 12:05:00] Watchdog timeout (self.watchdog_timeout=300)"),
    ("warmup-hang", f"{WARMING}\n" + plain(REAL_TIMEOUT, before="Initialization failed. warmup error:")),
    # nobody knows
    ("crashloop-unclassified", crash("RuntimeError: CUDA error: no kernel image is available for execution on the device")),
    ("crashloop-unclassified", "server_args=x\nLoad weight end\n[rank1]: Watchdog caught collective operation timeout: WorkNCCL(SeqNum=12, OpType=ALLREDUCE)\nterminate called after throwing an instance of 'c10::DistBackendError'"),
    ("crashloop-unclassified", f"server_args=x\n{LOAD}\nFatal Python error: Segmentation fault"),
]  # fmt: skip


@pytest.mark.parametrize(("slug", "log"), ENGINES, ids=[f"{n}-{slug}" for n, (slug, _) in enumerate(ENGINES)])
def test_what_an_engine_wrote_before_it_ended(slug: str, log: str) -> None:
    found = diagnose(at_service(pod(previous=log, restarts=2, ended="Error")))
    assert found.cause.slug == slug, found.detail


@pytest.mark.parametrize(
    "words",
    [
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/raid/models/x'.",
        "OSError: Incorrect path_or_model_id: '/raid/models/x'. Please provide either the path to a local folder or the repo_id.",
        "OSError: Error no file named pytorch_model.bin, model.safetensors found in directory /raid/models/x.",
        "FileNotFoundError: [Errno 2] No such file or directory: '/raid/models/x/model-00001-of-00004.safetensors'",
    ],
)
def test_missing_files_are_the_nodes_fault_where_the_model_is_not(words: str) -> None:
    assert diagnose(at_service(pod(previous=plain(words), node=AWAY))).cause.slug == "weights-missing-on-node"
    whole_directory = "Repo id" in words or "path_or_model_id" in words
    there = diagnose(at_service(pod(previous=plain(words), node="node-0"))).cause.slug
    assert there == ("weights-missing-on-node" if whole_directory else "crashloop-weights")


DOWNLOADS: list[tuple[str, str]] = [
    ("download-gated", "Failed to download HuggingFace model x: HTTP status client error (403 Forbidden) for url (https://huggingface.co/x)"),
    ("download-gated", "Access to model meta-llama/X is restricted and you are not in the authorized list. Visit https://huggingface.co/x"),
    ("download-gated", "GatedRepoError: 403 Client Error. Cannot access gated repo for url https://huggingface.co/x."),
    ("download-not-found", "RepositoryNotFoundError: 401 Client Error. Repository Not Found for url: https://huggingface.co/api/models/x"),
    ("download-not-found", "Failed to download HuggingFace model x: 404 Client Error: Revision Not Found for url"),
    ("download-not-found", "Failed to download HuggingFace model x: File config.json not found in repository"),
    ("download-rate-limited", "list files failed after 4 attempts: 429 Too Many Requests"),
    ("download-rate-limited", "Rate limited while downloading llama-3-8b, retrying"),
    ("download-corrupt", "Failed to download HuggingFace model x: checksum mismatch for model-00002.safetensors"),
    ("download-corrupt", "Failed to download HuggingFace model x: size mismatch: expected 4976698672 bytes, got 1048576"),
    ("disk-full", "Failed to download HuggingFace model x: disk quota exceeded (os error 122)"),
    ("download-failed", "Failed to download HuggingFace model x: HTTP 503 Service Unavailable"),
    ("download-failed", "Failed to download HuggingFace model x: HTTP 403 Forbidden: AccessDenied: Request has expired"),
    ("download-failed", "Failed to download HuggingFace model x after 4031 s: request to 10.4.0.3:4033 failed after 4 attempts: broken pipe"),
    ("download-failed", "Failed to download HuggingFace model x: certificate verify failed: unable to get local issuer certificate"),
    ("download-failed", "unknown storage scheme s3:// for model llama-3-8b"),
]  # fmt: skip


@pytest.mark.parametrize(("slug", "line"), DOWNLOADS)
def test_what_an_agent_wrote_before_the_model_failed(slug: str, line: str) -> None:
    evidence = at_model(agent_logs=agent_log(line), model=model(failed=3, state="Failed"))
    assert diagnose(evidence).cause.slug == slug


def about_pod(reason: str, message: str, time: str = EARLY) -> dict[str, Any]:
    return event(reason, message, kind="Pod", name=f"{NAME}-engine-0", time=time)


def refused_pod(message: str) -> dict[str, Any]:
    return event("FailedCreate", f"Error creating: {message}", kind="ReplicaSet")


FAILED, ERROR, CALM = Outcome.FAILED, Outcome.ERROR, pod(log="no exception here")
POD_STATES: list[tuple[str, Outcome, Evidence]] = [
    ("gpu-device-fault", ERROR, at_service(pod(reason="UnexpectedAdmissionError", message="Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu"))),
    ("gpu-device-fault", ERROR, at_service(pod(waiting=("RunContainerError", "OCI runtime create failed: nvidia-container-cli: device error: GPU-12: unknown device")))),
    ("pod-unschedulable", ERROR, at_service(pod(reason="OutOfnvidia.com/gpu", message="Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 8, capacity: 8"))),
    ("pod-unschedulable", ERROR, at_service(pod(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."), nodes=(node("n", gpus=0),))),
    ("shm-too-small", FAILED, at_service(pod(reason="Evicted", message='Usage of EmptyDir volume "dshm" exceeds the limit "1Gi".'))),
    ("disk-full", ERROR, at_service(pod(reason="Evicted", message="Pod was rejected: The node had condition: [DiskPressure]."))),
    ("disk-full", ERROR, at_service(pod(waiting=("ErrImagePull", "failed to extract layer sha256:ab: write /x: no space left on device")))),
    ("node-lost", ERROR, at_service(pod(reason="Terminated", message="Pod was terminated in response to imminent node shutdown."))),
    ("node-lost", ERROR, at_service(CALM, events=(about_pod("TaintManagerEviction", "Marking for deletion Pod x"),))),
    ("node-lost", ERROR, at_service(CALM, events=(about_pod("NodeNotReady", "Node is not ready"),))),
    ("node-lost", ERROR, at_service(CALM, nodes=(node("another"),))),
    ("image-pull", FAILED, at_service(pod(waiting=("ErrImageNeverPull", "Container image x:1 is not present with pull policy of Never")))),
    ("image-pull", FAILED, at_service(pod(waiting=("ErrImagePull", "failed to fetch oauth token: unexpected status: 401 Unauthorized")))),
    ("image-pull", ERROR, at_service(pod(waiting=("ImagePullBackOff", "toomanyrequests: You have reached your pull rate limit")))),
    ("image-pull", ERROR, at_service(pod(waiting=("ErrImagePull", "failed to resolve reference: dial tcp: lookup ghcr.io on 10.96.0.10:53: no such host")))),
    ("container-config-error", FAILED, at_service(pod(waiting=("CrashLoopBackOff", "back-off 40s"), ended="StartError", exit_code=128, restarts=3))),
    ("pod-create-rejected", FAILED, at_service(events=(refused_pod('admission webhook "validation.gatekeeper.sh" denied the request: no label'),))),
    ("platform-webhook-unavailable", ERROR, at_service(events=(refused_pod('Internal error occurred: failed calling webhook "inferenceservice.ome-webhook-server.pod-mutator": no endpoints'),))),
    ("probe-endpoint-mismatch", FAILED, at_service(pod(log=READY), events=(about_pod("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 401"),))),
    ("startup-timeout", FAILED, at_service(pod(previous=started(LOAD), restarts=1, ended="Error", exit_code=137), events=(about_pod("Killing", "Container ome-container failed liveness probe, will be restarted"),))),
]  # fmt: skip


@pytest.mark.parametrize(("slug", "outcome", "evidence"), POD_STATES)
def test_what_a_node_says_about_a_pod(slug: str, outcome: Outcome, evidence: Evidence) -> None:
    found = diagnose(evidence)
    assert (found.cause.slug, found.outcome) == (slug, outcome), found.detail


UNNAMED = {"metadata": {"name": NAME}, "spec": {"engine": {"minReplicas": 1}}}
NO_RUNTIME = "Failed to find runtime for model m: no runtime found to support model safetensors with format safetensors in namespace x. Checked 2 runtimes. Excluded runtimes: srt-a (architecture mismatch (model=A, runtime=B))"
PLATFORM: list[tuple[str, Evidence]] = [
    ("config-invalid", at_service(events=(event("DeploymentModeError", "engine component is required"),))),
    ("config-invalid", at_service(events=(event("ModelReconcileError", "model llama-3-8b is disabled"),))),
    ("config-invalid", at_service(controller_log='"error": "no containers found in pod spec and no runner spec provided"', reason="deadline")),
    ("runtime-not-found", at_service(events=(event("RuntimeSelectionError", NO_RUNTIME),), service=UNNAMED)),
    ("runtime-template-error", at_service(controller_log='"error":"template: container-tmpl:1: unexpected \\"%\\" in command"')),
    ("isvc-not-reconciled", at_service(controller_log='rolebindings is forbidden: User "system:serviceaccount:ome:x" cannot create')),
    ("leftover-conflict", refused(422, "Deployment.apps x is invalid: spec.selector: Invalid value: field is immutable")),
    ("pod-create-rejected", refused(403, 'inferenceservices.ome.io "x" is forbidden: exceeded quota: objs, requested: count/x=1', reason="Forbidden")),
    ("platform-webhook-unavailable", refused(500, "conversion webhook for ome.io/v1beta1, Kind=InferenceService failed: connection refused")),
    ("platform-not-installed", refused(404, 'no matches for kind "ClusterBaseModel" in version "ome.io/v1beta1"', resource="")),
]  # fmt: skip


@pytest.mark.parametrize(("slug", "evidence"), PLATFORM)
def test_what_the_platform_says(slug: str, evidence: Evidence) -> None:
    assert diagnose(evidence).cause.slug == slug


def pressed(name: str) -> dict[str, Any]:
    found = node(name, DiskPressure="True")
    found["status"]["conditions"][0]["lastTransitionTime"] = EARLY
    return found


def test_the_full_disk_of_another_node_explains_nothing() -> None:
    others = tuple(node(f"node-{number}") for number in range(3))
    gated = agent_log("list files failed after 4 attempts: HTTP 403")
    assert diagnose(at_model(agent_logs=gated, nodes=(pressed(AWAY),))).cause.slug == "download-gated"
    stuck = at_model(node_entries=updating(10**9), idle_seconds=400, nodes=(pressed(AWAY), *others))
    assert diagnose(stuck).cause.slug == "download-stuck"
    there = at_model(node_entries=updating(10**9, 1), idle_seconds=400, nodes=(pressed("node-0"), *others))
    assert diagnose(there).cause.slug == "disk-full"


def test_what_was_refused_before_the_engine_existed_has_been_overcome() -> None:
    history = (
        refused_pod('failed calling webhook "x": no endpoints'),
        event("RuntimeValidationError", "invalid model specification: modelFormat.name: model format name is required"),
        about_pod("FailedMount", "MountVolume.SetUp failed: failed to sync configmap cache"),
    )
    died = pod(previous=crash(OOM), restarts=1, ended="Error")
    assert diagnose(at_service(died, events=history)).cause.slug == "cuda-oom"
    pulling = pod(waiting=("ImagePullBackOff", "not found"))
    assert diagnose(at_service(pulling, events=history)).cause.slug == "image-pull"


def test_a_node_lost_after_the_crash_is_not_its_cause() -> None:
    died = pod(previous=crash("ModuleNotFoundError: No module named 'vllm'"), restarts=1, ended="Error")
    lost = node("node-0", Ready="Unknown")
    lost["status"]["conditions"][0]["lastTransitionTime"] = LATE
    manifest: Any = copy.deepcopy(died.manifest)
    ended = manifest["status"]["containerStatuses"][0]["lastState"]["terminated"]
    for finished, slug in ((EARLY, "crashloop-missing-module"), ("2026-01-31T12:20:00Z", "node-lost")):
        ended["finishedAt"] = finished
        seen = type(died)(manifest, died.logs, died.previous_logs)
        assert diagnose(at_service(seen, nodes=(lost,))).cause.slug == slug


def test_a_pod_no_node_takes_because_all_are_away_is_not_hard_to_place() -> None:
    words = "0/2 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/unreachable: }."
    for second, slug in (("Unknown", "node-lost"), ("True", "pod-unschedulable")):
        nodes = (node("node-0", Ready="Unknown"), node("node-1", Ready=second))
        assert diagnose(at_service(pod(unschedulable=words, node=""), nodes=nodes)).cause.slug == slug


def test_a_restart_before_the_engine_was_ready_is_no_death_during_inference() -> None:
    seen = pod(log=READY, restarts=1, ended="Error", previous=crash("RuntimeError: boom"))
    status: Any = seen.manifest["status"]
    status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": LATE}]
    for began, slug in ((EARLY, "inference-error"), ("2026-01-31T12:20:00Z", "engine-died-during-inference")):
        status["containerStatuses"][0]["state"] = {"running": {"startedAt": began}}
        assert diagnose(at_probe("inference-error", status=500, body="oops", pods=(seen,))).cause.slug == slug


def test_a_rank_that_lost_its_peer_does_not_hide_what_the_peer_died_of() -> None:
    first = crash("RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.1]:40021")
    found = first_crash(f"{first}\n{crash(OOM)}")
    assert found is not None
    assert found.line == OOM
    alone = first_crash(first)
    assert alone is not None
    assert "Connection closed by peer" in alone.line


def test_an_exception_the_engine_survived_is_none() -> None:
    survived = (
        started() + "\n" + plain("ModuleNotFoundError: No module named 'deep_gemm'") + f"\n{LOAD}\nLoad weight end"
    )
    assert first_crash(survived) is None
    killed = about_pod("Killing", "Container ome-container failed startup probe, will be restarted")
    evidence = at_service(pod(previous=survived, restarts=1, ended="Error", exit_code=137), events=(killed,))
    assert diagnose(evidence).cause.slug == "startup-timeout"


def test_a_bare_line_of_a_living_engine_proves_nothing() -> None:
    log = f"server_args=x\n{LOAD}\nCUDA error: uncorrectable ECC error encountered"
    assert diagnose(at_service(pod(log=log))).cause.slug == "unknown"
    assert diagnose(at_service(pod(log=log), reason="deadline")).cause.slug == "gpu-device-fault"


def test_a_bare_exception_that_comes_again_is_a_verdict_at_once() -> None:
    assert is_deterministic("ModuleNotFoundError: No module named 'vllm'")
    assert not is_deterministic("CUDA error: uncorrectable ECC error encountered")


def test_a_pod_without_gpus_cannot_see_one() -> None:
    log = plain("RuntimeError: No CUDA GPUs are available")
    assert diagnose(at_service(pod(previous=log, gpus=0))).cause.slug == "tp-gpu-mismatch"


def test_a_stalled_download_shows_what_its_agent_said_last() -> None:
    logs = agent_log("HTTP 503 from hub for llama-3-8b, retrying in 300 s")
    found = diagnose(at_model(agent_logs=logs, node_entries=updating(4 * 10**9), idle_seconds=500))
    assert found.cause.slug == "download-stuck"
    assert any("log model-agent" in line.source for line in found.lines)


def test_a_model_that_nodes_check_again_is_not_at_fault() -> None:
    refused = pod(unschedulable="0/6 nodes are available: 6 node(s) didn't match Pod's node affinity/selector.")
    assert diagnose(at_service(refused)).outcome is Outcome.FAILED
    assert diagnose(at_service(refused, node_labels={"node-0": "Updating"})).outcome is Outcome.ERROR


def test_a_model_somebody_deleted_was_not_queued() -> None:
    found = diagnose(at_model(reason="deleted", detail="was deleted by somebody else", model=None))
    assert (found.cause.slug, found.detail) == ("unknown", "was deleted by somebody else")


def test_agents_that_crash_over_and_over_do_not_run() -> None:
    status: dict[str, Any] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
    agent = {"metadata": {"name": "agent-1"}, "status": status}
    assert diagnose(at_model(agents=(agent,))).cause.slug == "platform-not-installed"
    status["conditions"][0]["status"] = "True"
    assert diagnose(at_model(agents=(agent,))).cause.slug == "download-queued"


def test_a_service_nobody_acts_on_shows_what_the_controller_complains_about() -> None:
    complaint = 'error: rolebindings is forbidden: User "system:serviceaccount:ome:x" cannot create'
    found = diagnose(at_service(controller_log=complaint, service=service()))
    assert found.cause.slug == "isvc-not-reconciled"
    assert any("rolebindings is forbidden" in line.text for line in found.lines)
