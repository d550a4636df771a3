"""``config/kind``: renders, is read the same without kustomize, applies to a cluster that checks strictly."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_modelrt.stacks.kserve import names
from pytest_modelrt.stacks.kserve.overlay import Overlay, OverlayError, pick, read, renamed
from tests.selftest.maas.conftest import CONFIG, Run

KIND = CONFIG / "kind"
MODELS = ("model-a", "model-b")


def _key(obj: dict[str, Any]) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def test_our_reader_and_kustomize_see_the_same_objects(kubectl_binary: str) -> None:
    done = subprocess.run([kubectl_binary, "kustomize", str(KIND)], capture_output=True, text=True, check=True)
    rendered = {_key(obj): obj for obj in yaml.safe_load_all(done.stdout)}
    assert {_key(obj): obj for obj in Overlay.load(KIND).objects} == rendered


def test_namespaces_come_first_and_models_last() -> None:
    kinds = [obj["kind"] for obj in Overlay.load(KIND).objects]
    assert kinds[: kinds.count("Namespace")] == ["Namespace"] * kinds.count("Namespace")
    assert kinds[-1] == "HTTPRoute"


@pytest.mark.parametrize("model", MODELS)
def test_a_model_fits_into_the_presets_container_and_mounts_its_own_claim(model: str) -> None:
    objects = Overlay.load(KIND).models[model]
    service = pick(objects, "LLMInferenceService")
    (container,) = service["spec"]["template"]["containers"]
    assert container["name"] == names.CONTAINER
    assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": names.PORT, "scheme": "HTTP"}
    claim = pick(objects, "PersistentVolumeClaim")["metadata"]["name"]
    assert service["spec"]["model"]["uri"] == f"pvc://{claim}"


def test_tiers_are_told_by_what_a_token_says() -> None:
    config_map = next(obj for obj in Overlay.load(KIND).platform if obj["kind"] == "ConfigMap")
    tiers = {tier["name"]: tier["groups"] for tier in yaml.safe_load(config_map["data"]["tiers"])}
    assert list(tiers) == list(names.TIERS)
    for tier, groups in tiers.items():
        assert f"system:serviceaccounts:{names.tier_namespace(tier)}" in groups
        assert not any(group.startswith("system:serviceaccount:") for group in groups)


def test_a_copy_shares_no_name_with_its_original() -> None:
    original = Overlay.load(KIND).models["model-a"]
    copies = renamed(original, "model-a", "model-a-1f")
    assert not {_key(obj) for obj in copies} & {_key(obj) for obj in original}
    assert pick(copies, "LLMInferenceService")["spec"]["model"]["uri"] == "pvc://model-a-1f-files"


def test_more_than_resources_is_refused_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\npatches: []\n")
    with pytest.raises(OverlayError, match=r"kustomization\.yaml: patches"):
        list(read(tmp_path))


def test_applying_twice_changes_nothing_and_deleting_twice_is_no_error(kubectl: Run) -> None:
    first = kubectl("apply", "-k", str(KIND), "--validate=strict").stdout.splitlines()
    assert len(first) == len(Overlay.load(KIND).objects)
    kubectl("wait", "--for=condition=Ready", "llminferenceservice/model-a", "-n", "llm", "--timeout=120s")
    again = kubectl("apply", "-k", str(KIND)).stdout.splitlines()
    assert [line for line in again if not line.endswith("unchanged")] == []
    kubectl("delete", "-k", str(KIND / "test-models" / "model-a"), "--timeout=120s")
    assert kubectl("get", "llminferenceservice", "-n", "llm", "-o", "name").stdout.split() == [
        "llminferenceservice.serving.kserve.io/model-b"
    ]
    kubectl("delete", "-k", str(KIND / "test-models" / "model-a"), "--ignore-not-found")
    kubectl("delete", "-k", str(KIND), "--ignore-not-found", "--timeout=120s")
    assert kubectl("get", "namespace", "llm", check=False).returncode == 1


def test_every_manifest_passes_the_servers_own_strict_check(kubectl: Run) -> None:
    for path in sorted((KIND / "platform").glob("*.yaml")):
        if path.name == "kustomization.yaml":
            continue
        done = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path), check=False)
        refused = [line for line in done.stderr.splitlines() if "namespaces" not in line]
        assert refused == [], path.name
