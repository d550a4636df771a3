"""Options of the plugin: one table that declares command line, ini key, environment variable and documentation.

Order of precedence: marker ``modelrt(...)`` on a test > command line > environment > ini > default. Only the standard
library and pytest may be imported here: the table is built in every pytest run of an environment that has the plugin.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

IN_CLUSTER = "in-cluster"
"""Value of ``--modelrt-kubeconfig``: no file, the pod's own service account."""
REPAIR_POLICIES = ("overlay", "write", "off")
ORDERS = ("plan", "fast", "strict")
SWITCH = ("on", "off")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting a user can give in several places."""

    name: str
    """``gpu-budget``: the flag is ``--modelrt-gpu-budget``, the ini key ``modelrt_gpu_budget``."""
    help: str
    convert: Callable[[str], Any] = str
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    switch: bool = False
    repeatable: bool = False
    is_path: bool = False
    """A relative value of an ini file is relative to that file's directory."""
    words: tuple[str, ...] = ()
    """Values of a path option that are no paths."""
    default_text: str = ""
    also_env: tuple[str, ...] = ()
    """Variables other tools define, read after our own."""

    @property
    def flag(self) -> str:
        """Command line spelling."""
        return f"--modelrt-{self.name}"

    @property
    def key(self) -> str:
        """Ini key and attribute on ``config.option``."""
        return "modelrt_" + self.name.replace("-", "_")

    @property
    def env(self) -> str:
        """Environment variable."""
        return self.key.upper()

    @property
    def attribute(self) -> str:
        """Field of ``Settings``."""
        return self.name.replace("-", "_")

    def describe(self) -> str:
        """Help text with default and environment variable."""
        default = f"; default: {self.default_text}" if self.default_text else ""
        variables = ", ".join((self.env, *self.also_env))
        return f"{self.help} (env {variables}{default})"


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, least=1)


