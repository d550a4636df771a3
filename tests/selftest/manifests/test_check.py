"""``modelrt check`` finds what is wrong, where it is, and says what to do."""

import shutil
from pathlib import Path

import pytest

from pytest_modelrt.cli import check as command
from tests.selftest.manifests.commands import run

CONFIG = Path(__file__).parents[3] / "config"
MODEL = "models/Qwen/Qwen3-8B.yaml"
RUNTIME = "runtimes/srt/Qwen/qwen3-8b-rt.yaml"
SERVICE = "samples/isvc/Qwen/qwen3-8b.yaml"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (MODEL, RUNTIME, SERVICE):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(CONFIG / name, tmp_path / name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> int:
    """Replace in a file; the line of the change."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def findings(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> tuple[int, list[str]]:
    code = run(command, "check", str(path), *words)
    return code, capsys.readouterr().out.splitlines()


def test_the_own_tree_has_only_the_weights_of_six_rows_to_warn_about(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, CONFIG)
    assert code == 0
    assert len(found) == 6
    assert all(": warning: " in line and "GPUs are needed" in line for line in found)
    assert run(command, "check", str(CONFIG), "--strict") == 1


def test_a_tree_without_findings_is_quiet(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert findings(capsys, tree) == (0, [])


@pytest.mark.parametrize(
    ("file", "old", "new", "shift", "words"),
    [
        (MODEL, "  storage:", "  storag:", 0, "spec.storag: unknown field; did you mean storage?"),
        (MODEL, "  disabled: false", "  disabled: nope", 0, "spec.disabled: nope is no boolean; write a boolean"),
        (MODEL, '  version: "1.0.0"', "  version: 1.0", 0, "spec.version: 1.0 is no string; put it in quotes"),
        (MODEL, "hf://Qwen/Qwen3-8B", "Qwen/Qwen3-8B", 0, "Qwen/Qwen3-8B cannot be downloaded"),
        (
            MODEL,
            "hf://Qwen/Qwen3-8B",
            "hf://Qwen/Qwen3-8b",
            0,
            "warning: spec.storage.storageUri: the plan means hf://",
        ),
        (MODEL, "    path: /raid/models/qwen/qwen3-8b\n", "", -2, "spec.storage.path: is missing"),
        (MODEL, "v1beta1", "v1alpha1", 0, "apiVersion: ome.io/v1alpha1 is not served"),
        (MODEL, "  name: qwen3-8b", "  name: Qwen3.8b", 0, "metadata.name: 'Qwen3.8b' is no DNS label"),
        (MODEL, "spec:", "spec:\n  vendor: again", 2, "spec.vendor: is given twice"),
        (MODEL, "spec:", "\tspec:", 0, "a tab in the indentation; use spaces"),
        (RUNTIME, "version: 4.51.0", "version: 4.45.0.dev0", 0, "framework version mismatch (model=4.51.0, runtime=4"),
        (RUNTIME, "version: 4.51.0", "version: 4.51rc1", 0, "4.51rc1 is no version to the platform"),
        (RUNTIME, "version: 4.51.0", 'version: "4.51"', 0, "matches nothing before OME v0.1.5"),
        (RUNTIME, "Qwen3ForCausalLM", "Qwen2ForCausalLM", 0, "architecture mismatch (model=Qwen3ForCausalLM"),
        (RUNTIME, "name: safetensors", "name: pytorch", 0, "format name mismatch (model=safetensors, runtime=pytorch)"),
        (RUNTIME, "min: 7B", "min: 9B", 0, "model size 8.19B is outside supported range [9B, 9B]"),
        (RUNTIME, "min: 7B", "min: 7b", 0, "7b counts as 0; write a number with T, B or M in upper case"),
        (RUNTIME, "    max: 9B\n", "", -2, "spec.modelSizeRange.max: is missing"),
        (RUNTIME, '- "1"', '- "4"', None, "tensor parallelism 4 over 1 GPUs; write --tp-size 1"),
        (RUNTIME, "- Qwen/Qwen3-8B", "- Qwen/Other", None, "serves Qwen/Other, the plan asks for Qwen/Qwen3-8B"),
        (RUNTIME, "- --enable-metrics", '- "{{ x }}"', 0, "{{ is read as a template by the platform"),
        (RUNTIME, "startupProbe", "startupProbes", 0, "unknown field; did you mean startupProbe?"),
        (RUNTIME, "path: /health\n", "path: health\n", 0, "'health' is no path; start it with /"),
        (RUNTIME, "containerPort: 8080", "containerPort: 8081", None, "probes port 8080, the container opens 8081"),
        (RUNTIME, "disabled: false", "disabled: true", 0, "cluster-scoped runtime srt-qwen3-8b is disabled"),
        (SERVICE, "name: srt-qwen3-8b", "name: srt-nobody", 0, "spec.runtime.name: there is no runtime srt-nobody"),
        (SERVICE, "  model:\n    name: qwen3-8b", "  model:\n    name: nobody", 1, "there is no model nobody"),
        (SERVICE, "minReplicas: 1", "minReplicas: 0", 0, "0 makes the platform look for Knative"),
        (SERVICE, "    maxReplicas: 1\n", "", -2, "warning: spec.engine.maxReplicas: is missing"),
        (SERVICE, "  namespace: qwen3-8b\n", "", None, "warning: metadata.namespace: is missing"),
        (SERVICE, "  engine:\n    minReplicas: 1\n    maxReplicas: 1\n", "", None, "spec.engine: is missing"),
    ],
)
def test_a_fault_is_found_at_its_line(
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    old: str,
    new: str,
    shift: int | None,
    words: str,
) -> None:
    line = edit(tree / file, old, new)
    code, found = findings(capsys, tree)
    hits = [text for text in found if words in text]
    assert hits, found
    assert hits[0].startswith(str(tree / file))
    assert code == (0 if all(": warning: " in text for text in found) else 1)
    if shift is not None:
        assert int(hits[0].removeprefix(f"{tree / file}:").split(":")[0]) == line + shift


def test_more_gpus_than_the_plan_gives_break_its_limits(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree / RUNTIME
    path.write_text(path.read_text().replace("nvidia.com/gpu: 1", "nvidia.com/gpu: 4").replace('- "1"', '- "4"'))
    code, found = findings(capsys, tree)
    assert code == 1
    assert any("GPUs asked: 4, in the plan: 1; its limits would be exceeded" in line for line in found)


def test_an_object_defined_twice_names_the_other_place(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = tree / "models/a copy.yaml"
    shutil.copy(tree / MODEL, second)
    code, found = findings(capsys, tree)
    assert code == 1
    (line,) = found
    assert line.startswith((f"{second}:4: metadata.name: ", f"{tree / MODEL}:4: metadata.name: "))
    assert "ClusterBaseModel qwen3-8b is also defined in" in line


def test_a_plan_row_without_files_names_the_command_that_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    (tmp_path / "config" / MODEL).unlink()
    (tmp_path / "config" / RUNTIME).unlink()
    code, found = findings(capsys, tmp_path / "config")
    assert code == 1
    text = "Qwen/Qwen3-8B: has no model qwen3-8b, no runtime srt-qwen3-8b; modelrt scaffold Qwen/Qwen3-8B"
    assert any(line.endswith(text) for line in found)


def test_a_broken_plan_is_a_finding_among_others(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "plan.yaml").write_text("models: 3\n")
    edit(tree / SERVICE, "minReplicas: 1", "minReplicas: 0")
    code, found = findings(capsys, tree)
    assert code == 1
    assert any("plan.yaml:1: models: a whole number (3)" in line for line in found)
    assert any("Knative" in line for line in found)


def test_irregular_names_and_several_objects_in_a_file_make_no_difference(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    together = "---\n".join((tree / name).read_text() for name in (SERVICE, RUNTIME, MODEL))
    for name in (MODEL, RUNTIME, SERVICE):
        (tree / name).unlink()
    odd = tree / "Some Where" / "everything.yml"
    odd.parent.mkdir()
    odd.write_text("# all of it\n---\n" + together)
    assert findings(capsys, tree) == (0, [])
    line = edit(odd, "min: 7B", "min: 9B")
    code, found = findings(capsys, tree)
    assert code == 1
    assert found[0].startswith(f"{odd}:{line}: spec.modelSizeRange.min: model size 8.19B")


def test_files_of_others_are_left_alone(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "crd").mkdir()
    (tree / "crd/large.yaml").write_text("kind: CustomResourceDefinition\n" + "# filler\n" * 200_000)
    (tree / "chart.yaml").write_text("kind: ClusterBaseModel\nmetadata: {name: {{ .Name }} }\n")
    (tree / "values.yaml").write_text("a: [\n")
    assert findings(capsys, tree) == (0, [])


def test_one_file_can_be_checked(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert findings(capsys, tree / RUNTIME) == (0, [])
    edit(tree / RUNTIME, "min: 7B", "min: 7b")
    assert findings(capsys, tree / RUNTIME)[0] == 1


def test_annotations_for_github(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = edit(tree / SERVICE, "minReplicas: 1", "minReplicas: 0")
    code, found = findings(capsys, tree, "--format", "github")
    assert code == 1
    assert found[0].startswith(
        f"::error file={tree / SERVICE},line={line},title=modelrt check::spec.engine.minReplicas: "
    )


def test_nothing_to_check_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "check", str(tmp_path / "nowhere")) == 4
    assert "no such directory" in capsys.readouterr().err
    assert run(command, "check", str(tmp_path)) == 4
    assert "no models, runtimes or InferenceServices here" in capsys.readouterr().err
