"""What a configuration remembers between runs: one run's out/state.json is handed to the next as in/state.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

__all__ = ["read_state", "write_state"]


async def read_state(store: Store, component: str, configuration: str, row: str | None = None) -> dict[str, Any]:
    """The state that the last published run left; empty where there is none.

    Raises:
        PlatformError: (Internal) what is stored there is no JSON object.
    """
    key = store.layout.state(component, configuration, row)
    stored = await store.find(key)
    if stored is None:
        return {}
    try:
        state = json.loads(stored.data)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise PlatformError(f"{store.settings.where(key)} is no state: expected a JSON object")
    return state


async def write_state(
    store: Store, component: str, configuration: str, state: dict[str, Any], row: str | None = None
) -> None:
    """Remember a state. To be called after the run's tables are published; repeating it changes nothing."""
    data = json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode()
    await store.put(store.layout.state(component, configuration, row), data)
