"""From evidence to one cause: causes as data, rules as pure functions."""
