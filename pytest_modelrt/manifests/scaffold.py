"""Writes the three manifests of a case: pure functions from a plan row to text."""

from __future__ import annotations

import functools
import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pytest_modelrt.plan.model import Case, Serving

if TYPE_CHECKING:
    from jinja2 import Environment

PORT = 8080
STARTUP_DELAY = 60
STARTUP_PERIOD = 6
"""Seconds; together with the failures allowed they make the startup window of the plan row."""

_RENDEZVOUS_PORT = 5000
_PLAIN = re.compile(r"(--?)?[A-Za-z$/_][\w.$()/@:+=-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def model_path(case: Case) -> PurePosixPath:
    """Where the model manifest of a case is kept, from the root of the config tree."""
    return PurePosixPath("models", case.vendor, f"{case.name}.yaml")


def runtime_path(case: Case) -> PurePosixPath:
    """Where the runtime manifest is kept."""
    return PurePosixPath("runtimes", "srt", case.vendor, f"{case.resource_name}-rt.yaml")


def service_path(case: Case) -> PurePosixPath:
    """Where the InferenceService manifest is kept."""
    return PurePosixPath("samples", "isvc", case.vendor, f"{case.resource_name}.yaml")


def render_model(case: Case) -> str:
    """The ClusterBaseModel. Facts the platform reads from the download are left to it, see ``preset_metadata``."""
    return _render("model.yaml.j2", case)


def render_runtime(case: Case) -> str:
    """The ClusterServingRuntime: an SGLang engine over the plan's GPUs, and a router."""
    return _render("runtime.yaml.j2", case)


def render_service(case: Case) -> str:
    """The InferenceService of the plan's template, in a namespace of the same name that is created beside it."""
    return _render("service.yaml.j2", case)


def render_all(case: Case) -> dict[PurePosixPath, str]:
    """All three files of a case by their place in the tree."""
    return {
        model_path(case): render_model(case),
        runtime_path(case): render_runtime(case),
        service_path(case): render_service(case),
    }


def engine_arguments(case: Case) -> list[str]:
    """The engine's command line; on several nodes every pod gets the same, its rank comes from its environment."""
    serving = case.serving
    words = ["--host", "0.0.0.0", "--port", str(PORT), "--model-path", "$(MODEL_PATH)"]
    words += ["--served-model-name", case.hub_id, "--tp-size", str(serving.tensor_parallel)]
    if case.multinode:
        words += ["--nnodes", str(serving.nodes), "--node-rank", "$(LWS_WORKER_INDEX)"]
        words += ["--dist-init-addr", f"$(LWS_LEADER_ADDRESS):{_RENDEZVOUS_PORT}"]
    if serving.mem_fraction is not None:
        words += ["--mem-fraction-static", f"{serving.mem_fraction:g}"]
    return [*words, "--enable-metrics", *serving.extra_args]


def _startup(serving: Serving) -> dict[str, int]:
    failures = max(1, round((serving.startup_seconds - STARTUP_DELAY) / STARTUP_PERIOD))
    return {"delay": STARTUP_DELAY, "period": STARTUP_PERIOD, "failures": failures}


def _render(template: str, case: Case) -> str:
    values: dict[str, Any] = {"case": case, "serving": case.serving}
    if template.startswith("runtime"):
        values |= {"arguments": engine_arguments(case), "startup": _startup(case.serving)}
    return str(_environment().get_template(template).render(values))


def _scalar(value: object) -> str:
    """A YAML text as people write it: quoted only where it would be read as something else."""
    text = str(value)
    plain = _PLAIN.fullmatch(text) and not text.endswith(":") and text.lower() not in _WORDS
    if plain or re.fullmatch(r"\d+\.\d+\.\d+[\w.]*", text) or text == "0.0.0.0":
        return text
    return json.dumps(text, ensure_ascii=False)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["scalar"] = _scalar
    return environment
