"""GPU nodes: scheduler, kubelet, engines, logs and port-forward."""

from pytest_modelrt.simulator.nodes.house import Nodes
from pytest_modelrt.simulator.nodes.programs import Program, ProgramContext

__all__ = ["Nodes", "Program", "ProgramContext"]
