"""The pod of an attempt and its Secret, as plain JSON objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRun
    from componentrun.core.effective import EffectiveRun
    from componentrun.exchange import GrantIn, GrantOut

__all__ = ["PodSettings", "build_pod", "build_secret"]


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the platform decides about every pod. Set in the chart."""

    upload_seconds: int = 600
    """How long stage-out may take: the pod's termination grace period."""
    stage_in_seconds: int = 3600
    """How long images and stage-in may take; only for the backstop, see `Limits.stage_in`."""
    agent_cpu_request: str = "50m"
    agent_memory_request: str = "32Mi"
    agent_memory_limit: str = "256Mi"
    stack_id: str = "componentrun"
    """KBC_STACKID: tells installations apart."""
    agent_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets to log in at the agents' registry with; they must exist in the run's namespace."""


def build_pod(
    effective: EffectiveRun, run: ComponentRun, attempt: int, agent_image: str, settings: PodSettings
) -> dict[str, Any]:
    """The pod of an attempt: owned by the run, labelled as names.py says, fit for the restricted pod security standard."""
    raise NotImplementedError


def build_secret(
    run: ComponentRun,
    attempt: int,
    *,
    pod_uid: str,
    grant_in: GrantIn,
    grant_out: GrantOut,
    redact: Sequence[str],
) -> dict[str, Any]:
    """The attempt's Secret: named like its pod and owned by it, immutable, with the keys grant-in, grant-out and redact."""
    raise NotImplementedError