def positive_float(text: str) -> float:
    """A number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise ValueError("must be a number above 0")


def whole_number(text: str) -> int:
    """A whole number, 0 included."""
    return _whole(text, least=0)


def _whole(text: str, *, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None
    if number < least:
        raise ValueError(f"must be at least {least}")
    return number


def shard_of(text: str) -> tuple[int, int]:
    """``2/5``: the second of five parts."""
    from pytest_modelrt.scheduling.shards import parse_shard

    return parse_shard(text)


def tier_limit(text: str) -> tuple[str, int]:
    """``NAME=LIMIT``: a tier and how many of its cases may run at once."""
    name, separator, limit = text.partition("=")
    if not separator or not name.strip():
        raise ValueError("must look like NAME=LIMIT, for example gpu1=4")
    return name.strip(), positive_int(limit)


def run_identifier(text: str) -> str:
    """A run id: usable as a label value and as a directory name."""
    ok = text and len(text) <= 63 and text[0].isalnum() and text[-1].isalnum()
    if not ok or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in text):
        raise ValueError("must be 1 to 63 letters, digits, '-', '_' or '.', starting and ending with a letter or digit")
    return text


OPTIONS = (
    Option(
        "config",
        "Config tree to test: a folder with plan.yaml, campaign.yaml, models/, runtimes/ and samples/. "
        "Without it the plugin does nothing",
        metavar="DIR",
        is_path=True,
    ),
    Option(
        "kubeconfig",
        "Run on the cluster of this kubeconfig. Without it, --modelrt-context or KUBECONFIG a simulated cluster is "
        "started for the run; ~/.kube/config is never used by itself; 'in-cluster' is the service account of the pod "
        "pytest runs in",
        metavar="FILE",
        is_path=True,
        words=(IN_CLUSTER,),
        also_env=("KUBECONFIG",),
    ),
    Option(
        "context",
        "Context of the kubeconfig to use; names a real cluster even without --modelrt-kubeconfig "
        "(then in ~/.kube/config)",
        metavar="NAME",
    ),
    Option(
        "reports", "Folder for pages and run directories", metavar="DIR", is_path=True, default_text="campaign.yaml"
    ),
    Option(
        "run-id",
        "Name of this run, on every object and in every page",
        convert=run_identifier,
        metavar="ID",
        default_text="date and time",
    ),
    Option(
        "speed",
        "Simulated cluster: cluster seconds per real second",
        convert=positive_float,
        metavar="FACTOR",
        default_text="60",
    ),
    Option(
        "scenario",
        "Simulated cluster: name of a file in <config>/scenarios, or a path",
        metavar="NAME",
        default_text="sunny",
    ),
    Option("nodes", "Simulated cluster: number of GPU nodes", convert=positive_int, metavar="N", default_text="14"),
    Option(
        "profile",
        "Simulated cluster: release of the platform to behave like",
        metavar="VERSION",
        default_text="v0.1.5",
    ),
    Option("seed", "Simulated cluster: seed of its durations", convert=int, metavar="N", default_text="0"),
    Option(
        "tier",
        "Limit how many cases of a tier of campaign.yaml run at once, for example gpu1=4; may be repeated",
        convert=tier_limit,
        metavar="NAME=LIMIT",
        repeatable=True,
    ),
    Option(
        "gpu-budget",
        "GPUs all running cases together may hold",
        convert=positive_int,
        metavar="N",
        default_text="campaign.yaml",
    ),
    Option(
        "nodes-wanted",
        "Nodes that must hold a model before its service is created",
        convert=positive_int,
        metavar="N",
        default_text="campaign.yaml",
    ),
    Option(
        "repair",
        "What to do when a runtime does not fit its model: 'overlay' repairs what is applied and keeps a patch with "
        "the run, 'write' edits the file, 'off' reports it",
        choices=REPAIR_POLICIES,
        default_text="campaign.yaml",
    ),
    Option(
        "order",
        "Order of the cases under xdist: 'plan' (the plan's phases, without idling), 'fast' (the shortest run) or "
        "'strict' (each phase finished before the next)",
        choices=ORDERS,
        default_text="plan",
    ),
    Option(
        "gateway",
        "Address of the gateway in front of model-a and model-b, for example http://localhost:8080",
        metavar="URL",
        default_text="the Gateway's own address, else a port-forward to its pod",
    ),
    Option(
        "prefetch",
        "Download the models of the next N cases, in the order they will start, while others use the GPUs; 0: every "
        "case waits for its own download",
        convert=whole_number,
        metavar="N",
        default_text="eight times the workers",
    ),
    Option(
        "download-nodes",
        "With downloads ahead: nodes that download a model, more where a case needs more; 0: all nodes",
        convert=whole_number,
        metavar="N",
        default_text="campaign.yaml",
    ),
    Option(
        "shard",
        "Run one part of the selected tests, for CI jobs side by side: I/N is the I-th of N parts of about the same "
        "duration",
        convert=shard_of,
        metavar="I/N",
    ),
    Option(
        "leases",
        "Share tier limits and model names with other runs on the same cluster",
        choices=SWITCH,
        default_text="on for a cluster you name",
    ),
    Option(
        "resume",
        "Run only what has no final verdict (passed, failed, skipped) in the results for the same manifests, image and "
        "platform version; the rest is carried over and shown as such",
        switch=True,
    ),
    Option("dry-run", "Only print order, tiers, GPUs, objects and repairs of the selected cases", switch=True),
)
BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a run, resolved; None or empty: not given, ``campaign.yaml`` or the default decides."""

    config: Path
    kubeconfig: str | None = None
    """Path, or several as in ``KUBECONFIG``."""
    context: str | None = None
    reports: Path | None = None
    run_id: str | None = None
    speed: float = 60.0
    scenario: str | None = None
    seed: int = 0
    nodes: int | None = None
    profile: str | None = None
    tier: Mapping[str, int] = field(default_factory=dict)
    gpu_budget: int | None = None
    nodes_wanted: int | None = None
    repair: str | None = None
    order: str = "plan"
    gateway: str | None = None
    prefetch: int | None = None
    download_nodes: int | None = None
    shard: tuple[int, int] | None = None
    leases: str | None = None
    resume: bool = False
    dry_run: bool = False

    @property
    def cluster_named(self) -> bool:
        """Whether the user named a cluster; if not, a simulated one is started."""
        return bool(self.kubeconfig or self.context)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option on the command line and in the ini file."""
    group = parser.getgroup("modelrt", "pytest-modelrt: test models on Kubernetes (give values with =, not a blank)")
    for option in OPTIONS:
        keywords: dict[str, Any] = {"dest": option.key, "default": None, "help": option.describe()}
        if option.switch:
            keywords["action"] = "store_true"
        else:
            keywords["action"] = "append" if option.repeatable else "store"
            keywords["metavar"] = option.metavar
            if option.choices:
                keywords["choices"] = option.choices
        group.addoption(option.flag, **keywords)
        kind = "bool" if option.switch else "linelist" if option.repeatable else "string"
        parser.addini(option.key, f"Same as {option.flag}.", type=kind, default=None)  # type: ignore[arg-type]


def config_directory(config: pytest.Config) -> Path | None:
    """The config tree named by command line, environment or ini; None: the plugin stays inert."""
    value = _value(config, BY_NAME["config"])
    return Path(value) if value else None


def refuse_orphans(config: pytest.Config) -> None:
    """Nobody names one of our options and wants nothing to happen.

    pytest looks for its ini file from the paths on its command line before it knows our options, so that the value of
    ``--modelrt-reports /elsewhere`` passes for such a path and hides the project's own ini file.

    Raises:
        pytest.UsageError: an option of ours is on the command line, and no config tree is named anywhere.
    """
    for option in OPTIONS:
        value = config.getoption(option.key, None)
        if value:
            raise pytest.UsageError(
                f"{option.flag}: no config tree is named, and pytest's root directory is {config.rootpath}: "
                f"write {option.flag}=VALUE with '=', or name the tree with --modelrt-config=DIR"
            )


def resolve(config: pytest.Config) -> Settings:
    """All settings of an active run.

    Raises:
        pytest.UsageError: a value cannot be understood; says which and where it came from.
    """
    values = {option.attribute: _value(config, option) for option in OPTIONS}
    values["config"] = Path(values["config"])
    values["reports"] = Path(values["reports"]) if values["reports"] else None
    values["tier"] = dict(values["tier"] or ())
    values["resume"] = bool(values["resume"])
    values["dry_run"] = bool(values["dry_run"])
    return Settings(**{name: value for name, value in values.items() if value is not None})


def _value(config: pytest.Config, option: Option) -> Any:
    """The converted value of the first place that gives one."""
    given = config.getoption(option.key, None)
    if given not in (None, []):
        return _converted(option, given, option.flag, config.invocation_params.dir)
    for variable in (option.env, *option.also_env):
        if os.environ.get(variable):
            text = os.environ[variable]
            raw = text.split() if option.repeatable else text
            base = config.invocation_params.dir if variable == option.env else None
            return _converted(option, raw, f"environment variable {variable}", base)
    given = config.getini(option.key)
    if given in (None, "", []):
        return None
    return _converted(option, given, f"ini option {option.key}", (config.inipath or config.rootpath / "ini").parent)


def _converted(option: Option, raw: Any, origin: str, base: Path | None) -> Any:
    """``raw`` as the option's type; ``base``: what relative paths are relative to, None: leave them."""
    if option.switch:
        return raw if isinstance(raw, bool) else str(raw).strip().lower() in ("1", "true", "yes", "on")
    if option.repeatable:
        return [_convert_one(option, text, origin) for text in raw]
    if option.choices and raw not in option.choices:
        raise pytest.UsageError(f"{origin}: {raw!r} is not one of {', '.join(option.choices)}")
    value = _convert_one(option, str(raw), origin)
    if option.is_path and base is not None and value not in option.words:
        return str(base / Path(value).expanduser())
    return value


def _convert_one(option: Option, text: str, origin: str) -> Any:
    try:
        return option.convert(text)
    except ValueError as error:
        raise pytest.UsageError(f"{origin}: {text!r} cannot be used: {error}") from None


def as_markdown() -> str:
    """The table of ``docs/options.md``."""
    lines = ["| Option | Ini | Environment | Default | Meaning |", "|---|---|---|---|---|"]
    for option in OPTIONS:
        value = f"={'|'.join(option.choices) or option.metavar}" if not option.switch else ""
        flag = f"`{option.flag}{value}`".replace("|", "\\|")
        variables = ", ".join(f"`{name}`" for name in (option.env, *option.also_env))
        lines.append(f"| {flag} | `{option.key}` | {variables} | {option.default_text or '-'} | {option.help} |")
    return "\n".join(lines) + "\n"
