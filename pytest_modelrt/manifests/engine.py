"""What a runtime asks for and how it starts its engine, read from the object. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_modelrt.manifests.objects import Object, mapping, sequence

GPU = "nvidia.com/gpu"
_TP = ("--tp-size", "--tp", "--tensor-parallel-size")


@dataclass(frozen=True, slots=True)
class EngineShape:
    """One replica of a runtime's engine."""

    gpus_per_pod: int
    pods: int
    """1, or leader plus workers."""
    tensor_parallel: int | None
    """None: the arguments do not say, or not as a number."""
    nodes: int | None
    """``--nnodes``."""
    served_name: str | None
    mem_fraction: float | None
    startup_seconds: int | None
    """Window of the startup probe: delay and every try that may fail; None without one."""
    field: str
    """Path of the container that answers: ``spec.engineConfig.runner``, or the leader's."""

    @property
    def gpus(self) -> int:
        """GPUs of the whole replica."""
        return self.gpus_per_pod * self.pods


def engine_shape(runtime: Object) -> EngineShape | None:
    """The shape of a runtime's engine; None where it defines no container."""
    engine = mapping(mapping(runtime, "spec"), "engineConfig")
    leader = mapping(engine, "leader")
    inside = "spec.engineConfig.leader" if leader else "spec.engineConfig"
    container = mapping(leader or engine, "runner")
    if not container:
        return None
    words = arguments(container)
    workers = mapping(engine, "worker").get("size")
    return EngineShape(
        gpus_per_pod=gpus(container),
        pods=1 + (workers if isinstance(workers, int) and workers > 0 else 0),
        tensor_parallel=_integer(flag(words, *_TP)),
        nodes=_integer(flag(words, "--nnodes")),
        served_name=flag(words, "--served-model-name"),
        mem_fraction=_number(flag(words, "--mem-fraction-static", "--gpu-memory-utilization")),
        startup_seconds=_startup(container),
        field=f"{inside}.runner",
    )


def containers(runtime: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every container a runtime defines, with its path."""
    spec = mapping(runtime, "spec")
    for component in ("engineConfig", "decoderConfig", "routerConfig"):
        for part in ("", ".leader", ".worker"):
            holder = mapping(mapping(spec, component), part[1:]) if part else mapping(spec, component)
            if runner := mapping(holder, "runner"):
                yield f"spec.{component}{part}.runner", runner
    for index, container in enumerate(sequence(spec, "containers")):
        if isinstance(container, dict):
            yield f"spec.containers[{index}]", container


def arguments(container: dict[str, Any]) -> list[str]:
    """Command and arguments as words; a shell script among them is split like the shell would."""
    words: list[str] = []
    for text in [*sequence(container, "command"), *sequence(container, "args")]:
        pieces = [str(text)]
        if " " in str(text) or "\n" in str(text):
            try:
                pieces = shlex.split(str(text), comments=False)
            except ValueError:
                pieces = str(text).split()
        words += pieces
    return words


def flag(words: Sequence[str], *names: str) -> str | None:
    """Value of a flag, the last one given: ``--tp-size 4`` or ``--tp-size=4``."""
    found = None
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            found = value if equals else next(iter(words[index + 1 : index + 2]), None)
    return found


def gpus(container: dict[str, Any]) -> int:
    """GPUs a container asks for."""
    resources = mapping(container, "resources")
    asked = mapping(resources, "limits").get(GPU, mapping(resources, "requests").get(GPU, 0))
    return _integer(str(asked)) or 0


def _startup(container: dict[str, Any]) -> int | None:
    probe = mapping(container, "startupProbe")
    if not probe:
        return None
    delay = _integer(str(probe.get("initialDelaySeconds", 0))) or 0
    period = _integer(str(probe.get("periodSeconds", 10))) or 10
    return delay + period * (_integer(str(probe.get("failureThreshold", 3))) or 3)


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
