"""Dead letters: events that a receiver does not accept, and why. One document for each receiver and run.

The events themselves are stored with their run. A document is deleted when the run's events are swept.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.storage.store.connection import Store

__all__ = ["MOST_LETTERS", "add_dead_letters", "read_dead_letters"]

MOST_LETTERS: Final = 1_000
"""Maximum number of listed events for one receiver and run; further ones are counted."""


async def add_dead_letters(store: Store, receiver: str, run: str, letters: Sequence[Mapping[str, Any]]) -> None:
    """Record that a receiver does not accept these events of a run, each with an `id`."""
    known = await read_dead_letters(store, receiver, run)
    listed = {letter["id"]: letter for letter in [*known["letters"], *letters]}
    kept = list(listed.values())[:MOST_LETTERS]
    document = {"run": run, "letters": kept, "more": known["more"] + len(listed) - len(kept)}
    await store.put(store.layout.event_index.dead_letters(receiver) + run, json.dumps(document).encode())


async def read_dead_letters(store: Store, receiver: str, run: str) -> dict[str, Any]:
    """Return the document: `letters` are the refused events, `more` is the number of events that are not listed."""
    found = await store.find(store.layout.event_index.dead_letters(receiver) + run)
    if found is not None:
        try:
            document = json.loads(found.data)
            return {"letters": [dict(letter) for letter in document["letters"]], "more": int(document["more"])}
        except (ValueError, KeyError, TypeError):
            pass  # the document is malformed: replace it, because new dead letters matter more
    return {"letters": [], "more": 0}
