"""Invalid input and unavailable parts: the right error with a clear message, and no changes."""

from __future__ import annotations

import asyncio
import errno
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UserError
from componentrun.loader.catalog import catalog as catalog_module
from componentrun.loader.catalog import fileio
from componentrun.loader.catalog.catalog import Catalog, CatalogAwayError, CommitUnknownError, ConflictError
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.loading import load as load_module
from componentrun.loader.loading import staged
from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import load
from componentrun.loader.metrics import Metrics
from componentrun.loader.service.tables import TableEngine
from componentrun.sql import query as tablequery
from componentrun.storage.store.keys import TableId
from componentrun.storage.store.settings import StoreTimeouts
from componentrun.wire.agents import Where
from componentrun.wire.loader import LoadAnswer
from tests.integration.loader.foreign import Foreign
from tests.integration.loader.gateway import Answer, CutError

if TYPE_CHECKING:
    from componentrun.wire.loader import LoadRequest
    from tests.integration.loader.gateway import Gateway, Seen
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits and fewer attempts than in production, but enough for a busy store."""
    monkeypatch.setattr(load_module, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(load_module, "_MOST_TRIES", 4)
    monkeypatch.setattr(fileio, "StoreTimeouts", partial(StoreTimeouts, response=10.0))


A, B = "out.c-main.a", "out.c-main.b"


def start(bench: Bench) -> LoadRequest:
    """Load one row into both tables, and return a request for an increment of both."""
    for rows, more in (([["before", "1"]], {"key": ["k"]}), ([["k", "2"]], {"incremental": True})):
        run = bench.new_run()
        tables = [bench.table(run, name, ["k", "v"], rows, **more) for name in (A, B)]  # type: ignore[arg-type]
        if "key" in more:
            bench.load(run, *tables)
    return bench.request(run, *tables)


def refused(bench: Bench, request: LoadRequest, kind: type[ComponentRunError], reason: Reason) -> str:
    """Message of a load that must fail without changing anything."""
    with pytest.raises(ComponentRunError) as caught:
        load(bench.catalog, request, str(bench.scratch))
    error = caught.value
    assert (type(error), error.reason) == (kind, reason), error.message
    assert list(bench.scratch.iterdir()) == []
    return error.message


def is_untouched(bench: Bench) -> bool:
    return bench.rows(A) == bench.rows(B) == [("before", "1")]


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, PlatformError, Reason.STORAGE_ACCESS_DENIED),
        (403, PlatformError, Reason.STORAGE_ACCESS_DENIED),
        (400, PlatformError, Reason.PUBLISH_FAILED),
        (429, TransientError, Reason.STORAGE_UNAVAILABLE),
        (409, ConflictError, Reason.PUBLISH_FAILED),
        (500, CommitUnknownError, Reason.STORAGE_UNAVAILABLE),
        (503, CommitUnknownError, Reason.STORAGE_UNAVAILABLE),
    ],
)
def test_a_catalog_that_takes_no_commit_changes_nothing(
    bench: Bench, far: Bench, catalog_gateway: Gateway, status: int, kind: type[ComponentRunError], reason: Reason
) -> None:
    request = start(bench)
    catalog_gateway.before = lambda seen: Answer(status) if seen.is_commit else None
    assert "`main`" in refused(far, request, kind, reason) or status == 409
    assert is_untouched(bench)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (Answer(401), PlatformError, Reason.STORAGE_ACCESS_DENIED),
        (Answer(500), TransientError, Reason.STORAGE_UNAVAILABLE),
        (Answer(503), TransientError, Reason.STORAGE_UNAVAILABLE),
        (Answer(200, b"<html>"), PlatformError, Reason.STORAGE_UNAVAILABLE),
        (Answer(200, b"{}"), PlatformError, Reason.STORAGE_UNAVAILABLE),
        (None, CatalogAwayError, Reason.STORAGE_UNAVAILABLE),
    ],
)
def test_a_catalog_that_answers_nothing_of_use_is_named(
    bench: Bench, far: Bench, catalog_gateway: Gateway, answer: Answer | None, kind: type[ComponentRunError],
    reason: Reason,
) -> None:  # fmt: skip
    def before(_: Seen) -> Answer:
        if answer is None:
            raise CutError
        return answer

    request = start(bench)
    _ = far.catalog
    catalog_gateway.before = before
    assert "the catalog of Storage `main`" in refused(far, request, kind, reason)
    assert is_untouched(bench)


@pytest.mark.long
def test_a_catalog_that_hangs_is_waited_for_only_so_long(
    bench: Bench, far: Bench, catalog_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Commits never get a response here. Other requests do, from a catalog that may be busy.
    monkeypatch.setattr(catalog_module, "_ANSWER_SECONDS", 5.0)
    monkeypatch.setattr(catalog_module, "_COMMIT_SECONDS", 0.5)
    far.catalog = Catalog(far.settings)
    request, ended = start(bench), threading.Event()
    catalog_gateway.before = lambda _: ended.wait() and None
    assert "does not answer" in refused(far, request, CatalogAwayError, Reason.STORAGE_UNAVAILABLE)
    catalog_gateway.before = lambda seen: seen.is_commit and ended.wait() and None
    assert "did not say" in refused(far, request, CommitUnknownError, Reason.STORAGE_UNAVAILABLE)
    ended.set()


def test_a_catalog_that_refuses_connections_is_named(far: Bench, catalog_gateway: Gateway) -> None:
    catalog_gateway.__exit__()
    with pytest.raises(TransientError, match=r"the catalog of Storage `main` .* does not answer"):
        Catalog(far.settings)


@pytest.mark.long
def test_a_store_that_goes_away_at_any_request_leaves_everything_as_it_was(
    bench: Bench, far: Bench, store_gateway: Gateway
) -> None:
    request = start(bench)
    for at in itertools.count(1):
        counted = itertools.count(1)
        store_gateway.before = lambda _, n=counted, at=at: Answer(503, b"") if next(n) >= at else None  # type: ignore[misc]
        with ThreadPoolExecutor(1) as pool:
            error = pool.submit(load, far.catalog, request, str(far.scratch)).exception()
        if error is None:
            break
        assert isinstance(error, TransientError), (at, error)
        assert error.reason is Reason.STORAGE_UNAVAILABLE
        assert not isinstance(error, CommitUnknownError)
        store_gateway.forget()
        assert is_untouched(bench), at
    assert at > 8
    assert bench.rows(A) == bench.rows(B) == [("before", "1"), ("k", "2")]


def test_staged_files_that_are_others_are_refused(bench: Bench) -> None:
    request = start(bench)
    run = request.run
    table = bench.table(run, A, ["k", "v"], [["x", "y"]], incremental=True)
    part = table.slices[0]
    object.__setattr__(part, "etag", "0" * 32)
    told = refused(bench, bench.request(run, table), PlatformError, Reason.PUBLISH_FAILED)
    assert part.key in told
    assert is_untouched(bench)


def test_a_full_disk_is_told_as_the_loaders(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    request = start(bench)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(staged, "make_ready", full)
    assert "the loader's disk is full" in refused(bench, request, TransientError, Reason.PUBLISH_FAILED)
    assert is_untouched(bench)


def test_a_load_beyond_its_share_of_the_disk_is_refused_and_those_beside_it_are_not(bench: Bench) -> None:
    start(bench)
    engine = TableEngine(str(bench.scratch), Metrics(), loads=2, plans=1, scratch_bytes=2 * 2**20)
    run, other = bench.new_run(), bench.new_run()
    large = bench.table(run, A, ["k", "v"], [[str(n), "x" * 1000] for n in range(1000)], incremental=True)
    small = bench.table(other, "out.c-main.small", ["k"], [["1"]])

    async def both() -> list[LoadAnswer | BaseException]:
        asked = (engine.load(bench.request(run, large)), engine.load(bench.request(other, small)))
        return await asyncio.gather(*asked, return_exceptions=True)

    refusal, answer = asyncio.run(both())
    assert isinstance(refusal, PlatformError)
    assert (refusal.reason, isinstance(refusal, TransientError)) == (Reason.PUBLISH_FAILED, False)
    assert "each load may use 1 MiB of the loader's disk" in refusal.message
    assert isinstance(answer, LoadAnswer)
    assert answer.failure is None
    assert is_untouched(bench)
    assert bench.rows("out.c-main.small") == [("1",)]


def test_too_little_memory_is_told_as_the_loaders(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    start(bench)
    run = bench.new_run()
    value = "x" * 2**20
    table = bench.table(run, A, ["k", "v"], [[str(n) + value, value] for n in range(24)], incremental=True)
    monkeypatch.setattr(tablequery, "memory_for_queries", lambda _: 4 * 2**20)
    told = refused(bench, bench.request(run, table), PlatformError, Reason.PUBLISH_FAILED)
    assert f"`{A}` can't be loaded: the loader has too little memory" in told
    assert is_untouched(bench)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["id", "ID"], "`id` and `ID`, which differ only in case"),
        (["id", "_timestamp"], "`_timestamp`. ComponentRun reserves this name"),
        (["id", "_TimeStamp"], "`_TimeStamp`. ComponentRun reserves this name"),
    ],
)
def test_names_that_engines_mix_up_are_refused_with_all_other_errors(
    bench: Bench, columns: list[str], told: str
) -> None:
    run = bench.new_run()
    tables = [bench.table(run, name, columns, [["1", "2"]]) for name in (A, B)]
    message = refused(bench, bench.request(run, *tables), UserError, Reason.OUTPUT_INVALID)
    assert told in message
    assert f"`{A}`" in message
    assert f"`{B}`" in message
    assert bench.rows(A) is None


def test_files_of_one_table_must_agree_on_its_key(bench: Bench) -> None:
    run = bench.new_run()
    tables = [
        bench.table(run, A, ["id", "v"], [["1", "2"]], key=["id"]),
        bench.table(run, A, ["id", "v"], [["1", "2"]], key=["v"], incremental=True),
    ]
    told = refused(bench, bench.request(run, *tables), UserError, Reason.OUTPUT_INVALID)
    assert "has the primary key `v`" in told
    assert "has `id`" in told


def test_files_of_one_table_may_give_it_another_key_together(bench: Bench) -> None:
    first, second = bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, A, ["id", "v"], [["1", "2"]], key=["id"]))
    bench.load(
        second,
        bench.table(second, A, ["id", "v"], [["1", "2"]], key=["id", "v"]),
        bench.table(second, A, ["id", "v"], [["1", "3"], ["1", "2"]], key=["id", "v"], incremental=True),
    )
    assert bench.rows(A) == [("1", "3"), ("1", "2")]


def test_a_table_may_have_2000_columns(bench: Bench) -> None:
    columns = [f"column_{number}" for number in range(2000)]
    for more in ({"key": ["column_1999"]}, {"incremental": True}):
        run = bench.new_run()
        bench.load(run, bench.table(run, A, columns, [columns], **more))  # type: ignore[arg-type]
    assert bench.rows(A) == [tuple(columns)]


def test_empty_values_of_a_key_are_a_value_like_others(bench: Bench) -> None:
    for rows, more in (
        ([["", "", "a"], ["", "1", "b"], ["", "", "c"]], {"key": ["x", "y"]}),
        ([["", "", "d"], ["1", "", "e"]], {"incremental": True}),
    ):
        run = bench.new_run()
        bench.load(run, bench.table(run, A, ["x", "y", "v"], rows, **more))  # type: ignore[arg-type]
    assert bench.rows(A) == [("", "1", "b"), ("", "", "d"), ("1", "", "e")]


def made_by_engine(bench: Bench, columns: str, values: str, options: str = "") -> Foreign:
    foreign = Foreign(bench.space)
    foreign.execute(f"CREATE SCHEMA lake.{foreign.name(A).split('.')[1]}")
    foreign.execute(f"CREATE TABLE {foreign.name(A)} ({columns}) {options}")
    foreign.execute(f"INSERT INTO {foreign.name(A)} VALUES {values}")  # noqa: S608 - made here
    return foreign


def test_a_table_of_another_engine_gets_rows_by_increments_and_full_loads(bench: Bench) -> None:
    foreign = made_by_engine(bench, "id INTEGER, v VARCHAR, x DOUBLE", "(1, 'a', 0.5), (2, NULL, NULL)")
    run = bench.new_run()
    gone = Where("id", "eq", ("01",))
    bench.load(run, bench.table(run, A, ["id", "v", "x"], [["3", "c", ""]], incremental=True, delete=gone))
    assert sorted(Foreign(bench.space).rows(A)) == [(2, None, None), (3, "c", None)]
    run = bench.new_run()
    bench.load(run, bench.table(run, A, ["id", "v", "x"], [["4", "d", "y"]]))
    assert Foreign(bench.space).rows(A) == [("4", "d", "y")]
    del foreign


def test_a_column_of_another_engine_that_is_called_timestamp_is_refused(bench: Bench) -> None:
    made_by_engine(bench, "id VARCHAR, _timestamp VARCHAR", "('1', 'x')")
    run = bench.new_run()
    request = bench.request(run, bench.table(run, A, ["id"], [["2"]], incremental=True))
    assert "has a column `_timestamp` of the type string" in refused(bench, request, UserError, Reason.OUTPUT_INVALID)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"action": "upgrade-format-version", "format-version": 3}, "format version 3"),
        ("partitioned", "is partitioned"),
    ],
)
def test_a_table_that_can_not_be_written_is_refused_and_its_run_can_be_given_up(
    bench: Bench, change: Any, told: str
) -> None:
    _alter(bench, change)
    run = bench.new_run()
    wanted = bench.request(run, bench.table(run, A, ["id"], [["2"]], incremental=True))
    assert told in refused(bench, wanted, PlatformError, Reason.PUBLISH_FAILED)
    assert fence(bench.catalog, bench.fence_request(run, A)) is False


def _alter(bench: Bench, change: Any) -> None:
    run = bench.new_run()
    bench.load(run, bench.table(run, A, ["id"], [["1"]]))
    client = Catalog(bench.settings)
    name = to_iceberg(client.prefix, TableId.parse(A))
    table = client.find(name)
    assert table is not None
    if change == "partitioned":
        spec = {"spec-id": 1, "fields": [{"source-id": 1, "field-id": 1000, "name": "p", "transform": "identity"}]}
        updates = [
            {"action": "add-spec", "spec": spec},
            {"action": "set-default-spec", "spec-id": -1},
        ]
    else:
        updates = [change]
    body = {"requirements": [], "updates": updates, "identifier": {"namespace": [name.namespace], "name": name.name}}
    response = client._send(f"namespaces/{name.namespace}/tables/{name.name}", body)
    assert response.ok, response.text


def test_an_increment_needs_memory_for_its_own_keys_and_not_for_the_tables(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.new_run()
    bench.load(run, bench.table(run, A, ["id", "v"], [[str(n), ""] for n in range(600_000)], key=["id"]))
    run = bench.new_run()
    table = bench.table(run, A, ["id", "v"], [["7", "x"], ["600000", "y"]], incremental=True)
    monkeypatch.setattr(tablequery, "memory_for_queries", lambda _: 48 * 2**20)
    bench.load(run, table)
    assert Foreign(bench.space).rows(A, "count(*), sum(id::BIGINT), max(v)") == [
        (600_001, sum(range(600_001)), "y")
    ]  # fmt: skip
