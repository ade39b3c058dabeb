"""A command leaves nothing to the garbage collector: the event loop of its store ends with it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from componentrun.cli.app import app
from componentrun.cli.commands import events as event_commands
from componentrun.client.storage.objects import ObjectStore
from tests.unit.storage.pastruns import Run, in_memory, write

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store
    from tests.unit.cli.world import World

UID = "3f2a1c9e-0000-4000-8000-00000000abcd"
LINES = (((0.0, "info", "first"), (1.0, "info", "second")), ((2.0, "info", "third"),))


@pytest.fixture
def store() -> Store:
    """A store with the events of a run."""
    made = in_memory()
    asyncio.run(write(made, Run(UID, "cleaner", "12", ended=False, segments=LINES)))
    return made


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Exceptions that the garbage collector met."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


def run(world: World, store: Store, *arguments: str) -> int:
    """Type a command that works with this store."""
    makers = replace(world.makers(), store=lambda *_: ObjectStore(store))
    return CliRunner().invoke(app, list(arguments), obj=makers).exit_code


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["events", UID], 0),
        (["state", "get", "cleaner", "12"], 0),
        (["file", "ls"], 0),
        (["file", "rm", "missing", "--yes"], 1),
    ],
)
def test_a_command_that_ends_leaves_no_event_loop(
    world: World, store: Store, unraisable: list[Any], arguments: list[str], code: int
) -> None:
    assert run(world, store, *arguments) == code
    gc.collect()
    assert unraisable == []


def test_a_command_that_is_stopped_while_it_prints_leaves_no_request(
    world: World, store: Store, unraisable: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(event_commands, "_printer", lambda *_, **__: stop)
    assert run(world, store, "events", UID) == 130
    gc.collect()
    assert unraisable == []


def test_nobody_waits_for_a_thread_of_a_command_that_failed() -> None:
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def check_rows() -> None:
        begun.set()
        goes_on.wait(30)
        ended.set()

    async def fail() -> None:
        checking = asyncio.create_task(asyncio.to_thread(check_rows))
        await asyncio.to_thread(begun.wait)
        assert not checking.done()
        raise ValueError("the upload failed")

    with pytest.raises(ValueError, match="the upload failed"), closing(ObjectStore(in_memory())) as store:
        store._runner.run(fail())
    assert not ended.is_set()
    goes_on.set()
    assert ended.wait(30)
