"""The steps of a pod with processors: which programs run in it one after another.

The kubelet runs init containers in order, so every step but the last is one. Between two steps an agent prepares the
data folder. `before-1` and `after-1` around a component give

    initContainers   stage-out, stage-in, [gelf], before-1, to-component, component, to-after-1
    containers       after-1

What the operator needs to know about the steps is in the environment of stage-out, which nobody can edit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.wire.chain import StepConfig

if TYPE_CHECKING:
    from componentrun.core.request.resolve import EffectiveRun

__all__ = ["Step", "first_user", "last_user", "read_steps", "step_configs", "steps_of", "steps_text"]


@dataclass(frozen=True, slots=True)
class Step:
    """One program of a pod with processors."""

    name: str
    """Name of its container."""
    component: str
    """Name of its Component."""
    timeout_seconds: int
    user_id: int = 0

    @property
    def is_processor(self) -> bool:
        """Whether it is a processor, and not the component."""
        return self.name != names.COMPONENT


def steps_of(effective: EffectiveRun) -> tuple[Step, ...]:
    """The steps of a run, in order; empty if it has no processors."""
    if not effective.processors:
        return ()
    component = Step(names.COMPONENT, effective.component_id, effective.timeout_seconds, effective.user_id)
    before, after = (
        tuple(Step(item.container, item.component, item.timeout_seconds, item.user_id) for item in side)
        for side in (effective.before, effective.after)
    )
    return (*before, component, *after)


def step_configs(effective: EffectiveRun) -> tuple[StepConfig, ...]:
    """The steps for the plan of stage-in: what each finds in config.json."""
    configs = {item.container: item.config for item in effective.processors}
    return tuple(
        StepConfig(step.name, step.component, step.user_id, configs.get(step.name)) for step in steps_of(effective)
    )


def first_user(effective: EffectiveRun) -> int:
    """User id of the first program, whose input stage-in writes."""
    return (effective.before[0] if effective.before else effective).user_id


def last_user(effective: EffectiveRun) -> int:
    """User id of the last program, whose output stage-out reads."""
    return (effective.after[-1] if effective.after else effective).user_id


def steps_text(steps: tuple[Step, ...]) -> str:
    """The steps as text, for the environment of stage-out."""
    return json.dumps([[step.name, step.component, step.timeout_seconds] for step in steps], separators=(",", ":"))


def read_steps(text: str) -> tuple[Step, ...]:
    """The steps from the environment of stage-out, without their users; empty if there are none, or nothing is known.

    Never fails: somebody may have written the pod by hand.
    """
    try:
        return tuple(Step(str(name), str(component), int(timeout)) for name, component, timeout in json.loads(text))
    except (ValueError, TypeError):
        return ()
