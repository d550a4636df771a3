"""``python -m pytest_modelrt.simulator``."""

import sys

from pytest_modelrt.simulator.main import main

sys.exit(main())
