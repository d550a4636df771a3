"""A serving stack behind one Protocol: which objects, when ready, how to reach, what to collect."""
