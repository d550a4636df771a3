"""Each cause from the signals of the real platform, and each pair of neighbours told apart (facts: failures, part E)."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.diagnosis.causes import CAUSES
from pytest_modelrt.diagnosis.diagnose import diagnose, hint_of
from pytest_modelrt.diagnosis.model import Evidence, PodSnapshot
from pytest_modelrt.diagnosis.rules.engine import has_crashed, is_deterministic, serves_elsewhere
from pytest_modelrt.journal.model import Outcome, Stage
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

AGENT = {"metadata": {"name": "agent-1"}, "status": {"phase": "Running"}}
GATED = "Failed to download HuggingFace model meta-llama/X: xet error 99: list files failed after 4 attempts: HTTP 403"
UNSTARTED = "no exception here"
PROBE_404 = event(
    "Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 404", kind="Pod", name=f"{NAME}-engine-0"
)
PROBE_503 = event(
    "Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503", kind="Pod", name=f"{NAME}-engine-0"
)
KILLED = event(
    "Killing", "Container ome-container failed startup probe, will be restarted", kind="Pod", name=f"{NAME}-engine-0"
)


def validation(reason: str) -> Evidence:
    text = f"Runtime srt-x does not support model m: runtime srt-x does not support model safetensors: {reason}"
    return at_service(events=(event("RuntimeValidationError", text),))


CASES: list[tuple[str, Evidence]] = [
    ("config-invalid", refused(500, "failed to create typed patch object (x/x; ome.io/v1beta1): .spec.y: field not declared")),
    ("platform-not-installed", refused(404, "404 page not found", resource="")),
    ("unknown", refused(413, "etcdserver: request is too large")),
    # what the API answered
    ("config-invalid", refused(400, 'strict decoding error: unknown field "spec.model.modelId"')),
    ("config-invalid", refused(403, 'admission webhook "x" denied the request: no', reason="Forbidden")),
    ("platform-webhook-unavailable", refused(500, 'failed calling webhook "x": no endpoints available for service')),
    ("cluster-auth", refused(401, "Unauthorized")),
    ("cluster-auth", refused(403, 'clusterbasemodels.ome.io is forbidden: User "bob" cannot patch', reason="Forbidden")),
    ("namespace-stuck-terminating", refused(403, "unable to create new content in namespace x because it is being terminated")),
    ("leftover-conflict", refused(409, 'namespaces "x" already exists', reason="AlreadyExists")),
    ("platform-not-installed", refused(404, "the server could not find the requested resource")),
    ("cluster-api-unavailable", refused(0, "connection refused")),
    ("cluster-api-unavailable", refused(503, "the server is currently unable to handle the request")),
    # download
    ("download-gated", at_model(agent_logs=agent_log(GATED), model=model(failed=3, state="Failed"))),
    ("download-gated", at_model(agent_logs=agent_log(GATED), node_entries=updating(0), idle_seconds=400)),
    ("download-not-found", at_model(agent_logs=agent_log("download failed: X-Error-Code: RepoNotFound HTTP 401"))),
    ("download-not-found", at_model(agent_logs=agent_log("xet error 99: list files failed after 4 attempts: HTTP 404"))),
    ("download-rate-limited", at_model(agent_logs=agent_log("list files failed after 4 attempts: HTTP 429"))),
    ("disk-full", at_model(agent_logs=agent_log("xet error 99: No space left on device (os error 28)"))),
    ("disk-full", at_model(nodes=(node("node-1", DiskPressure="True"),))),
    ("download-failed", at_model(agent_logs=agent_log("Failed to download HuggingFace model x failed after 4 attempts: dns error"),
                                 model=model(failed=3, state="Failed"))),
    ("download-queued", at_model(agents=(AGENT,), other_downloads={"big-model": ("node-0", "node-1")})),
    ("platform-not-installed", at_model(agents=())),
    ("download-stuck", at_model(node_entries=updating(10**9), idle_seconds=400)),
    ("download-slow", at_model(node_entries=updating(10**9), idle_seconds=20, reason="deadline")),
    ("download-status-stale", at_model(node_entries=updating(16 * 10**9), node_labels=dict.fromkeys(("node-0", "node-1", "node-2"), "Ready"))),
    ("download-partial-nodes", at_model(model=model(ready=1, failed=2, state="Ready"))),
    # model against runtime
    ("runtime-mismatch-framework", validation("framework version mismatch (model=4.47.0.dev0, runtime=4.45.0.dev0)")),
    ("runtime-mismatch-architecture", validation("architecture mismatch (model=GlmForCausalLM, runtime=ChatGLMModel)")),
    ("runtime-mismatch-architecture", validation("model has no architecture but runtime requires X")),
    ("runtime-mismatch-size", validation("model size 4B is outside supported range [5B, 9B]")),
    ("runtime-mismatch-format", validation("format name mismatch (model=pytorch, runtime=safetensors)")),
    ("runtime-mismatch-quantization", validation("model has quantization fp8 but runtime has no quantization requirement")),
    ("metadata-unparsed", validation("invalid model specification: modelFormat.name: model format name is required")),
    ("runtime-not-found", at_service(events=(event("RuntimeValidationError", "Runtime x does not support model m: runtime srt-x not found in namespace y or at cluster scope"),))),
    # reconcile
    ("isvc-not-reconciled", at_service(service={"metadata": {"name": NAME}, "spec": {"engine": {"minReplicas": 1}, "runtime": {"name": "r"}}})),
    ("runtime-template-error", at_service(controller_log='failed to replace placeholders in container: template: container-tmpl:1: function "system_message" not defined')),
    ("runtime-template-error", at_service(runtime={"spec": {"engineConfig": {"runner": {"args": ["--chat-template", "{{ bos }}"]}}}})),
    ("isvc-scaled-to-zero", at_service(service=service(minReplicas=0))),
    ("pod-create-rejected", at_service(events=(event("FailedCreate", "forbidden: violates PodSecurity", kind="ReplicaSet"),))),
    # placement
    ("pod-unschedulable", at_service(pod(unschedulable="0/14 nodes are available: 14 Insufficient nvidia.com/gpu."), nodes=(node("n"),))),
    ("gpu-budget-exceeded", at_service(pod(unschedulable="0/14 nodes are available: 14 Insufficient nvidia.com/gpu.", gpus=16), nodes=(node("n"),))),
    ("image-pull", at_service(pod(waiting=("ImagePullBackOff", "Back-off pulling image: manifest unknown")))),
    ("container-config-error", at_service(pod(waiting=("CreateContainerConfigError", 'secret "x" not found')))),
    ("node-lost", at_service(pod(log=UNSTARTED), nodes=(node("node-0", Ready="Unknown"),))),
    ("node-lost", at_service(pod(reason="Evicted", message="The node was low on resource: memory."))),
    ("disk-full", at_service(pod(reason="Evicted", message="The node was low on resource: ephemeral-storage."))),
    # engine
    ("crashloop-missing-module", at_service(pod(previous=crash("ModuleNotFoundError: No module named 'vllm'")))),
    ("crashloop-custom-code", at_service(pod(previous=crash("FileNotFoundError: [Errno 2] No such file or directory: '/raid/models/x/flash_attn_triton.py'")))),
    ("crashloop-custom-code", at_service(pod(previous=crash("ValueError: The repository contains custom code which must be executed to correctly load the model.")))),
    ("crashloop-unsupported-architecture", at_service(pod(previous=crash("ValueError: BloomForCausalLM has no SGlang implementation and the Transformers implementation is not compatible with SGLang.")))),
    ("crashloop-unsupported-architecture", at_service(pod(previous=crash(
        "AttributeError: 'GPTNeoXConfig' object has no attribute 'num_key_value_heads'",
        before="GPTNeoXForCausalLM has no SGlang implementation, falling back to Transformers implementation.")))),
    ("crashloop-unclassified", at_service(pod(previous=crash("AttributeError: 'FooConfig' object has no attribute 'bar'")))),
    ("crashloop-tokenizer", at_service(pod(previous=crash("TypeError: ChatGLMTokenizer._pad() got an unexpected keyword argument 'padding_side'")))),
    ("crashloop-weights", at_service(pod(previous=crash("KeyError: 'transformer.vision.boi'", where="load_weights.py")))),
    ("weights-missing-on-node", at_service(pod(node="node-13", previous=crash("OSError: /raid/models/x does not appear to have a file named config.json.")))),
    ("crashloop-weights", at_service(pod(node="node-0", previous=crash("OSError: /raid/models/x does not appear to have a file named config.json.")))),
    ("engine-args-invalid", at_service(pod(previous="usage: launch_server.py\nlaunch_server.py: error: unrecognized arguments: --foo"))),
    ("tp-gpu-mismatch", at_service(pod(previous=crash("RuntimeError: CUDA error: invalid device ordinal")))),
    ("cuda-oom", at_service(pod(previous=crash("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", before="Load weight begin. avail mem=79")))),
    ("cuda-oom", at_service(pod(previous="server_args=x\nLoad weight begin\n[2026-01-31 12:00:10] CUDA out of memory\n", restarts=1))),
    ("kv-cache-memory", at_service(pod(previous=crash("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: 0.5")))),
    ("host-oom", at_service(pod(ended="OOMKilled", exit_code=137, restarts=1))),
    ("crashloop-unclassified", at_service(pod(ended="Error", exit_code=137, restarts=2, previous="server_args=x\nLoad weight begin"))),
    ("shm-too-small", at_service(pod(previous=crash("RuntimeError: Error while creating shared memory segment /dev/shm/nccl-abc")))),
    ("gpu-device-fault", at_service(pod(previous=crash("RuntimeError: CUDA error: uncorrectable ECC error encountered")))),
    ("gpu-memory-occupied", at_service(pod(previous=crash("ValueError: The memory capacity is unbalanced. Some GPUs may be occupied by other processes.")))),
    ("download-corrupt", at_service(pod(previous=crash("safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata")))),
    ("startup-timeout", at_service(pod(previous=started("Load weight begin"), restarts=1), events=(PROBE_503, KILLED))),
    ("warmup-hang", at_service(pod(log=WARMING), events=(PROBE_503,))),
    ("warmup-failed", at_service(pod(log=crash("AssertionError: text-only input refused", before="Initialization failed. warmup error:", scheduler=False)))),
    ("cuda-oom", at_service(pod(log=crash("torch.OutOfMemoryError: CUDA out of memory.", before="Initialization failed. warmup error:", scheduler=False)))),
    ("probe-endpoint-mismatch", at_service(pod(log=READY), events=(PROBE_404,))),
    # asking
    ("served-name-mismatch", at_probe("served-name-mismatch", status=404, body="The model does not exist")),
    ("inference-empty", at_probe("inference-empty")),
    ("inference-garbage", at_probe("inference-garbage", body="!!!!")),
    ("inference-error", at_probe("inference-error", status=500, body="Internal server error")),
    ("inference-timeout", at_probe("", status=None, error="timed out")),
    ("port-forward-broken", at_probe("", status=None, error="lost connection to pod")),
    ("engine-died-during-inference", at_probe("inference-error", status=None, error="reset", pods=(pod(ended="Error", restarts=1),))),
]  # fmt: skip


@pytest.mark.parametrize(("slug", "evidence"), CASES, ids=[f"{n}-{slug}" for n, (slug, _) in enumerate(CASES)])
def test_signals_name_their_cause(slug: str, evidence: Evidence) -> None:
    found = diagnose(evidence)
    assert found.cause.slug == slug, f"{found.detail} {found.lines}"
    assert found.lines, "a cause comes with the lines that prove it"


def test_unknown_signals_stay_unknown_and_keep_the_best_evidence() -> None:
    evidence = at_service(pod(log="hello"), events=(event("Strange", "never seen"),), reason="deadline")
    found = diagnose(evidence)
    assert found.cause.slug == "unknown"
    assert any("never seen" in line.text for line in found.lines)
    assert any(line.text == "hello" for line in found.lines)


def test_gated_subreasons_are_told_apart() -> None:
    no_key = diagnose(at_model(agent_logs=agent_log(GATED)))
    no_secret = diagnose(
        at_model(agent_logs=agent_log(f"Failed to retrieve secret hf-token\n{GATED}"), model=model(key="hf-token"))
    )
    no_licence = diagnose(at_model(agent_logs=agent_log(GATED), model=model(key="hf-token")))
    assert "storage.key: hf-token" in no_key.hint
    assert "namespace ome" in no_secret.hint
    assert (
        no_licence.hint
        == "accept the licence at https://huggingface.co/meta-llama/Llama-3-8B with the account of the token"
    )


def test_oom_hint_follows_the_phase() -> None:
    loading = diagnose(
        at_service(pod(previous=crash("torch.OutOfMemoryError: CUDA out of memory.", before="Load weight begin")))
    )
    graphs = diagnose(
        at_service(
            pod(
                previous=crash(
                    "torch.OutOfMemoryError: CUDA out of memory.", before="Load weight end\nCapture cuda graph begin"
                )
            )
        )
    )
    assert "more GPUs" in loading.hint
    assert "--disable-cuda-graph" in graphs.hint


def test_the_first_cause_in_time_wins_over_its_aftermath() -> None:
    log = crash("ModuleNotFoundError: No module named 'vllm'")
    later = "\nTraceback (most recent call last):\n  File 'x'\nRuntimeError: NCCL error: unhandled system error"
    found = diagnose(at_service(pod(previous=log + later, restarts=3, ended="Error"), events=(PROBE_503, KILLED)))
    assert found.cause.slug == "crashloop-missing-module"


def test_a_broken_router_does_not_hide_the_engines_cause() -> None:
    router = pod(component="router", waiting=("ImagePullBackOff", "denied"))
    engine = pod(previous=crash("ModuleNotFoundError: No module named 'vllm'"))
    assert diagnose(at_service(router, engine)).cause.slug == "crashloop-missing-module"
    assert diagnose(at_service(router, pod(log=UNSTARTED))).cause.slug == "image-pull"


def test_healthy_looking_noise_names_no_cause() -> None:
    log = started(
        'INFO: "GET /health_generate HTTP/1.1" 503 Service Unavailable',
        "Ignore import error when loading sglang.srt.models.foo: No module named 'vllm'",
        "GlmForCausalLM has no SGlang implementation, falling back to Transformers implementation.",
        "Load weight begin",
    )
    assert diagnose(at_service(pod(log=log), reason="deadline")).cause.slug == "unknown"


def test_a_cause_the_stack_is_sure_of_outranks_the_rules() -> None:
    found = diagnose(Evidence(Stage.PREFLIGHT, 0.0, "arithmetic", "690 GB > 640 GB"), known="gpu-budget-exceeded")
    assert found.cause.outcome is Outcome.SKIPPED
    assert found.detail == "690 GB > 640 GB"


def test_every_hint_can_be_filled_in() -> None:
    for cause in CAUSES.values():
        text = hint_of(diagnose(Evidence(cause.stage, 0.0, "x"), known=cause.slug), case="a/b", hub_id="a/b")
        assert "{" not in text.replace("{.status.conditions}", "")
        assert text


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("0/14 nodes are available: 14 Insufficient nvidia.com/gpu.", Outcome.NOT_RUN),
        ("0/14 nodes are available: 14 node(s) were unschedulable.", Outcome.ERROR),
        (
            "0/14 nodes are available: 14 node(s) had untolerated taint {node.kubernetes.io/unreachable: }.",
            Outcome.ERROR,
        ),
        ("0/14 nodes are available: 14 Insufficient memory.", Outcome.FAILED),
        ("0/14 nodes are available: 14 node(s) had untolerated taint {team: other}.", Outcome.FAILED),
        ("0/14 nodes are available: 14 node(s) didn't match Pod's node affinity/selector.", Outcome.FAILED),
    ],
)
def test_whose_fault_an_unplaced_pod_is(message: str, outcome: Outcome) -> None:
    finding = diagnose(at_service(pod(unschedulable=message), nodes=(node("node-0"),)))
    assert (finding.cause.slug, finding.outcome) == ("pod-unschedulable", outcome)


@pytest.mark.parametrize(
    ("words", "outcome"),
    [("exceeded quota: gpus", Outcome.ERROR), ('violates PodSecurity "restricted:latest"', Outcome.FAILED)],
)
def test_a_quota_is_the_clusters_a_policy_the_manifests(words: str, outcome: Outcome) -> None:
    created = event("FailedCreate", f'Error creating: pods "x" is forbidden: {words}', kind="ReplicaSet")
    finding = diagnose(at_service(events=(created,)))
    assert (finding.cause.slug, finding.outcome) == ("pod-create-rejected", outcome)


def test_a_cut_connection_is_the_engines_death_only_if_the_pod_shows_it() -> None:
    cut = "RemoteProtocolError: Server disconnected without sending a response."
    died = "engine-died-during-inference"
    calm = at_probe(died, status=None, error=cut, pods=(pod(log=READY),))
    assert diagnose(calm).cause.slug == "port-forward-broken"
    dead = at_probe(died, status=None, error=cut, pods=(pod(log=READY, previous=crash("RuntimeError: boom")),))
    assert diagnose(dead).cause.slug == died


def test_a_service_whose_status_nobody_keeps_is_told_from_an_engine_that_is_late() -> None:
    behind = {
        **service(),
        "status": {"conditions": [{"type": "EngineReady", "status": "False", "reason": "Initializing"}]},
    }

    def engine(ready: str) -> PodSnapshot:
        found: Any = pod(log=READY)
        found.manifest["status"]["conditions"] = [{"type": "Ready", "status": ready}]
        return PodSnapshot(found.manifest, found.logs)

    found = diagnose(at_service(engine("True"), service=behind, reason="deadline", waited=1560.0))
    assert found.cause.slug == "isvc-not-reconciled"
    assert "1 engine pods ready" in found.detail
    other = diagnose(at_service(engine("False"), service=behind, reason="deadline", waited=1560.0))
    assert other.cause.slug != "isvc-not-reconciled"


def test_a_port_forward_that_is_not_allowed_is_no_broken_one() -> None:
    words = 'port-forward to Pod a/b port 8080: 403 pods "b" is forbidden: User "x" cannot create resource "pods/portforward"'
    found = diagnose(at_probe("port-forward-broken", status=None, error=f"ConnectError: {words}"))
    assert found.cause.slug == "cluster-auth"
    assert "--subresource=portforward" in found.hint


def test_credentials_of_three_kinds_say_what_to_do() -> None:
    right = 'models is forbidden: User "x" cannot patch resource "clusterbasemodels" in API group "ome.io"'
    found = [diagnose(refused(*given)) for given in ((401, "Unauthorized"), (403, right))]
    found.append(diagnose(refused(0, "certificate is not signed by", reason="KubeconfigError")))
    assert {finding.cause.slug for finding in found} == {"cluster-auth"}
    hints = [finding.hint for finding in found]
    assert "log in again" in hints[0]
    assert "kubectl auth can-i patch clusterbasemodels.ome.io" in hints[1]
    assert "kubeconfig" in hints[2]
    assert diagnose(refused(0, "connection refused")).cause.slug == "cluster-api-unavailable"


def test_a_wrongly_probed_path_is_seen_in_the_log_before_the_restart() -> None:
    killed = pod(log=started(), previous=READY, restarts=1, ended="Error", exit_code=137)
    assert diagnose(at_service(killed, events=(PROBE_404, KILLED))).cause.slug == "probe-endpoint-mismatch"
    assert diagnose(at_service(killed, events=(PROBE_503, KILLED))).cause.slug == "startup-timeout"


def test_which_first_crash_is_a_verdict() -> None:
    warmup = crash("AssertionError: res=<Response [400]>", before="Initialization failed. warmup error:")
    assert is_deterministic(warmup)
    assert is_deterministic(WARMING)
    assert not is_deterministic(crash("RuntimeError: CUDA error: an illegal memory access was encountered"))
    assert not is_deterministic(started("Load weight begin"))


def test_engines_that_listen_though_dead() -> None:
    assert has_crashed(crash("RuntimeError: Not enough memory."))
    assert not has_crashed(crash("ImportError: optional", scheduler=False))
    assert not has_crashed(WARMING)
    assert serves_elsewhere(READY, "Startup probe failed: HTTP probe failed with statuscode: 404")
    assert not serves_elsewhere(READY, "Startup probe failed: HTTP probe failed with statuscode: 503")
    assert not serves_elsewhere(WARMING, "Startup probe failed: HTTP probe failed with statuscode: 404")


def test_the_last_exception_of_a_chain_names_the_cause() -> None:
    chain = crash("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.").splitlines()[:-1]
    chain += ["", "During handling of the above exception, another exception occurred:", "",
              "Traceback (most recent call last):", '  File "cuda_graph_runner.py", line 383, in __init__',
              "Exception: Capture cuda graph failed: CUDA out of memory.", "Possible solutions:"]  # fmt: skip
    assert diagnose(at_service(pod(log="\n".join(chain)))).cause.slug == "cuda-oom"


def test_metadata_nobody_could_read_is_proven_by_the_agent() -> None:
    log = agent_log("Failed to parse and update model config: num_key_value_heads must be positive, got 0")
    evidence = Evidence(Stage.RUNTIME, 1.0, "mismatch", model=model(ready=3), agent_logs=log)
    finding = diagnose(evidence, known="metadata-unparsed")
    assert finding.cause.slug == "metadata-unparsed"
    assert "num_key_value_heads" in finding.lines[0].text
