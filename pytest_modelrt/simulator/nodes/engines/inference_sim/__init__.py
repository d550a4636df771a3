"""The llm-d inference simulator as it answers over HTTP: no model, plausible texts, configurable delays.

Behaviour of v0.5.1, and of the later generation where that differs (facts: maas-kind.md, section 2).
"""
