"""The status of a ComponentBuild, from its former status and what its pod says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.core.builds.observed import BuildFailure
from componentrun.core.lifecycle.conditions import SUCCEEDED, is_settled, with_condition
from componentrun.errors import Reason
from componentrun.reasons import GUIDANCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.build.componentbuild import (
        BuildPhase,
        BuildPod,
        BuildStep,
        ComponentBuild,
        ComponentBuildStatus,
    )
    from componentrun.core.builds.observed import BuildPodState
    from componentrun.errors import ComponentRunError

__all__ = [
    "CANCELLED",
    "MOST_PODS",
    "UNWANTED",
    "changes",
    "failed",
    "failure_of",
    "followed",
    "has_ended",
    "is_decided",
    "is_lost",
    "may_be_unwanted",
    "with_pod",
]

MOST_PODS: Final = 3
"""Pods of a build. A pod that is lost, and not because of the build itself, is replaced."""
_WANTED_FOR: Final = timedelta(seconds=30)
"""How long a build goes on although no run waits for it: the run that it was created for may not be known yet."""
_MOST_LAST_WORDS: Final = 4_000
_MOST_MESSAGE: Final = 8_000
"""Characters. The CRD allows more in a condition."""

_AT_WORK: Final[dict[BuildPhase, str]] = {
    "Pending": "The pod of the build waits for a node, for its Secrets or for the builder's image.",
    "Fetching": "The commit is being fetched.",
    "Building": "The commands run in the parent image, or wait for it.",
    "Pushing": "The image is being pushed.",
}

CANCELLED: Final = BuildFailure(
    Reason.BUILD_CANCELLED, "The build was cancelled by `spec.cancel`.", GUIDANCE[Reason.BUILD_CANCELLED].advice
)
UNWANTED: Final = BuildFailure(
    Reason.BUILD_CANCELLED,
    "The build was cancelled because no run waits for it any more.",
    GUIDANCE[Reason.BUILD_CANCELLED].advice,
)


def failure_of(error: ComponentRunError, reason: Reason | None = None) -> BuildFailure:
    """The failure of a build that an error keeps from starting; `reason` replaces that of the error."""
    reason = reason or error.reason
    return BuildFailure(reason, error.summary, error.advice or GUIDANCE[reason].advice)


def has_ended(status: ComponentBuildStatus) -> bool:
    """Whether the build has succeeded, failed or was cancelled."""
    return is_settled(status.conditions, SUCCEEDED)


def may_be_unwanted(build: ComponentBuild, now: datetime) -> bool:
    """Whether the build is old enough to be cancelled if no run waits for it."""
    created = build.metadata.creation_timestamp
    return created is not None and now - created >= _WANTED_FOR


def is_decided(build: ComponentBuild, state: BuildPodState) -> bool:
    """Whether the build has ended with its pod. A pod that is gone decides nothing while another one may be created."""
    if is_lost(state):
        return build.status.attempts >= MOST_PODS
    return state.digest is not None or state.failure is not None


def is_lost(state: BuildPodState) -> bool:
    """Whether another pod may succeed: this one is gone, or a host did not respond to it."""
    return state.digest is None and (state.is_gone or (state.failure is not None and state.failure.is_transient))


def with_pod(build: ComponentBuild, pod: BuildPod, now: datetime) -> ComponentBuildStatus:
    """The status after a pod was created."""
    status = build.status
    update = {
        "phase": "Pending",
        "pod": pod,
        "attempts": status.attempts + 1,
        "start_time": status.start_time or now,
        "steps": (),
    }
    return _with_outcome(build, update, "Unknown", Reason.BUILDING, _AT_WORK["Pending"], now)


def followed(build: ComponentBuild, state: BuildPodState, now: datetime) -> ComponentBuildStatus:
    """The status that follows from the state of the pod.

    Args:
        build: the build.
        state: what its pod says. One that is gone counts as the end: see `is_decided`.
        now: the time.
    """
    if state.digest is not None:
        update = {
            "phase": "Succeeded",
            "digest": state.digest,
            "pushed": state.pushed,
            "dependencies": state.dependencies,
            "steps": state.steps,
            "completion_time": now,
        }
        message = f"The image is `{build.spec.target}@{state.digest}`."
        return _with_outcome(build, update, "True", Reason.SUCCEEDED, message, now)
    if state.failure is not None:
        failure = state.failure
        if is_lost(state):
            what = "pods of the build were lost" if state.is_gone else "attempts to build failed"
            failure = replace(failure, message=f"{build.status.attempts} {what}. The last one: {failure.message}")
        return failed(build, failure, now, state.steps)
    update = {"phase": state.phase, "steps": state.steps}
    return _with_outcome(build, update, "Unknown", Reason.BUILDING, _AT_WORK[state.phase], now)


def failed(
    build: ComponentBuild, failure: BuildFailure, now: datetime, steps: Sequence[BuildStep] | None = None
) -> ComponentBuildStatus:
    """The status of a build that has ended without an image.

    Args:
        build: the build.
        failure: why.
        now: the time.
        steps: those that have begun; None: as they are in the status.
    """
    update = {
        "phase": "Cancelled" if failure.reason is Reason.BUILD_CANCELLED else "Failed",
        "advice": failure.advice or None,
        "last_words": (failure.last_words or "")[-_MOST_LAST_WORDS:] or None,
        "steps": build.status.steps if steps is None else tuple(steps),
        "completion_time": now,
    }
    return _with_outcome(build, update, "False", failure.reason, failure.message[:_MOST_MESSAGE], now)


def _with_outcome(
    build: ComponentBuild,
    update: dict[str, Any],
    outcome: Literal["True", "False", "Unknown"],
    reason: Reason,
    message: str,
    now: datetime,
) -> ComponentBuildStatus:
    generation = build.metadata.generation
    conditions = with_condition(
        build.status.conditions, SUCCEEDED, outcome, reason, message, generation=generation, now=now
    )
    said = {
        "reason": reason.value,
        "message": message,
        "observed_generation": generation,
        "conditions": conditions,
    }
    return build.status.model_copy(update={"advice": None} | update | said)


def changes(old: ComponentBuildStatus, new: ComponentBuildStatus) -> dict[str, Any]:
    """The fields that differ, for a merge patch; None removes a field. Empty: nothing has changed."""
    before, after = old.to_dict(), new.to_dict()
    return {name: after.get(name) for name in (*before, *after) if before.get(name) != after.get(name)}
