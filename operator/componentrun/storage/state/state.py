"""State of a configuration between runs: one run's out/state.json becomes the next run's in/state.json.

The same document contains the positions up to which its runs have read tables with `adaptive`, so that both are always
from the same run. The component does not get these positions.

States are ordered by number, because clocks of operators and of API servers differ. A run's state has the number after
that of the state which the run got. If several runs got the same state, because they ran at the same time or the state
of the previous run was late, the run that was created last wins. A publish that is resumed late therefore does not
replace the state of a later run. A state that a person sets or deletes comes after all existing states, and after those
of runs in progress.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from componentrun.contract import DEFAULT_BRANCH
from componentrun.errors import Reason, TransientError
from componentrun.storage.state.adaptive import Seen
from componentrun.storage.store.document import StorageModel, parse_document
from componentrun.storage.store.errors import ExistsError, StaleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from componentrun.storage.store.connection import Store

__all__ = ["Author", "Memory", "StateOwner", "read_memory", "read_state", "remove_state", "write_state"]

_FORMAT: Final = 1
_MOST_INPUTS: Final = 1000
"""Maximum number of tables with a position: as many as one run may read, the most recently read ones."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_ATTEMPTS: Final = 20
"""Maximum number of swaps; a lost one means that another process wrote the same state at that moment."""


@dataclass(frozen=True, slots=True)
class StateOwner:
    """Owner of a state: a configuration of a component, or a row of it, in a branch."""

    component: str
    configuration: str
    row: str | None = None
    branch: str = DEFAULT_BRANCH

    def key(self, store: Store) -> str:
        """Key of the document."""
        return store.layout.state(self.component, self.configuration, self.row, self.branch)


@dataclass(frozen=True, slots=True)
class Memory:
    """A state with its positions in tables."""

    state: dict[str, Any] = field(default_factory=dict)
    """The component's state."""
    inputs: dict[str, Seen] = field(default_factory=dict)
    """Positions of the last successful runs that read tables with `adaptive`, by table id."""
    number: int = 0
    """Number of the state; 0: there is none."""


@dataclass(frozen=True, slots=True)
class Author:
    """The run that writes a state."""

    run: str
    """Uid of the run."""
    created: datetime
    """Creation time of the run according to the API server; decides among runs that got the same state."""
    given: int
    """Number of the state that its attempt got."""


class _StateDocument(StorageModel):
    """The stored document."""

    format: int = _FORMAT
    number: int = 0
    """Increases with each state; see the module's docstring."""
    run: str | None = None
    """Uid of the run that wrote it; None: it was set or deleted by hand."""
    created: datetime | None = None
    """When that run was created."""
    time: datetime
    """Time of the write, for information only."""
    state: dict[str, Any] | None
    """None: there is none, or it was deleted."""
    inputs: dict[str, Seen] = Field(default_factory=dict)

    @property
    def order(self) -> tuple[int, bool, datetime, str]:
        """Sort key: the order of states."""
        by_hand = self.run is None or self.created is None
        return self.number, by_hand, _NEVER if self.created is None else self.created, self.run or ""


async def read_memory(store: Store, owner: StateOwner) -> Memory:
    """Return the state of the last published run; empty if there is none.

    Raises:
        PlatformError: (Internal) the stored document is not a state.
    """
    document, _ = await _find(store, owner)
    return Memory(document.state or {}, document.inputs, document.number) if document is not None else Memory()


async def read_state(store: Store, owner: StateOwner) -> dict[str, Any]:
    """Return the component's part of it. Raises the errors of `read_memory`."""
    return (await read_memory(store, owner)).state


async def write_state(
    store: Store,
    owner: StateOwner,
    state: dict[str, Any] | None,
    *,
    inputs: Mapping[str, Seen] | None = None,
    author: Author | None = None,
) -> bool:
    """Store a state; return False if a later one exists, which is kept. Idempotent.

    Args:
        store: the Storage.
        owner: owner of the state.
        state: a JSON object; None: unchanged.
        inputs: the run's positions in tables, by table id; positions in other tables are kept.
        author: the run that writes it, whose tables are already published; None: it is set by hand.
    """

    def changed(document: _StateDocument | None) -> _StateDocument:
        marks = document.inputs if document is not None else {}
        old_state = document.state if document is not None else None
        return _next(document, author, old_state if state is None else state, _with_inputs(marks, inputs or {}))

    return await _replace(store, owner, changed)


async def remove_state(store: Store, owner: StateOwner) -> bool:
    """Delete the state; return whether there was one. The configuration's next run starts like its first one."""
    document, _ = await _find(store, owner)
    if document is None or (document.state is None and not document.inputs):
        return False
    return await _replace(store, owner, lambda document: _next(document, None, None, {}))


def _next(
    document: _StateDocument | None, author: Author | None, state: dict[str, Any] | None, inputs: dict[str, Seen]
) -> _StateDocument:
    """Return the document that replaces `document`."""
    number = author.given if author is not None else document.number if document is not None else 0
    run, created = (author.run, author.created) if author is not None else (None, None)
    return _StateDocument(
        number=number + 1, run=run, created=created, time=datetime.now(UTC), state=state, inputs=inputs
    )


def _with_inputs(old: dict[str, Seen], inputs: Mapping[str, Seen]) -> dict[str, Seen]:
    """Merge positions: the later one for each table, the most recently read tables last."""
    result = {table: mark for table, mark in old.items() if table not in inputs}
    for table, mark in inputs.items():
        old_mark = old.get(table)
        # A run that started before another one may be published after it.
        result[table] = old_mark if old_mark is not None and old_mark.is_later(mark) else mark
    return dict(list(result.items())[-_MOST_INPUTS:])


async def _find(store: Store, owner: StateOwner) -> tuple[_StateDocument | None, str]:
    """Return the stored document and its ETag."""
    key = owner.key(store)
    entry = await store.find(key)
    if entry is None:
        return None, ""
    return parse_document(_StateDocument, entry.data, f"the state {store.settings.where(key)}", _FORMAT), entry.etag


async def _replace(store: Store, owner: StateOwner, change: Callable[[_StateDocument | None], _StateDocument]) -> bool:
    key = owner.key(store)
    for _ in range(_ATTEMPTS):
        document, etag = await _find(store, owner)
        new_document = change(document)
        if document is not None and document.order > new_document.order:
            return False
        # All keys of the state are kept, including those with `null`.
        data = new_document.model_dump_json(by_alias=True).encode()
        try:
            await (store.create(key, data) if document is None else store.swap(key, data, etag))
        except (ExistsError, StaleError):
            continue  # another process was faster, or this write succeeded: read again to find out
        return True
    raise TransientError(
        f"{store.settings.where(key)} was changed by others {_ATTEMPTS} times", Reason.STORAGE_UNAVAILABLE
    )
