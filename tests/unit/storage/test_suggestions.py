"""What is suggested where a table does not exist, and that nobody waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import UserError
from componentrun.storage import tables
from componentrun.storage.layout import TableId
from componentrun.storage.tables import need_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.connection import Store

WANTED = TableId.parse("in.c-main.ordesr")


async def with_tables(store: Store) -> None:
    for name in ("orders", "customers"):
        await store.put(store.layout.pointer(TableId.parse(f"in.c-main.{name}")), b"{}")


async def test_similar_ids_are_looked_for_outside_of_the_event_loop(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_tables(store)
    threads, similar = [], tables.similar_names

    def noted(name: str, known: Sequence[str], count: int) -> list[str]:
        threads.append(threading.get_ident())
        return similar(name, known, count)

    monkeypatch.setattr(tables, "similar_names", noted)
    with pytest.raises(UserError, match=r"Did you mean `in\.c-main\.orders`"):
        await need_table(store, WANTED)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_suggestion_that_others_hold_up_is_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_tables(store)
    monkeypatch.setattr(tables, "_SUGGESTION_SECONDS", 0.01)
    over = threading.Event()
    others = tables._SUGGESTIONS.submit(over.wait)
    try:
        with pytest.raises(UserError, match=r"there is no table .*`componentrun table ls`"):
            await need_table(store, WANTED)
    finally:
        over.set()
        others.result()
