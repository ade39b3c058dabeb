"""The steps of a run with processors, in its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.api.processors import StepStatus
from componentrun.core.podstatus.results import capitalized

if TYPE_CHECKING:
    from componentrun.core.podstatus.facts import PodFacts
    from componentrun.core.request.resolve import EffectiveRun

__all__ = ["observed_steps", "planned_steps", "step_message", "steps_to_repeat"]


def planned_steps(effective: EffectiveRun) -> tuple[StepStatus, ...] | None:
    """The steps of an attempt that was just started; None if the run has no processors."""
    if not effective.processors:
        return None
    before, after = (
        tuple(
            StepStatus(
                name=item.container,
                component=item.component,
                image=item.image,
                image_resolution=item.image_resolution,
            )
            for item in side
        )
        for side in (effective.before, effective.after)
    )
    component = StepStatus(
        name=names.COMPONENT,
        component=effective.component_id,
        image=effective.image,
        image_resolution=effective.image_resolution,
    )
    return (*before, component, *after)


def steps_to_repeat(steps: tuple[StepStatus, ...] | None) -> tuple[StepStatus, ...] | None:
    """The steps for the next attempt, which uses the same digests; None if no image was resolved."""
    if not any(step.image_resolution for step in steps or ()):
        return None
    fields = {"name", "component", "image", "image_resolution"}
    return tuple(StepStatus(**{name: getattr(step, name) for name in fields}) for step in steps or ())


def observed_steps(steps: tuple[StepStatus, ...], pod: PodFacts) -> tuple[StepStatus, ...]:
    """The steps with what their containers show: image, times and exit code."""
    found = {view.name: view for view in pod.view.steps}
    result = []
    for step in steps:
        view = found.get(step.name)
        if view is None or not view.has_started:
            result.append(step)
            continue
        update = {
            "image_digest": view.image_id or step.image_digest,
            "start_time": view.started_at or step.start_time,
            "completion_time": view.finished_at or step.completion_time,
            "exit_code": step.exit_code if view.exit_code is None or view.is_lost else view.exit_code,
        }
        result.append(step.model_copy(update=update))
    return tuple(result)


def step_message(pod: PodFacts) -> str | None:
    """What a pod with processors does while it is in phase Running; None without processors."""
    step = pod.component
    if not pod.view.steps or step.has_ended:
        return None
    if step.is_program and step.is_running:
        return f"{capitalized(step.title)} runs."
    following = next((item for item in pod.view.programs if not item.has_ended), step)
    return f"The data folder is being prepared for {following.title}, or its container is being started."
