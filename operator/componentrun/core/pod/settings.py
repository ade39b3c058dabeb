"""What the platform decides about every pod."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PodSettings"]


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Set in the chart; the same for all runs."""

    upload_seconds: int = 600
    """How long stage-out may take: the pod's termination grace period. Cluster Autoscaler grants 600 at most."""
    stage_in_seconds: int = 3600
    """How long images and stage-in may take; for the backstop only, see `Limits.stage_in`."""
    agent_cpu_request: str = "50m"
    agent_memory_request: str = "32Mi"
    agent_memory_limit: str = "1Gi"
    """Far more than they hold (tens of MiB): the page cache of the files they write counts, too, and what is pushed out
    of it has to be read from the disk by the component."""
    stack_id: str = "componentrun"
    """KBC_STACKID: tells installations apart."""
    agent_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets to log in at the agents' registry with; they must exist in the run's namespace."""
