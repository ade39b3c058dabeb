"""What goes wrong, made on purpose: a registry that refuses, a node without a kubelet, a process that is killed."""

from e2e.faults.node import FakeNode
from e2e.faults.process import kill, processes_of
from e2e.faults.registry import Registry

__all__ = ["FakeNode", "Registry", "kill", "processes_of"]
