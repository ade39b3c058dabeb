"""Entry point of the agent between two steps."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.agent.folder import Folder, disk_error
from componentrun.agent.progress import say
from componentrun.agent.steps import notes as left
from componentrun.agent.steps.ended import left_nothing
from componentrun.agent.steps.removing import remove
from componentrun.agent.steps.taking import take
from componentrun.agent.steps.turning import has_output, share, turn
from componentrun.errors import PlatformError
from componentrun.wire.chain import CHAIN_MOUNT, GROUP_UMASK, Progress, StepResult

if TYPE_CHECKING:
    from componentrun.wire.chain import ChainStep

__all__ = ["step"]

_CONFIG_MODE: Final = 0o640
"""config.json contains secrets; the next step may have another user id, but has the same group."""


def step(following: str, data: str, chain: str = CHAIN_MOUNT) -> StepResult:
    """Prepare the data folder for a step.

    Args:
        following: name of its container.
        data: path of the data folder.
        chain: path of the volume that only agents mount.

    Raises:
        UserError: (OutputInvalid, DiskFull) the step before left something that no step can be given.
        PlatformError: the volumes are not as the agents before left them, or something can't be deleted.
    """
    started = time.monotonic()
    os.umask(GROUP_UMASK)
    with Folder(chain) as notes, Folder(data) as folder:
        before, after = _pair(left.steps(notes), following)
        reached, has_left = left.progress(notes), has_output(data)
        warnings = left_nothing(before, reached, has_left=has_left)
        for warning in warnings:
            say("warn", warning)
        if not before.is_processor:
            take(folder, notes)
        left.write_progress(notes, Progress(following, has_left, (*reached.warnings, *warnings)))
        try:
            turn(folder, data)
            _deliver(notes, folder, data, after)
            if after.user_id != before.user_id:
                share(data)
        except OSError as error:
            raise disk_error(error, f"what `{before.name}` left in the data folder") from error
    seconds = round(time.monotonic() - started, 3)
    what = f"processor `{after.component}`" if after.is_processor else "the component"
    say("info", f"The data folder is ready for {what} ({after.name}).", step=after.name, seconds=seconds)
    return StepResult(ok=True, seconds=seconds)


def _pair(steps: tuple[ChainStep, ...], following: str) -> tuple[ChainStep, ChainStep]:
    """The step that has ended and the one that follows."""
    for before, after in pairwise(steps):
        if after.name == following:
            return before, after
    names = ", ".join(step.name for step in steps[1:])
    raise PlatformError(f"there is no step `{following}` that follows another one; expected one of {names}")


def _deliver(notes: Folder, folder: Folder, data: str, after: ChainStep) -> None:
    """Write config.json and, for the component, its state. Only the component's artifacts count."""
    remove(f"{data}/{contract.CONFIG_FILE}")
    folder.write(contract.CONFIG_FILE, left.config_of(notes, after.name), _CONFIG_MODE)
    if after.is_processor:
        return
    remove(f"{data}/{contract.IN_STATE}")
    folder.write(contract.IN_STATE, left.state(notes), _CONFIG_MODE)
    for path in contract.OUT_ARTIFACTS:
        remove(f"{data}/{path}")
        folder.make(path)
