"""Only what must stand at the root: the plugin under test is installed as an entry point."""

pytest_plugins = ["pytester"]
