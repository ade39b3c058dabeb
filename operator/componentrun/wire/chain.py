"""What the agents of a pod with processors leave each other in the volume `chain`, which no program mounts.

    plan.json            the steps of the pod, in order
    config/<step>.json   config.json of each step but the first
    state.json           in/state.json of the component
    progress.json        the step that runs, or is about to start
    kept/                what the component left beside its output, by its paths in the data folder

stage-in writes the first three. The agent before each step (`componentrun.agent.steps`) puts config.json and, for the
component, in/state.json in their places, and takes what the component left. stage-out reads the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "CHAIN_MOUNT",
    "CONFIGS",
    "GROUP_UMASK",
    "KEPT",
    "PLAN",
    "POD_TERMINATION_BYTES",
    "PROGRESS",
    "STATE",
    "STEP_COMMAND",
    "TERMINATION_BYTES",
    "TERMINATION_VARIABLE",
    "Chain",
    "ChainStep",
    "Progress",
    "StepConfig",
    "StepResult",
]

STEP_COMMAND: Final = ("python3", "-m", "componentrun.agent", "step", "--next")
"""Command of the agent between two steps; the name of the next one follows."""
CHAIN_MOUNT: Final = "/run/componentrun/chain"
PLAN: Final = "plan.json"
CONFIGS: Final = "config"
STATE: Final = "state.json"
PROGRESS: Final = "progress.json"
KEPT: Final = "kept"

GROUP_UMASK: Final = 0o007
"""Of agents in a pod with processors: what they make can be changed by all steps, which have one group and may have
several user ids."""
POD_TERMINATION_BYTES: Final = 12 * 1024
"""Bytes of the termination messages of a pod that a kubelet keeps, in equal shares for its containers. It drops the end
of longer ones (Kubernetes, pkg/kubelet/status, normalizeStatus)."""
TERMINATION_BYTES: Final = 2048
"""Maximum bytes of an agent's termination message. A pod without processors has up to four containers; this allows for
two more (sidecars of a mesh, debug containers)."""
TERMINATION_VARIABLE: Final = "COMPONENTRUN_TERMINATION_BYTES"
"""In the environment of agents in pods with so many containers that their share is smaller."""


@dataclass(frozen=True, slots=True)
class StepConfig:
    """One step, for the plan of stage-in."""

    name: str
    """Name of its container."""
    component: str
    """Name of its Component, for messages."""
    user_id: int
    config: dict[str, Any] | None = None
    """Content of config.json while it runs; None for the component, whose config.json is in the plan itself."""


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One step, for the agents between the steps and for stage-out."""

    name: str
    component: str
    user_id: int
    is_processor: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps of a pod, in order."""

    steps: tuple[ChainStep, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pod has come."""

    step: str
    """The step that runs, or is about to start."""
    has_input: bool
    """Whether it found anything in `in`."""
    warnings: tuple[str, ...] = ()
    """Warnings about the steps before."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of the agent between two steps; fits into a termination message."""

    ok: bool
    seconds: float = 0.0
    reason: str | None = None
    """A `Reason` if not ok."""
    message: str | None = None
    """What failed, and what to do about it."""
    advice: str | None = None
    """What to do about it: the end of the message."""
