"""Structural schemas: notation for built-in kinds, pruning, defaulting, validation."""
