"""What a configuration remembers between runs: one run's out/state.json is handed to the next as in/state.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.contract import DEFAULT_BRANCH
from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

__all__ = ["StateOwner", "read_state", "remove_state", "write_state"]


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


async def read_state(store: Store, owner: StateOwner) -> dict[str, Any]:
    """The state that the last published run left; empty where there is none.

    Raises:
        PlatformError: (Internal) what is stored there is no JSON object.
    """
    key = owner.key(store)
    stored = await store.find(key)
    if stored is None:
        return {}
    try:
        state = json.loads(stored.data)
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict):
        raise PlatformError(f"{store.settings.where(key)} is no state: expected a JSON object")
    return state


async def write_state(store: Store, owner: StateOwner, state: dict[str, Any]) -> None:
    """Remember a state. To be called after the run's tables are published; repeating it changes nothing."""
    data = json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode()
    await store.put(owner.key(store), data)


async def remove_state(store: Store, owner: StateOwner) -> bool:
    """Forget a state; whether there was one. The configuration's next run starts with an empty one."""
    key = owner.key(store)
    there = await store.head(key) is not None
    await store.delete([key])
    return there
