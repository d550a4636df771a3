"""Command line of the inference simulator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MODES = ("random", "echo")
FAILURES = (
    "rate_limit",
    "invalid_api_key",
    "context_length",
    "server_error",
    "invalid_request",
    "model_not_found",
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MULTIPLE = frozenset({"served-model-name", "failure-types", "lora-modules"})
_SWITCHES = frozenset({"enable-kvcache", "self-signed-certs", "force-dummy-tokenizer"})
_IGNORED = frozenset(
    {
        "kv-cache-size", "block-size", "hash-seed", "zmq-endpoint", "zmq-max-connect-attempts", "event-batch-size",
        "tokenizers-cache-dir", "data-parallel-size", "max-loras", "max-cpu-loras", "latency-calculator",
        "kv-cache-transfer-latency", "kv-cache-transfer-latency-std-dev", "kv-cache-transfer-time-per-token",
        "kv-cache-transfer-time-std-dev", "max-tool-call-integer-param", "min-tool-call-integer-param",
        "max-tool-call-number-param", "min-tool-call-number-param", "max-tool-call-array-param-length",
        "min-tool-call-array-param-length", "tool-call-not-required-param-probability",
        "object-tool-call-not-required-field-probability", "v",
    }
)  # fmt: skip
"""Known, without effect on what this program does."""


class SettingsError(Exception):
    """The command line makes no sense; the process logs this and exits with code 0, as the real one does."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says. Durations are cluster seconds."""

    model: str
    served_names: tuple[str, ...]
    port: int = 8000
    mode: str = "random"
    max_num_seqs: int = 5
    max_model_len: int = 1024
    first_token: float = 0.0
    first_token_deviation: float = 0.0
    next_token: float = 0.0
    next_token_deviation: float = 0.0
    prefill_overhead: float = 0.0
    prefill_per_token: float = 0.0
    prefill_deviation: float = 0.0
    load_factor: float = 1.0
    startup: float = 0.0
    seed: int | None = None
    loras: tuple[str, ...] = ()
    failure_rate: int = 0
    failure_types: tuple[str, ...] = FAILURES
    max_waiting: int = 1000
    later: bool = False
    """Behave like the generation after v0.5."""

    @property
    def name(self) -> str:
        """The name replies show for the base model."""
        return self.served_names[0]


def is_later(image: str) -> bool:
    """Whether an image holds the generation after v0.5: by its tag; one that is no version counts as new."""
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.\d+)?.*", image.rpartition(":")[2])
    return match is None or (int(match[1]), int(match[2])) > (0, 5)


def parse(argv: Sequence[str], *, later: bool = False) -> Settings:
    """The command line as settings.

    Raises:
        SettingsError: unknown flag, bad number, missing model, or a value out of range.
    """
    given: dict[str, list[str]] = {}
    for name, values in _flags(argv):
        given.setdefault(name, []).extend(values)
    reader = _Reader(given, later)
    model = reader.text("model", "")
    names = tuple(given.pop("served-model-name", ())) or (model,)
    settings = Settings(
        model=model,
        served_names=names,
        port=reader.number("port", 8000),
        mode=reader.text("mode", "random"),
        max_num_seqs=reader.number("max-num-seqs", 5),
        max_model_len=reader.number("max-model-len", 1024),
        first_token=reader.duration("time-to-first-token"),
        first_token_deviation=reader.duration("time-to-first-token-std-dev"),
        next_token=reader.duration("inter-token-latency"),
        next_token_deviation=reader.duration("inter-token-latency-std-dev"),
        prefill_overhead=reader.duration("prefill-overhead"),
        prefill_per_token=reader.duration("prefill-time-per-token"),
        prefill_deviation=reader.duration("prefill-time-std-dev"),
        load_factor=reader.number("time-factor-under-load", 1.0, float),
        startup=reader.duration("startup-duration") if later else 0.0,
        seed=reader.number("seed", None),
        loras=tuple(_lora(text) for text in given.pop("lora-modules", ())),
        failure_rate=reader.number("failure-injection-rate", 0),
        failure_types=tuple(given.pop("failure-types", ())) or FAILURES,
        max_waiting=reader.number("max-waiting-queue-length", 1000) if later else 1000,
        later=later,
    )
    unknown = next((name for name in given if name not in _IGNORED | _SWITCHES), None)
    if unknown is not None:
        raise SettingsError(f"unknown flag: --{unknown}")
    _validate(settings)
    return settings


def _flags(argv: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            raise SettingsError(f"unexpected argument: {word}")
        name, equals, value = word.lstrip("-").partition("=")
        if equals:
            yield name, [value]
        elif name in _SWITCHES:
            yield name, []
        elif name in _MULTIPLE:
            values = []
            while words and not words[0].startswith("-"):
                values.append(words.pop(0))
            yield name, values
        elif not words:
            raise SettingsError(f"flag needs an argument: --{name}")
        else:
            yield name, [words.pop(0)]


class _Reader:
    """Takes values out of the given flags."""

    def __init__(self, given: dict[str, list[str]], later: bool) -> None:
        self._given = given
        self._later = later

    def text(self, name: str, default: str) -> str:
        values = self._given.pop(name, None)
        return values[-1] if values else default

    def number(self, name: str, default: Any, kind: Callable[[str], Any] = int) -> Any:
        values = self._given.pop(name, None)
        if not values:
            return default
        try:
            return kind(values[-1])
        except ValueError:
            raise _bad_number(name, values[-1]) from None

    def duration(self, name: str) -> float:
        """Whole milliseconds; the later generation takes ``100ms`` and ``1.5s`` as well."""
        text = self.text(name, "0")
        if text.lstrip("-").isdigit():
            return int(text) / 1000
        parts = _DURATION.findall(text)
        if self._later and parts and "".join(value + unit for value, unit in parts) == text:
            return float(sum(float(value) * _UNITS[unit] for value, unit in parts))
        raise _bad_number(name, text)


def _bad_number(name: str, text: str) -> SettingsError:
    return SettingsError(
        f'invalid argument "{text}" for "--{name}" flag: strconv.ParseInt: parsing "{text}": invalid syntax'
    )


def _lora(text: str) -> str:
    try:
        return str(json.loads(text)["name"])
    except (ValueError, TypeError, KeyError):
        raise SettingsError(f"failed to parse LoRA module {text}") from None


def _validate(settings: Settings) -> None:
    problems = (
        (not settings.model, "model parameter is empty"),
        (settings.mode not in MODES, f"invalid mode '{settings.mode}', valid values are 'random' and 'echo'"),
        (not 0 < settings.port < 65536, f"invalid port '{settings.port}'"),
        (settings.max_num_seqs < 1, "max num seqs cannot be less than 1"),
        (settings.max_model_len < 1, "max model len cannot be less than 1"),
        (settings.load_factor < 1, "time factor under load cannot be less than 1.0"),
        (not 0 <= settings.failure_rate <= 100, "failure injection rate should be between 0 and 100"),
        (settings.first_token < 0, "time to first token cannot be negative"),
        (settings.next_token < 0, "inter token latency cannot be negative"),
        (
            settings.first_token_deviation > 0.3 * settings.first_token,
            "time to first token standard deviation cannot be more than 30% of time to first token",
        ),
        (
            settings.next_token_deviation > 0.3 * settings.next_token,
            "inter token latency standard deviation cannot be more than 30% of inter token latency",
        ),
        (
            any(kind not in FAILURES for kind in settings.failure_types),
            f"invalid failure type, valid types are: {', '.join(FAILURES)}",
        ),
    )
    for wrong, text in problems:
        if wrong:
            raise SettingsError(text)
