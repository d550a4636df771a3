"""The metrics page."""

from __future__ import annotations

from pytest_modelrt.simulator.nodes.engines.inference_sim.engine import Engine


def page(engine: Engine) -> str:
    """Prometheus text: gauges only in v0.5.1, counters as well later."""
    later = engine.settings.later
    label = f'model_name="{engine.settings.name}"'
    cache = "kv_cache_usage_perc" if later else "gpu_cache_usage_perc"
    lines = []
    for name, help_text, value in (
        (cache, "Prometheus metric for the fraction of KV-cache blocks currently in use (from 0 to 1).", 0),
        ("num_requests_running", "Prometheus metric for the number of running requests.", engine.running),
        ("num_requests_waiting", "Prometheus metric for the number of queued requests.", engine.waiting),
    ):
        lines += _metric(name, help_text, "gauge", f"{{{label}}} {value}")
    if engine.loras:
        labels = 'max_lora="1",running_lora_adapters="",waiting_lora_adapters=""'
        lines += _metric("lora_requests_info", "Running stats on lora requests.", "gauge", f"{{{labels}}} 0")
    if later:
        counters = engine.counters
        for name, count in (
            ("prompt_tokens_total", counters.prompt_tokens),
            ("generation_tokens_total", counters.generation_tokens),
        ):
            lines += _metric(name, "Number of tokens processed.", "counter", f"{{{label}}} {count}")
        values = [f'{{finished_reason="{why}",{label}}} {count}' for why, count in sorted(counters.finished.items())]
        lines += _metric("request_success_total", "Count of successfully processed requests.", "counter", *values)
    return "\n".join(lines) + "\n"


def _metric(name: str, text: str, kind: str, *values: str) -> list[str]:
    full = f"vllm:{name}"
    return [f"# HELP {full} {text}", f"# TYPE {full} {kind}", *(full + value for value in values)]
