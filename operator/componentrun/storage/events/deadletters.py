"""Events that a receiver does not accept, and why: a document for each receiver and run.

The events themselves are among those of their run. A document goes when the run's events are swept.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.storage.store.connection import Store

__all__ = ["MOST_LETTERS", "add_dead_letters", "read_dead_letters"]

MOST_LETTERS: Final = 1_000
"""That are listed for one receiver and run; further ones are counted."""


async def add_dead_letters(store: Store, receiver: str, run: str, letters: Sequence[Mapping[str, Any]]) -> None:
    """Write down that a receiver does not accept these events of a run, which have an `id` each."""
    known = await read_dead_letters(store, receiver, run)
    listed = {letter["id"]: letter for letter in [*known["letters"], *letters]}
    kept = list(listed.values())[:MOST_LETTERS]
    document = {"run": run, "letters": kept, "more": known["more"] + len(listed) - len(kept)}
    await store.put(store.layout.event_index.dead_letters(receiver) + run, json.dumps(document).encode())


async def read_dead_letters(store: Store, receiver: str, run: str) -> dict[str, Any]:
    """`letters`: the events that a receiver does not accept; `more`: how many are not listed."""
    found = await store.find(store.layout.event_index.dead_letters(receiver) + run)
    if found is not None:
        try:
            document = json.loads(found.data)
            return {"letters": [dict(letter) for letter in document["letters"]], "more": int(document["more"])}
        except (ValueError, KeyError, TypeError):
            pass  # somebody wrote something else there: what is known from now on is worth more
    return {"letters": [], "more": 0}
