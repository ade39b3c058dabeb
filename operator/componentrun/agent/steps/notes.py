"""Reads and writes what the agents of a pod with processors leave each other (`wire.chain`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.errors import PlatformError
from componentrun.wire import chain
from componentrun.wire.agents import from_json, to_json
from componentrun.wire.chain import Chain, ChainStep, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.agent.folder import Folder
    from componentrun.wire.chain import StepConfig

__all__ = ["config_of", "progress", "state", "steps", "write_plan", "write_progress"]

_MODE: Final = 0o640
"""The next agent may have another user id. All containers of a pod have the same group, and only agents mount the
volume."""

Document = TypeVar("Document")


def write_plan(
    notes: Folder, planned: Sequence[StepConfig], configs: Mapping[str, bytes], state: bytes, *, has_input: bool
) -> None:
    """Write everything that the agents after stage-in need.

    Args:
        notes: the volume.
        planned: the steps.
        configs: config.json of each step but the first, by name, with secrets.
        state: in/state.json of the component.
        has_input: whether the first step finds anything in `in`.
    """
    steps = tuple(ChainStep(step.name, step.component, step.user_id, step.config is not None) for step in planned)
    notes.write(chain.PLAN, to_json(Chain(steps)).encode(), _MODE)
    for name, content in configs.items():
        notes.write(f"{chain.CONFIGS}/{name}.json", content, _MODE)
    notes.write(chain.STATE, state, _MODE)
    notes.make(chain.KEPT)
    write_progress(notes, Progress(planned[0].name, has_input))


def write_progress(notes: Folder, reached: Progress) -> None:
    """Record the step that is about to start. The file is a new one: the last agent may have had another user."""
    notes.replace(chain.PROGRESS, to_json(reached).encode(), _MODE)


def steps(notes: Folder) -> tuple[ChainStep, ...]:
    """The steps of the pod, in order."""
    return _read(Chain, notes, chain.PLAN).steps


def progress(notes: Folder) -> Progress:
    """How far the pod has come."""
    return _read(Progress, notes, chain.PROGRESS)


def config_of(notes: Folder, step: str) -> bytes:
    """Content of config.json while this step runs."""
    return _content(notes, f"{chain.CONFIGS}/{step}.json")


def state(notes: Folder) -> bytes:
    """Content of the component's in/state.json."""
    return _content(notes, chain.STATE)


def _read(kind: type[Document], notes: Folder, name: str) -> Document:
    try:
        return from_json(kind, _content(notes, name))
    except ValueError as error:
        raise PlatformError(f"{name}, which an agent wrote, can't be read: {error}") from error


def _content(notes: Folder, name: str) -> bytes:
    try:
        return notes.document(name)
    except FileNotFoundError:
        raise PlatformError(f"{name} is missing; expected one that the agent before wrote") from None
