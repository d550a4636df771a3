"""Derived names, with the examples of the facts sheet."""

from __future__ import annotations

from pytest_modelrt.simulator.controllers.naming import (
    component_name,
    model_config_name,
    model_key,
    model_label,
    worker_set_name,
)


def test_model_label_of_long_name_is_hashed() -> None:
    label = model_label("mistral-small-3-1-24b-instruct-2503")
    assert label == "models.ome.io/clusterbasemodel.a9fd7cf1-l-3-1-24b-instruct-2503"


def test_model_label_of_32_characters_is_kept() -> None:
    assert model_label("a" * 32) == f"models.ome.io/clusterbasemodel.{'a' * 32}"
    assert len(model_label("a" * 33).partition("clusterbasemodel.")[2]) == 32


def test_namespaced_model() -> None:
    assert model_label("tiny", "team") == "models.ome.io/team.basemodel.tiny"
    assert model_key("tiny", "team") == "team.basemodel.tiny"
    assert model_key("tiny") == "clusterbasemodel.tiny"


def test_children() -> None:
    assert worker_set_name("deepseek-v3", "engine") == "lws-deepseek-v3-engine"
    assert worker_set_name("x" * 60, "engine") == "lws-" + "x" * 43 + "-engine"
    assert model_config_name("llama-3-1-405b-instruct-fp8") == "modelconfig--1-405b-instruct-fp8"
    assert len(component_name("m" * 70, "engine")) == 63
    assert component_name("m" * 70, "engine", hashed=False) == "m" * 70 + "-engine"
