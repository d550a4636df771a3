"""The built-in kinds: their schemas, what is special about each, and their table columns."""
