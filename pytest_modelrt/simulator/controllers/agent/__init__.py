"""The model agent: one per node, downloads models and says how far it is."""
