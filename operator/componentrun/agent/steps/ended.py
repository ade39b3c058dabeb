"""How far the steps of a pod came: where stage-out finds what the component left, and warnings about processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from componentrun.agent.folder import Folder
from componentrun.agent.steps.notes import progress, steps
from componentrun.agent.steps.turning import has_output
from componentrun.wire.chain import KEPT

if TYPE_CHECKING:
    from componentrun.wire.chain import ChainStep, Progress

__all__ = ["ChainEnd", "chain_end", "left_nothing"]


class ChainEnd(NamedTuple):
    """The end of the steps of a pod."""

    kept: str
    """Path of the folder with state, usage, result and artifacts of the component. It is empty if the component was
    not reached."""
    warnings: tuple[str, ...]


def chain_end(data: str, chain: str) -> ChainEnd:
    """How far the steps came.

    Args:
        data: path of the data folder.
        chain: path of the volume that only agents mount.
    """
    with Folder(chain) as notes:
        all_steps, reached = steps(notes), progress(notes)
    last = next(step for step in all_steps if step.name == reached.step)
    warnings = reached.warnings
    if last is all_steps[-1]:
        warnings += left_nothing(last, reached, has_left=has_output(data))
    kept = f"{chain}/{KEPT}"
    return ChainEnd(kept if last.is_processor else data, warnings)


def left_nothing(step: ChainStep, reached: Progress, *, has_left: bool) -> tuple[str, ...]:
    """The warning about a processor that was given something and left nothing; none if all is well."""
    if has_left or not (step.is_processor and reached.has_input):
        return ()
    warning = (
        f"processor `{step.component}` ({step.name}) left nothing in /data/out, so what it was given goes no further; "
        "expected the processed tables and files there"
    )
    return (warning,)
