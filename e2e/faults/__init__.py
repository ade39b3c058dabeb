"""Fault injection: a registry that rejects requests, a node without a kubelet, killed processes."""

from e2e.faults.node import FakeNode
from e2e.faults.process import kill, processes_of
from e2e.faults.registry import Registry

__all__ = ["FakeNode", "Registry", "kill", "processes_of"]
