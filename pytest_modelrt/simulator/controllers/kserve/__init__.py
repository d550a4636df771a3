"""KServe v0.16.0 as far as LLMInferenceService goes: webhook, controller, presets (facts: maas-kind.md, section 1)."""
