"""Checks of catalogs as requests: answered whole, without keys, in time, and in nobody's way."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.loader.catalog import checking
from componentrun.loader.metrics import Metrics
from componentrun.loader.service import tables
from componentrun.loader.service.slots import CHECKS
from componentrun.loader.service.tables import TableEngine
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.places import encode
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.loader import (
    CatalogCheck,
    CatalogReason,
    CheckAnswer,
    CheckRequest,
    Failure,
    PlanAnswer,
    PlanRequest,
)
from tests.unit.loader.serving import SECRET, STORAGE, a_check, a_plan, serving, until
from tests.unit.loader.test_transport import server, trickle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAKE = encode(StoreSettings(bucket="bucket", catalog=CatalogSettings("https://catalog.test", "lake")))
FIT = CatalogCheck("connect", ok=True, detail="it answers")


async def test_what_was_found_arrives_as_it_is(tmp_path: Path) -> None:
    found = CatalogCheck("refuse", ok=False, detail="no", hint="do", reason=CatalogReason.STALE_COMMITS, serious=False)
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.check_answer = CheckAnswer((FIT, found))
        assert (await client.check(a_check(), STORAGE)).checks == (FIT, found)
        assert served.number("componentrun_loader_requests_total", operation="check", outcome="ok") == 1
    assert served.engine.requests == [a_check()]


async def test_what_is_wrong_with_a_catalog_is_in_the_log_and_no_key_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.check_answer = CheckAnswer((CatalogCheck("connect", False, f"it says {SECRET}", "h", "r"),))
        (found,) = (await client.check(a_check(), STORAGE)).checks
    assert found.detail == "it says ***"
    assert "check of a catalog, connect (r): it says ***" in caplog.messages


async def test_a_check_that_fails_changes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.check_answer = CheckAnswer(failure=Failure(Reason.INTERNAL, "no catalog"))
        with pytest.raises(PlatformError, match="no catalog"):
            await client.check(a_check(), STORAGE)
        served.engine.error = TransientError("away")
        with pytest.raises(TransientError) as caught:
            await client.check(a_check(), STORAGE)
    assert not caught.value.unknown


async def test_checks_that_hang_hold_no_plan_up(tmp_path: Path) -> None:
    async with serving(tmp_path, plans=2) as served, served.client() as client:
        served.engine.held("check")
        hung = [asyncio.create_task(client.check(a_check(), f"team-{number}/lake")) for number in range(2 * CHECKS)]
        await until(lambda: len(served.engine.begun) == CHECKS)
        assert await client.plan(a_plan(), STORAGE) == PlanAnswer()
        for task in hung:
            task.cancel()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Catalogs that give no answer until it is set."""
    released = threading.Event()

    def hang(_: StoreSettings) -> tuple[CatalogCheck, ...]:
        released.wait(60)
        return (FIT,)

    monkeypatch.setattr(tables, "check_catalog", hang)
    yield released
    released.set()


async def test_catalogs_that_hang_take_no_thread_from_runs(
    monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    monkeypatch.setattr(tables._Catalogs, "open", lambda *_: None)
    monkeypatch.setattr(tables, "consistent_cut", lambda *_: ([], ["out.c-main.a"]))
    engine = TableEngine("/tmp", Metrics(), loads=1, plans=1)
    checks = [asyncio.create_task(engine.check(CheckRequest(LAKE))) for _ in range(64)]
    async with asyncio.timeout(10):
        assert await engine.plan(PlanRequest(LAKE, ("out.c-main.a",))) == PlanAnswer((), ("out.c-main.a",))
    hanging.set()
    assert await asyncio.gather(*checks) == [CheckAnswer((FIT,))] * 64


async def test_a_slow_catalog_is_asked_by_one_thread_however_often_it_is_checked(hanging: threading.Event) -> None:
    engine = TableEngine("/tmp", Metrics(), loads=1, plans=1)
    checks = [asyncio.create_task(engine.check(CheckRequest(LAKE))) for _ in range(64)]
    await asyncio.sleep(0)
    assert len(engine._checking) == 1
    assert engine._checkers._work_queue.qsize() == 0
    hanging.set()
    await asyncio.gather(*checks)
    await asyncio.sleep(0)
    assert engine._checking == {}


@pytest.mark.usefixtures("hanging")
async def test_a_catalog_that_is_too_slow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_CHECK_SECONDS", 0.01)
    (found,) = (await TableEngine("/tmp", Metrics(), loads=1, plans=1).check(CheckRequest(LAKE))).checks
    assert (found.ok, found.reason) == (False, CatalogReason.UNAVAILABLE)
    assert "answers too slowly" in found.detail


async def test_slow_catalogs_of_others_have_no_catalog_called_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_CHECK_SECONDS", 8.0)
    monkeypatch.setattr(checking, "_ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(checking, "_TRIES_SECONDS", 1.5)
    engine = TableEngine("/tmp", Metrics(), loads=1, plans=1)

    def check(uri: str, warehouse: str) -> asyncio.Task[CheckAnswer]:
        settings = StoreSettings(bucket="bucket", catalog=CatalogSettings(uri, warehouse, token="token"))
        return asyncio.create_task(engine.check(CheckRequest(encode(settings))))

    with server(trickle(b"HTTP/1.1 200 OK\r\n\r\n")) as url:
        slow = [check(url.removesuffix("/v1/config"), f"lake-{number}") for number in range(CHECKS)]
        await asyncio.sleep(0)
        (found,) = (await check("http://127.0.0.1:1", "lake")).checks
        assert "does not answer (ConnectionError)" in found.detail
        for answer in await asyncio.gather(*slow):
            assert [(check.ok, check.reason) for check in answer.checks] == [(False, CatalogReason.UNAVAILABLE)]
