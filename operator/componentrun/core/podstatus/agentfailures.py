"""Failures of ComponentRun's own containers: an agent names its reason, or leaves no result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.core.podstatus.results import (
    MAX_RESULT_MESSAGE,
    agent_reason,
    ending,
    excerpt,
    message_in_brackets,
)
from componentrun.core.podstatus.verdict import NOTHING_PUBLISHED, Diagnosis, verdict
from componentrun.errors import without_advice
from componentrun.reasons import Reason

if TYPE_CHECKING:
    from componentrun.core.podstatus.facts import PodFacts
    from componentrun.core.podstatus.view import ContainerView
    from componentrun.wire.agents import StageInResult, StageOutResult
    from componentrun.wire.chain import StepResult

__all__ = ["stage_in_failed", "stage_out_failed", "step_agent_failed"]


def stage_in_failed(pod: PodFacts) -> Diagnosis | None:
    """The input could not be brought."""
    if not pod.has_failed_stage_in:
        return None
    what, container, result = "Bringing the input failed", pod.stage_in, pod.view.stage_in_result
    return _reported(result, what, container, Reason.STAGE_IN_FAILED) or _silent(what, container)


def step_agent_failed(pod: PodFacts) -> Diagnosis | None:
    """The data folder could not be prepared for the next step, so that step was not started."""
    container = pod.component
    if container.is_program or not container.has_failed:
        return None
    following = next((s for s in pod.view.steps if names.agent_before(s.name) == container.name), container)
    what = f"Preparing the data folder for {following.title} failed"
    return _reported(pod.view.step_result, what, container, Reason.STAGE_IN_FAILED) or _silent(what, container)


def stage_out_failed(pod: PodFacts) -> Diagnosis | None:
    """The component succeeded, but its output was not uploaded."""
    if not pod.component.has_ended:
        return None
    container = pod.stage_out
    refused = _reported(pod.view.stage_out_result, "The output was refused", container, Reason.STAGE_OUT_FAILED)
    if refused is not None:
        return refused
    if not container.has_ended:
        how = "was still not finished when its time was over"
    else:
        how = f"ended with {ending(container)} and left no result that can be read{message_in_brackets(container)}"
    return verdict(
        Reason.STAGE_OUT_FAILED,
        f"The component ended well, but `{container.name}` {how}. {NOTHING_PUBLISHED}",
        container.name,
    )


def _reported(
    result: StageInResult | StepResult | StageOutResult | None, what: str, container: ContainerView, default: Reason
) -> Diagnosis | None:
    """The error that the agent reported; None if it reported none.

    The message may name up to ten errors, so that the author can correct all of them at once.
    """
    if result is None or result.ok:
        return None
    advice = result.advice or ""
    words = excerpt(without_advice(result.message or "it gave no reason", advice), MAX_RESULT_MESSAGE)
    return verdict(agent_reason(result.reason, default), f"{what}: {words}.", container.name, advice=advice)


def _silent(what: str, container: ContainerView) -> Diagnosis:
    return verdict(
        Reason.STAGE_IN_FAILED,
        f"{what}: `{container.name}` ended with {ending(container)} and left no result that can be read"
        f"{message_in_brackets(container)}.",
        container.name,
        advice=f"This is a defect of the platform: look at the log of `{container.name}`.",
    )
