"""The committed tree is what ``modelrt scaffold`` writes, and what the platform accepts."""

from pathlib import Path

import pytest

from pytest_modelrt.cli import scaffold as command
from pytest_modelrt.manifests.compare import compare
from pytest_modelrt.manifests.engine import arguments, containers, engine_shape, flag
from pytest_modelrt.manifests.objects import Object
from pytest_modelrt.manifests.scaffold import render_all
from pytest_modelrt.manifests.tree import ConfigTree
from pytest_modelrt.manifests.versions import Profile
from pytest_modelrt.plan.load import load_plan
from pytest_modelrt.plan.model import Case
from tests.selftest.manifests.commands import run

CONFIG = Path(__file__).parents[3] / "config"
CASES = load_plan(CONFIG).cases
FOLDERS = ("models", "runtimes", "samples")


@pytest.fixture(scope="module")
def objects() -> dict[str, tuple[Object, Object, Object]]:
    tree = ConfigTree.load(CONFIG)
    found = {}
    for case in CASES:
        files = tree.case(case)
        assert files.model is not None
        assert files.runtime is not None
        assert files.service is not None
        found[case.id] = (files.model.object, files.runtime.object, files.service.object)
    return found


def as_downloaded(case: Case, model: Object) -> Object:
    """The model as the platform completes it from the files: only what is still unset."""
    seen = {
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "modelFramework": {"name": "transformers", "version": case.framework_version},
        "modelArchitecture": case.architecture,
        "modelParameterSize": case.parameter_size,
    }
    return {**model, "spec": {**seen, **model["spec"]}}


def test_the_tree_is_what_scaffold_writes_and_nothing_else() -> None:
    wanted = {str(path): text for case in CASES for path, text in render_all(case).items()}
    found = {
        str(path.relative_to(CONFIG)): path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in (CONFIG / folder).rglob("*.yaml")
    }
    assert len(wanted) == 471
    assert sorted(found) == sorted(wanted)
    assert [path for path, text in wanted.items() if found[path] != text] == []


@pytest.mark.parametrize("profile", Profile)
def test_the_platform_accepts_every_pair(objects: dict[str, tuple[Object, Object, Object]], profile: Profile) -> None:
    refused = {}
    for case in CASES:
        model, runtime, _ = objects[case.id]
        if mismatches := compare(as_downloaded(case, model), runtime, profile):
            refused[case.id] = mismatches
    assert refused == {}


def test_engines_use_the_gpus_of_the_plan_and_serve_the_hub_id(
    objects: dict[str, tuple[Object, Object, Object]],
) -> None:
    for case in CASES:
        shape = engine_shape(objects[case.id][1])
        assert shape is not None
        assert (shape.gpus, shape.tensor_parallel) == (case.gpus, case.gpus), case.id
        assert shape.gpus_per_pod <= 8, case.id
        assert shape.pods == case.serving.nodes, case.id
        assert shape.nodes == (case.serving.nodes if case.multinode else None), case.id
        assert shape.served_name == case.hub_id, case.id
        assert shape.mem_fraction == case.serving.mem_fraction, case.id
        assert shape.startup_seconds == case.serving.startup_seconds, case.id


def test_several_nodes_find_each_other_and_only_the_leader_is_routed_to(
    objects: dict[str, tuple[Object, Object, Object]],
) -> None:
    for case in (case for case in CASES if case.multinode):
        found = dict(containers(objects[case.id][1]))
        leader = found["spec.engineConfig.leader.runner"]
        worker = found["spec.engineConfig.worker.runner"]
        assert arguments(leader) == arguments(worker), case.id
        assert flag(arguments(worker), "--node-rank") == "$(LWS_WORKER_INDEX)"
        assert flag(arguments(worker), "--dist-init-addr") == "$(LWS_LEADER_ADDRESS):5000"
        router = arguments(found["spec.routerConfig.runner"])
        assert "leaderworkerset.sigs.k8s.io/worker-index=0" in router


def test_gated_models_carry_the_plans_comment_and_the_name_of_the_secret() -> None:
    for case in CASES:
        text = next(iter(render_all(case).values()))
        first = text.splitlines()[0]
        assert (first == "# This model is gated on HuggingFace and requires authentication") == case.gated
        assert ('\n    key: "hf-token"\n' in text) == case.gated


def test_services_follow_the_plans_template(objects: dict[str, tuple[Object, Object, Object]]) -> None:
    one = {"minReplicas": 1, "maxReplicas": 1}
    for case in CASES:
        service = objects[case.id][2]
        assert service["metadata"] == {"name": case.resource_name, "namespace": case.resource_name}
        assert service["spec"] == {
            "model": {"name": case.resource_name},
            "engine": one,
            "runtime": {"name": f"srt-{case.resource_name}"},
            "router": one,
        }


def test_all_arguments_are_texts(objects: dict[str, tuple[Object, Object, Object]]) -> None:
    for case in CASES:
        for _, container in containers(objects[case.id][1]):
            assert all(isinstance(word, str) for word in container["args"]), case.id


def test_scaffold_writes_the_files_of_one_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "scaffold", "Qwen/Qwen3-8B", "--config", str(tmp_path)) == 0
    assert capsys.readouterr().out == "3 written, 0 unchanged, 0 left alone\n"
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml"))
    assert written == [
        "models/Qwen/Qwen3-8B.yaml",
        "runtimes/srt/Qwen/qwen3-8b-rt.yaml",
        "samples/isvc/Qwen/qwen3-8b.yaml",
    ]
    for path in written:
        assert (tmp_path / path).read_bytes() == (CONFIG / path).read_bytes()


def test_scaffold_leaves_edited_files_alone_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("scaffold", "Qwen/Qwen3-8B", "--config", str(tmp_path))
    run(command, *words)
    edited = tmp_path / "samples/isvc/Qwen/qwen3-8b.yaml"
    edited.write_text("# mine\n")
    assert run(command, *words, "--check") == 1
    assert run(command, *words) == 1
    assert edited.read_text() == "# mine\n"
    assert f"{edited}: differs from the plan row; left alone, --force overwrites it" in capsys.readouterr().out
    assert run(command, *words, "--force") == 0
    assert run(command, *words, "--check") == 0


def test_scaffold_says_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "scaffold", "Qwen/Qwen3-8b", "nobody", "--config", str(tmp_path)) == 4
    error = capsys.readouterr().err
    assert "no row 'Qwen/Qwen3-8b' in the plan; did you mean Qwen/Qwen3-8B?" in error
    assert "no row 'nobody' in the plan" in error
    assert run(command, "scaffold", "--config", str(tmp_path)) == 4
    assert not list(tmp_path.rglob("*.yaml"))
