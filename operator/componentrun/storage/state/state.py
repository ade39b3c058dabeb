"""What a configuration remembers between runs: one run's out/state.json is handed to the next as in/state.json.

With it, and not for the component, goes how far its runs have read the tables that they read by `adaptive`. Both stand
in one document, so that they are always of the same run.

Which of two states is the later one is not a matter of time: the clocks of operators, and of API servers, differ. A run
knows which state it was given, and that one came before its own; so states are numbered, and a run's state has the
number behind the one that it was given. Of runs that were given the same one, as they ran at the same time or the
state of the one before came late, the run that was created later counts. So a publish that is resumed late leaves what
a later run left. What a person sets or forgets comes behind everything that was there, and behind what runs leave that
are going on then.
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
"""Tables of which a configuration knows how far it has read them: as many as one run may read, those it read last."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_ATTEMPTS: Final = 20
"""A lost swap means that somebody else wrote the same configuration's state in that moment."""


@dataclass(frozen=True, slots=True)
class StateOwner:
    """Who remembers: a configuration of a component, or a row of it, in a branch."""

    component: str
    configuration: str
    row: str | None = None
    branch: str = DEFAULT_BRANCH

    def key(self, store: Store) -> str:
        """Where it is kept."""
        return store.layout.state(self.component, self.configuration, self.row, self.branch)


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered."""

    state: dict[str, Any] = field(default_factory=dict)
    """The component's own."""
    inputs: dict[str, Seen] = field(default_factory=dict)
    """What the last successful run that read a table by `adaptive` has seen of it, by table ids."""
    number: int = 0
    """Of the state; 0: there is none."""


@dataclass(frozen=True, slots=True)
class Author:
    """The run that leaves a state."""

    run: str
    """Uid."""
    created: datetime
    """When the run was created, as the API server says; counts among runs that were given the same state."""
    given: int
    """Number of the state that its attempt was given."""


class _Kept(StorageModel):
    """The stored document."""

    format: int = _FORMAT
    number: int = 0
    """Grows from state to state; see the module."""
    run: str | None = None
    """Uid of the run that left it; None: somebody set or removed it by hand."""
    created: datetime | None = None
    """When that run was created."""
    time: datetime
    """When it was written, for people: nothing is decided by it."""
    state: dict[str, Any] | None
    """None: there is none, or it was forgotten on purpose."""
    inputs: dict[str, Seen] = Field(default_factory=dict)

    @property
    def order(self) -> tuple[int, bool, datetime, str]:
        """Sorts as states follow each other."""
        by_hand = self.run is None or self.created is None
        return self.number, by_hand, _NEVER if self.created is None else self.created, self.run or ""


async def read_memory(store: Store, owner: StateOwner) -> Memory:
    """What the last published run left; empty where there is nothing.

    Raises:
        PlatformError: (Internal) what is stored there is no state.
    """
    kept, _ = await _find(store, owner)
    return Memory(kept.state or {}, kept.inputs, kept.number) if kept is not None else Memory()


async def read_state(store: Store, owner: StateOwner) -> dict[str, Any]:
    """The component's part of it. Raises as `read_memory` does."""
    return (await read_memory(store, owner)).state


async def write_state(
    store: Store,
    owner: StateOwner,
    state: dict[str, Any] | None,
    *,
    inputs: Mapping[str, Seen] | None = None,
    author: Author | None = None,
) -> bool:
    """Remember a state; False where a later one is there already, which stays. Repeating it changes nothing.

    Args:
        store: the Storage.
        owner: who remembers.
        state: a JSON object; None: it stays as it is.
        inputs: what the run has seen of tables, by their ids; of others it is remembered what was.
        author: the run that leaves it; its tables are there by now. None: somebody sets it by hand.
    """

    def changed(kept: _Kept | None) -> _Kept:
        known = kept.inputs if kept is not None else {}
        kept_state = kept.state if kept is not None else None
        return _next(kept, author, kept_state if state is None else state, _with_inputs(known, inputs or {}))

    return await _replace(store, owner, changed)


async def remove_state(store: Store, owner: StateOwner) -> bool:
    """Forget everything; whether there was anything. The configuration's next run starts as its first one did."""
    kept, _ = await _find(store, owner)
    if kept is None or (kept.state is None and not kept.inputs):
        return False
    return await _replace(store, owner, lambda kept: _next(kept, None, None, {}))


def _next(kept: _Kept | None, author: Author | None, state: dict[str, Any] | None, inputs: dict[str, Seen]) -> _Kept:
    """The document that is to replace `kept`."""
    before = author.given if author is not None else kept.number if kept is not None else 0
    run, created = (author.run, author.created) if author is not None else (None, None)
    return _Kept(number=before + 1, run=run, created=created, time=datetime.now(UTC), state=state, inputs=inputs)


def _with_inputs(known: dict[str, Seen], inputs: Mapping[str, Seen]) -> dict[str, Seen]:
    """What is known and what is new, of each table the later; those read last behind the others."""
    found = {table: seen for table, seen in known.items() if table not in inputs}
    for table, seen in inputs.items():
        before = known.get(table)
        # A run that began before another one may be published after it.
        found[table] = before if before is not None and before.is_later(seen) else seen
    return dict(list(found.items())[-_MOST_INPUTS:])


async def _find(store: Store, owner: StateOwner) -> tuple[_Kept | None, str]:
    """What is stored, and its ETag."""
    key = owner.key(store)
    stored = await store.find(key)
    if stored is None:
        return None, ""
    return parse_document(_Kept, stored.data, f"the state {store.settings.where(key)}", _FORMAT), stored.etag


async def _replace(store: Store, owner: StateOwner, changed: Callable[[_Kept | None], _Kept]) -> bool:
    key = owner.key(store)
    for _ in range(_ATTEMPTS):
        kept, etag = await _find(store, owner)
        wanted = changed(kept)
        if kept is not None and kept.order > wanted.order:
            return False
        # Nothing that the state says is left out, `null` neither.
        data = wanted.model_dump_json(by_alias=True).encode()
        try:
            await (store.create(key, data) if kept is None else store.swap(key, data, etag))
        except (ExistsError, StaleError):
            continue  # somebody else was faster, or this very write got through: reading again tells
        return True
    raise TransientError(
        f"{store.settings.where(key)} was changed by others {_ATTEMPTS} times", Reason.STORAGE_UNAVAILABLE
    )
