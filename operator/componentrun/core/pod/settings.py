"""Platform settings for every pod."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PodSettings"]


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Settings of the chart that are the same for all runs."""

    upload_seconds: int = 600
    """Maximum duration of stage-out, and the pod's termination grace period. Cluster Autoscaler allows at most 600."""
    stage_in_seconds: int = 3600
    """Maximum duration of image pulls and stage-in. Only for the kubelet's deadline; see `Limits.stage_in`."""
    agent_cpu_request: str = "50m"
    agent_memory_request: str = "32Mi"
    agent_memory_limit: str = "1Gi"
    """Far more than the agents allocate (tens of MiB), because the page cache of the files that they write counts as
    well. Files that are evicted from it must be read from the disk by the component."""
    stack_id: str = "componentrun"
    """KBC_STACKID: identifies the installation."""
    agent_pull_secrets: tuple[str, ...] = ()
    """Image pull secrets for the agents' image. They must exist in the run's namespace."""
