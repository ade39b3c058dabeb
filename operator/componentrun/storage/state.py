"""What a configuration remembers between runs: one run's out/state.json is handed to the next as in/state.json.

Beside the state stands when it was decided: a publish that is resumed late finds a newer one and leaves it. What was
forgotten on purpose leaves a note of that time, too, so that an older state does not come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.contract import DEFAULT_BRANCH
from componentrun.errors import Reason, TransientError
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.pointer import StorageModel, parse_document

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

__all__ = ["StateOwner", "read_state", "remove_state", "write_state"]

_FORMAT: Final = 1
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


class _Kept(StorageModel):
    """The stored document."""

    format: int = _FORMAT
    time: datetime
    """Of the commit that it belongs to; a state replaces one that is not younger."""
    state: dict[str, Any] | None
    """None: forgotten on purpose."""


async def read_state(store: Store, owner: StateOwner) -> dict[str, Any]:
    """The state that the last published run left; empty where there is none.

    Raises:
        PlatformError: (Internal) what is stored there is no state.
    """
    kept, _ = await _find(store, owner)
    return (kept.state if kept is not None else None) or {}


async def write_state(
    store: Store, owner: StateOwner, state: dict[str, Any], *, decided: datetime | None = None
) -> bool:
    """Remember a state; False where a younger one is there already, which stays. Repeating it changes nothing.

    Args:
        store: the Storage.
        owner: who remembers.
        state: a JSON object.
        decided: when its run was published, as the journal says; its tables are there by now. None: this moment.
    """
    return await _replace(store, owner, _Kept(time=decided or await _now(store, owner), state=state))


async def remove_state(store: Store, owner: StateOwner) -> bool:
    """Forget a state; whether there was one. The configuration's next run starts with an empty one."""
    kept, _ = await _find(store, owner)
    if kept is None or kept.state is None:
        return False
    return await _replace(store, owner, _Kept(time=await _now(store, owner), state=None))


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


async def _replace(store: Store, owner: StateOwner, wanted: _Kept) -> bool:
    key = owner.key(store)
    # Nothing that the state says is left out, `null` neither.
    data = wanted.model_dump_json(by_alias=True).encode()
    for _ in range(_ATTEMPTS):
        kept, etag = await _find(store, owner)
        if kept is not None and kept.time > wanted.time:
            return False
        try:
            await (store.create(key, data) if kept is None else store.swap(key, data, etag))
        except (ExistsError, StaleError):
            continue  # somebody else was faster, or this very write got through: reading again tells
        return True
    raise TransientError(
        f"{store.settings.where(key)} was changed by others {_ATTEMPTS} times", Reason.STORAGE_UNAVAILABLE
    )
