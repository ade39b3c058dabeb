"""The keys of a Storage are in requests, and in nothing that the loader says: no log line, answer or metric."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UnknownOutcomeError, UserError
from componentrun.wire.documents import to_json
from componentrun.wire.loader import LOAD_PATH, Failure, LoadAnswer
from tests.unit.loader.serving import PLACE, SECRET, STORAGE, a_load, a_plan, serving
from tests.unit.loader.test_server import post

if TYPE_CHECKING:
    from pathlib import Path

KEYS = (SECRET, str(PLACE["access_key"]), str(PLACE["catalog"]["token"]))


def everything(caplog: pytest.LogCaptureFixture) -> str:
    """All lines, with whatever a formatter could make of them."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)} {record.args} {record.__dict__}" for record in caplog.records)


@pytest.mark.parametrize("reveal", KEYS, ids=["secret key", "access key", "catalog token"])
@pytest.mark.parametrize("kind", [ValueError, KeyError, PlatformError, TransientError, UserError])
async def test_an_engine_that_says_a_key_is_not_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: type[Exception], reveal: str
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.error = kind(f"GET https://{reveal}@store.example.com failed")
        with pytest.raises(ComponentRunError) as caught:
            await client.load(a_load(), STORAGE)
        assert served.metrics.render().count(b"componentrun_loader") > 10
        told = f"{caught.value} {caught.value.message} {everything(caplog)} {served.metrics.render().decode()}"
    assert "run-1" in everything(caplog), "the failure is in the log"
    assert not [key for key in KEYS if key in told]


async def test_an_answer_that_says_a_key_is_not_passed_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.load_answer = LoadAnswer(failure=Failure(Reason.PUBLISH_FAILED, f"refused {KEYS}"))
        with pytest.raises(PlatformError, match="refused") as caught:
            await client.load(a_load(), STORAGE)
    assert not [key for key in KEYS if key in caught.value.message + everything(caplog)]


@pytest.mark.parametrize("cut", [1, 20, 200])
async def test_a_body_that_is_no_request_is_not_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path) as served:
        whole = to_json(a_load())
        for body in (whole[:-cut], whole.replace('"attempt":1', f'"attempt":"{SECRET}"'), f'"{SECRET}"'):
            status, text = await post(served, LOAD_PATH, body.encode())
            assert status == 400
            assert not [key for key in KEYS if key in text + everything(caplog)]


async def test_what_goes_well_is_told_without_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path) as served, served.client() as client:
        await client.load(a_load(), STORAGE)
        await client.plan(a_plan(), STORAGE)
    assert "load of run run-1, attempt 1 done" in everything(caplog)
    assert not [key for key in KEYS if key in everything(caplog)]


async def test_a_defect_names_its_place_and_leaves_the_outcome_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.error = ZeroDivisionError("no")
        with pytest.raises(UnknownOutcomeError, match="unexpected ZeroDivisionError") as caught:
            await client.load(a_load(), STORAGE)
        assert caught.value.reason is Reason.INTERNAL
        with pytest.raises(PlatformError, match="unexpected ZeroDivisionError") as reading:
            await client.plan(a_plan(), STORAGE)
        assert not reading.value.unknown, "a plan changes nothing"
    assert "serving.py:" in everything(caplog)


async def test_metrics_tell_how_much_was_loaded_and_how_it_went(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, served.client() as client:
        await client.load(a_load(), STORAGE)
        served.engine.error = UserError("no")
        with pytest.raises(UserError):
            await client.load(a_load(), STORAGE)
        served.metrics.conflict_retried()
        assert served.number("componentrun_loader_rows_total") == 3
        assert served.number("componentrun_loader_bytes_total") == 30
        assert served.number("componentrun_loader_conflicts_total") == 1
        assert served.number("componentrun_loader_requests_total", operation="load", outcome="ok") == 1
        assert served.number("componentrun_loader_requests_total", operation="load", outcome="user") == 1
        assert served.number("componentrun_loader_request_duration_seconds_count", operation="load") == 2
        assert served.number("componentrun_loader_queue_duration_seconds_count", operation="load") == 2


async def test_metrics_of_every_process_are_among_those_of_the_loader(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        served.metrics.request_done("POST", "201", "kubernetes")
        labels = {"method": "POST", "code": "201", "host": "kubernetes"}
        assert served.number("rest_client_requests_total", **labels) == 1
