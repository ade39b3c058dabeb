"""What a configuration remembers between runs: one run's out/state.json is handed to the next as in/state.json.

With it, and not for the component, goes how far its runs have read the tables that they read by `adaptive`. Both stand
in one document, so that they are always of the same run.

Beside the state stands when it was decided: a publish that is resumed late finds a newer one and leaves it. What was
forgotten on purpose leaves a note of that time, too, so that an older state does not come back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from componentrun.contract import DEFAULT_BRANCH
from componentrun.errors import Reason, TransientError
from componentrun.storage.adaptive import Seen
from componentrun.storage.document import StorageModel, parse_document
from componentrun.storage.failures import ExistsError, StaleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from componentrun.storage.connection import Store

__all__ = ["Memory", "StateOwner", "read_memory", "read_state", "remove_state", "write_state"]

_FORMAT: Final = 1
_MOST_INPUTS: Final = 1000
"""Tables of which a configuration knows how far it has read them: as many as one run may read, those it read last."""
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


class _Kept(StorageModel):
    """The stored document."""

    format: int = _FORMAT
    time: datetime
    """Of the commit that it belongs to; a state replaces one that is not younger."""
    state: dict[str, Any] | None
    """None: there is none, or it was forgotten on purpose."""
    inputs: dict[str, Seen] = Field(default_factory=dict)


async def read_memory(store: Store, owner: StateOwner) -> Memory:
    """What the last published run left; empty where there is nothing.

    Raises:
        PlatformError: (Internal) what is stored there is no state.
    """
    kept, _ = await _find(store, owner)
    return Memory(kept.state or {}, kept.inputs) if kept is not None else Memory()


async def read_state(store: Store, owner: StateOwner) -> dict[str, Any]:
    """The component's part of it. Raises as `read_memory` does."""
    return (await read_memory(store, owner)).state


async def write_state(
    store: Store,
    owner: StateOwner,
    state: dict[str, Any] | None,
    *,
    inputs: Mapping[str, Seen] | None = None,
    decided: datetime | None = None,
) -> bool:
    """Remember a state; False where a younger one is there already, which stays. Repeating it changes nothing.

    Args:
        store: the Storage.
        owner: who remembers.
        state: a JSON object; None: it stays as it is.
        inputs: what the run has seen of tables, by their ids; of others it is remembered what was.
        decided: when its run was published, as the journal says; its tables are there by now. None: this moment.
    """
    time = decided or await _now(store, owner)

    def changed(kept: _Kept | None) -> _Kept:
        kept = kept or _Kept(time=time, state=None)
        known = _with_inputs(kept.inputs, inputs or {})
        return _Kept(time=time, state=kept.state if state is None else state, inputs=known)

    return await _replace(store, owner, time, changed)


async def remove_state(store: Store, owner: StateOwner) -> bool:
    """Forget everything; whether there was anything. The configuration's next run starts as its first one did."""
    kept, _ = await _find(store, owner)
    if kept is None or (kept.state is None and not kept.inputs):
        return False
    time = await _now(store, owner)
    return await _replace(store, owner, time, lambda _: _Kept(time=time, state=None))


def _with_inputs(known: dict[str, Seen], inputs: Mapping[str, Seen]) -> dict[str, Seen]:
    """What is known and what is new, of each table the later; those read last behind the others."""
    found = {table: seen for table, seen in known.items() if table not in inputs}
    for table, seen in inputs.items():
        before = known.get(table)
        # A run that began before another one may be published after it.
        later = before is not None and before.created == seen.created and before.version > seen.version
        found[table] = before if before is not None and later else seen
    return dict(list(found.items())[-_MOST_INPUTS:])


async def _now(store: Store, owner: StateOwner) -> datetime:
    """This moment, or that of the state where its clock was ahead: who asks now means what is there."""
    kept, _ = await _find(store, owner)
    return datetime.now(UTC) if kept is None else max(datetime.now(UTC), kept.time)


async def _find(store: Store, owner: StateOwner) -> tuple[_Kept | None, str]:
    """What is stored, and its ETag."""
    key = owner.key(store)
    stored = await store.find(key)
    if stored is None:
        return None, ""
    return parse_document(_Kept, stored.data, f"the state {store.settings.where(key)}", _FORMAT), stored.etag


async def _replace(store: Store, owner: StateOwner, time: datetime, changed: Callable[[_Kept | None], _Kept]) -> bool:
    key = owner.key(store)
    for _ in range(_ATTEMPTS):
        kept, etag = await _find(store, owner)
        if kept is not None and kept.time > time:
            return False
        # Nothing that the state says is left out, `null` neither.
        data = changed(kept).model_dump_json(by_alias=True).encode()
        try:
            await (store.create(key, data) if kept is None else store.swap(key, data, etag))
        except (ExistsError, StaleError):
            continue  # somebody else was faster, or this very write got through: reading again tells
        return True
    raise TransientError(
        f"{store.settings.where(key)} was changed by others {_ATTEMPTS} times", Reason.STORAGE_UNAVAILABLE
    )
