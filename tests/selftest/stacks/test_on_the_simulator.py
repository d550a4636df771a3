"""The OME stack on a simulated cluster: what each stage waits for, puts up with, and gives up on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_modelrt.cluster.cluster import Cluster
from pytest_modelrt.cluster.model import CLUSTER_BASE_MODEL, Ref
from pytest_modelrt.cluster.sweep import Wanted, find
from pytest_modelrt.diagnosis.diagnose import diagnose
from pytest_modelrt.journal.model import Stage
from pytest_modelrt.manifests.scaffold import model_path, runtime_path, service_path
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.stacks.protocol import StackFailure
from tests.selftest.stacks.conftest import CONFIG, RUN, Play, Played

ALL = ("preflight", "apply_model", "apply_runtime", "apply_service")


def gives_up(played: Played, *steps: str) -> tuple[StackFailure, str]:
    """How the last step fails, and the cause diagnosis finds in the evidence."""
    played.up_to(*steps[:-1])
    with pytest.raises(StackFailure) as caught:
        played.up_to(steps[-1])
    return caught.value, diagnose(played.stack.collect(caught.value), known=caught.value.cause).cause.slug


def test_a_model_is_served_and_removed(play: Play, cluster: Cluster) -> None:
    played = play("HuggingFaceTB/SmolLM-135M")
    played.up_to(*ALL)
    assert len(played.stack.live(Stage.MODEL)["status"]["nodesReady"]) >= 3
    endpoint = played.stack.endpoint()
    assert (endpoint.namespace, endpoint.port) == ("smollm-135m", 8080)
    assert endpoint.router_pod is not None
    assert {str(found.ref) for found in find(cluster, Wanted(RUN))} == {
        "InferenceService smollm-135m/smollm-135m",
        "Namespace smollm-135m",
        "ClusterServingRuntime srt-smollm-135m",
        "ClusterBaseModel smollm-135m",
    }
    played.stack.delete_service()
    assert [str(ref) for ref in played.stack.leftovers()] == [
        "ClusterBaseModel smollm-135m",
        "ClusterServingRuntime srt-smollm-135m",
    ]
    assert [what for what, _ in played.told].count("pod-ready") == 2


def test_fewer_nodes_than_wanted_are_a_warning(play: Play) -> None:
    played = play("Qwen/Qwen2.5-3B")
    played.stack.preflight()
    ready = played.stack.apply_model()
    assert ready.facts["nodes_ready"] == 2
    assert ready.facts["nodes_failed"] == 12
    (warning,) = ready.warnings
    assert warning.startswith("download-partial-nodes: 2 of 3 wanted nodes hold the model; ")


def test_fewer_nodes_than_the_minimum_end_the_case(play: Play) -> None:
    failure, _ = gives_up(play("Qwen/Qwen2.5-3B", nodes_minimum=3), "preflight", "apply_model")
    assert failure.reason == "terminal-state"


def test_a_refused_download_is_gated(play: Play) -> None:
    failure, cause = gives_up(play("Qwen/Qwen2.5-7B"), "preflight", "apply_model")
    assert (failure.stage, failure.reason, cause) == (Stage.MODEL, "terminal-state", "download-gated")


def test_a_download_without_bytes_is_stuck(play: Play) -> None:
    played = play("Qwen/Qwen2.5-0.5B")
    failure, cause = gives_up(played, "preflight", "apply_model")
    assert (failure.reason, cause) == ("no-progress", "download-stuck")
    evidence = played.stack.collect(failure)
    assert evidence.idle_seconds is not None
    assert evidence.idle_seconds >= 300
    assert len(evidence.node_entries) == 14


def test_a_stale_status_is_a_warning_when_the_nodes_say_ready(play: Play) -> None:
    played = play("Qwen/Qwen3-4B")
    played.stack.preflight()
    (warning,) = played.stack.apply_model().warnings
    assert warning.startswith("download-status-stale: ")


def test_a_runtime_that_does_not_fit_is_repaired_beside_the_file(play: Play, tmp_path: Path) -> None:
    played = play("Qwen/Qwen3-8B")
    before = (CONFIG / runtime_path(load_plan(CONFIG).by_id()["Qwen/Qwen3-8B"])).read_bytes()
    played.up_to("preflight", "apply_model")
    ready = played.stack.apply_runtime()
    field = "spec.supportedModelFormats[0].modelFramework.version"
    assert [warning for warning in ready.warnings if field in warning and warning.endswith("-> 4.99.0")]
    (formats,) = played.stack.live(Stage.RUNTIME)["spec"]["supportedModelFormats"]
    assert formats["modelFramework"]["version"] == "4.99.0"
    patch = (tmp_path / "run" / "repairs" / "qwen3-8b-runtime.patch").read_text()
    assert "+" in patch
    assert "4.99.0" in patch
    assert [data["new"] for what, data in played.told if what == "repair"] == ["4.99.0"]
    assert (CONFIG / runtime_path(load_plan(CONFIG).by_id()["Qwen/Qwen3-8B"])).read_bytes() == before
    played.stack.apply_service()


def test_a_runtime_that_does_not_fit_is_reported_when_repair_is_off(play: Play) -> None:
    failure, cause = gives_up(play("Qwen/Qwen3-8B", repair="off"), "preflight", "apply_model", "apply_runtime")
    assert (failure.stage, cause) == (Stage.RUNTIME, "runtime-mismatch-framework")
    assert "4.99.0" in failure.detail


def test_a_runtime_that_does_not_fit_is_edited_when_asked(play: Play, tmp_path: Path) -> None:
    case = load_plan(CONFIG).by_id()["Qwen/Qwen3-8B"]
    tree = tmp_path / "tree"
    for place in (model_path(case), runtime_path(case), service_path(case)):
        (tree / place).parent.mkdir(parents=True)
        shutil.copy(CONFIG / place, tree / place)
    played = play("Qwen/Qwen3-8B", config_dir=tree, repair="write")
    played.up_to("preflight", "apply_model", "apply_runtime")
    assert "version: 4.99.0" in (tree / runtime_path(case)).read_text()


def test_a_service_without_a_file_is_written_from_the_template(play: Play, tmp_path: Path) -> None:
    case = load_plan(CONFIG).by_id()["HuggingFaceTB/SmolLM-135M"]
    tree = tmp_path / "tree"
    for place in (model_path(case), runtime_path(case)):
        (tree / place).parent.mkdir(parents=True)
        shutil.copy(CONFIG / place, tree / place)
    played = play(case.id, config_dir=tree)
    assert played.stack.preflight().warnings == ("no InferenceService file: written from the plan's template",)
    assert [obj["kind"] for obj in played.stack.objects()][-1] == "InferenceService"


def test_missing_files_are_named(play: Play, tmp_path: Path) -> None:
    failure, cause = gives_up(play("HuggingFaceTB/SmolLM-135M", config_dir=tmp_path), "preflight")
    assert cause == "config-missing"
    assert "models/HuggingFaceTB/SmolLM-135M.yaml" in failure.detail
    assert "runtimes/srt/HuggingFaceTB/smollm-135m-rt.yaml" in failure.detail


def test_an_engine_that_crashes_twice_is_a_verdict(play: Play) -> None:
    played = play("Qwen/Qwen3-1.7B")
    failure, cause = gives_up(played, *ALL)
    assert (failure.stage, failure.reason, cause) == (Stage.SERVICE, "crash", "crashloop-unclassified")
    (engine,) = [pod for pod in played.stack.collect(failure).pods if "engine" in pod.manifest["metadata"]["name"]]  # type: ignore[index]
    assert "ValueError: no idea" in "".join(engine.previous_logs.values())


def test_a_pod_without_hope_ends_the_wait_at_once(play: Play) -> None:
    failure, cause = gives_up(play("HuggingFaceTB/SmolLM-1.7B"), *ALL)
    assert (failure.reason, cause) == ("hopeless-pod", "image-pull")


def test_what_can_never_fit_is_said_before_anything_is_created(play: Play, cluster: Cluster) -> None:
    failure, cause = gives_up(play("meta/Llama-4-Scout-17B-16E-Instruct"), "preflight")
    assert cause == "gpu-budget-exceeded"
    assert "217.3" in failure.detail
    assert cluster.get(Ref(CLUSTER_BASE_MODEL, "llama-4-scout-17b-16e-instruct")) is None


def test_a_name_that_is_taken_is_a_conflict(play: Play, cluster: Cluster) -> None:
    first = play("HuggingFaceTB/SmolLM-360M")
    other = cluster.for_run("somebody-else")
    model = first.stack.objects()[0]
    model["metadata"]["labels"]["modelrt.io/run-id"] = "somebody-else"
    other.create(model)
    failure, cause = gives_up(first, "preflight")
    other.delete(Ref(CLUSTER_BASE_MODEL, "smollm-360m"))
    assert cause == "leftover-conflict"
    assert "ClusterBaseModel smollm-360m" in failure.detail
    assert "of run somebody-else" in failure.detail
