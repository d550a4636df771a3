"""Programs that behave like the real serving engines."""
