"""Concurrent loads, fences and readers, and lost responses: a run is published once or not at all, never partially."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import ComponentRunError, TransientError
from componentrun.loader.catalog.catalog import Catalog, CommitUnknownError
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.catalog.snapshots import NewSnapshot, change_of
from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import GivenUpError, load
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.storage.store.keys import TableId
from tests.integration.loader.gateway import Answer, CutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.wire.loader import LoadRequest
    from tests.integration.loader.gateway import Gateway, Seen
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

A, B = "out.c-main.a", "out.c-main.b"


def full(bench: Bench, run: str, mark: str, **more: object) -> LoadRequest:
    """A full load of both tables with one row each."""
    tables = [bench.table(run, name, ["mark"], [[mark]], attempt=int(str(more.get("attempt", 1)))) for name in (A, B)]
    return bench.request(run, *tables, attempt=int(str(more.get("attempt", 1))))


def publish(bench: Bench, request: LoadRequest) -> int:
    """Execute one load with a separate loader."""
    return load(Catalog(bench.settings), request, str(bench.scratch))[0]


def publish_like_the_operator(bench: Bench, request: LoadRequest) -> int:
    """Execute one load, and again after a response that leads to a later try.

    SeaweedFS makes a namespace in two steps, so a loader that creates a table in a namespace that its twin is making
    may get the response 500.
    """
    try:
        return publish(bench, request)
    except TransientError:
        return publish(bench, request)


def make_namespace(bench: Bench) -> None:
    """Make the namespace of the tables, so that no two clients do it at the same time.

    SeaweedFS makes a namespace in two steps. A client that needs it in between gets the response 500.
    """
    run = bench.new_run()
    publish(bench, bench.request(run, bench.table(run, "out.c-main.first", ["mark"], [])))


class Held:
    """Delays the first commit, or the first request selected by `wanted`, until `go` is set."""

    def __init__(self, wanted: Callable[[Seen], bool] = lambda seen: seen.is_commit) -> None:
        self.arrived, self.go = threading.Event(), threading.Event()
        self._wanted = wanted

    def __call__(self, seen: Seen) -> None:
        if self._wanted(seen) and not self.arrived.is_set():
            self.arrived.set()
            assert self.go.wait(60)


def test_of_two_full_loads_at_the_same_time_both_tables_are_of_one(bench: Bench) -> None:
    for number in range(4):
        requests = [full(bench, bench.new_run(), f"{number}-{name}") for name in ("x", "y")]
        with ThreadPoolExecutor(2) as pool:
            for task in [pool.submit(publish_like_the_operator, bench, request) for request in requests]:
                assert task.result() == 1
        assert bench.rows(A) == bench.rows(B)


@pytest.mark.parametrize("tables_are_new", [True, False])
def test_two_loaders_with_the_same_run_publish_it_once(bench: Bench, *, tables_are_new: bool) -> None:
    if not tables_are_new:
        publish(bench, full(bench, bench.new_run(), "before"))
    run = bench.new_run()
    tables = [bench.table(run, name, ["mark"], [["m"]], incremental=True) for name in (A, B)]
    with ThreadPoolExecutor(4) as pool:
        request = bench.request(run, *tables)
        tasks = [pool.submit(publish_like_the_operator, bench, request) for _ in range(4)]
        assert [task.result() for task in tasks] == [1, 1, 1, 1]
    before = [] if tables_are_new else [("before",)]
    assert bench.rows(A) == bench.rows(B) == [*before, ("m",)]


def test_a_loader_that_finds_new_tables_made_by_its_twin_adds_nothing(
    bench: Bench, far: Bench, catalog_gateway: Gateway
) -> None:
    run = bench.new_run()
    request = bench.request(run, bench.table(run, A, ["mark"], [["m"]], incremental=True))
    held = Held(lambda seen: seen.method == "POST" and seen.path.endswith("/tables"))
    catalog_gateway.before = held
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(publish, far, request)
        assert held.arrived.wait(60)
        publish(bench, request)
        held.go.set()
        assert late.result() == 1
    assert bench.rows(A) == [("m",)]


@pytest.mark.parametrize("status", [500, 502, 504, None])
@pytest.mark.parametrize("names", [(A,), (A, B)])
def test_a_run_whose_commit_was_applied_and_not_answered_is_published_once(
    bench: Bench, far: Bench, catalog_gateway: Gateway, status: int | None, names: tuple[str, ...]
) -> None:
    lost: list[Answer] = []

    def lose_once(seen: Seen, answer: Answer) -> Answer:
        if not seen.is_commit or lost:
            return answer
        lost.append(answer)
        if status is None:
            raise CutError
        return Answer(status)

    run = bench.new_run()
    publish(bench, full(bench, bench.new_run(), "before"))
    catalog_gateway.after = lose_once
    tables = [bench.table(run, name, ["mark"], [["m"]], incremental=True) for name in names]
    assert publish(far, bench.request(run, *tables)) == 1
    assert lost[0].status < 300
    for name in names:
        assert bench.rows(name) == [("before",), ("m",)]


def test_whether_a_commit_landed_is_not_known_while_the_catalog_is_away_behind_it(
    bench: Bench, far: Bench, catalog_gateway: Gateway
) -> None:
    def lose_the_commit_and_all_behind_it(seen: Seen, answer: Answer) -> Answer:
        if seen.is_commit:
            catalog_gateway.before = lambda _: Answer(503)
            raise CutError
        return answer

    request = full(bench, bench.new_run(), "m")
    catalog_gateway.after = lose_the_commit_and_all_behind_it
    with pytest.raises(CommitUnknownError, match="did not say whether"):
        publish(far, request)
    catalog_gateway.forget()
    assert publish(far, request) == 1
    assert bench.rows(A) == bench.rows(B) == [("m",)]


def test_a_load_that_is_repeated_after_many_others_is_not_applied_again(bench: Bench) -> None:
    run = bench.new_run()
    request = bench.request(run, bench.table(run, A, ["mark"], [["first"]]))
    publish(bench, request)
    name = to_iceberg(bench.catalog.prefix, TableId.parse(A))
    later = bench.new_run()
    bench.load(later, bench.table(later, A, ["mark"], [["later"]]))
    for _ in range(148):
        table = bench.catalog.find(name)
        assert table is not None
        bench.catalog.commit([change_of(table, name, NewSnapshot({"componentrun.run": bench.new_run()}))[0]])
    assert publish(bench, request) == 1
    assert bench.rows(A) == [("later",)]


def test_a_full_load_that_says_no_primary_key_keeps_the_tables(bench: Bench) -> None:
    for rows, more in (
        ([["1", "a"]], {"key": ["id"]}),
        ([["1", "b"]], {}),
        ([["1", "c"]], {"incremental": True}),
    ):
        run = bench.new_run()
        bench.load(run, bench.table(run, A, ["id", "v"], rows, **more))
    assert bench.rows(A) == [("1", "c")]


@pytest.mark.parametrize("tables_are_new", [True, False])
def test_the_late_commit_of_a_run_that_was_given_up_is_refused(
    bench: Bench, far: Bench, catalog_gateway: Gateway, *, tables_are_new: bool
) -> None:
    if not tables_are_new:
        publish(bench, full(bench, bench.new_run(), "before"))
    run = bench.new_run()
    held = Held()
    answers: list[int] = []

    def note(seen: Seen, answer: Answer) -> Answer:
        if seen.is_commit:
            answers.append(answer.status)
        return answer

    catalog_gateway.before, catalog_gateway.after = held, note
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(publish, far, full(bench, run, "m"))
        assert held.arrived.wait(60)
        assert fence(bench.catalog, bench.fence_request(run, A, B)) is False
        held.go.set()
        with pytest.raises(GivenUpError):
            late.result()
    assert answers == [409]
    assert bench.rows(A) == bench.rows(B) == (None if tables_are_new else [("before",)])


def test_a_run_that_is_given_up_before_its_loader_makes_the_tables_is_never_published(
    bench: Bench, far: Bench, catalog_gateway: Gateway
) -> None:
    run = bench.new_run()
    held = Held(lambda seen: seen.method == "POST" and seen.path.endswith("/tables"))
    catalog_gateway.before = held
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(publish, far, full(bench, run, "m"))
        assert held.arrived.wait(60)
        assert fence(bench.catalog, bench.fence_request(run, A, B)) is False
        held.go.set()
        with pytest.raises(GivenUpError):
            late.result()
    assert bench.rows(A) is None
    assert bench.rows(B) is None


def test_the_second_attempt_is_published_after_the_first_was_given_up(bench: Bench) -> None:
    run = bench.new_run()
    assert fence(bench.catalog, bench.fence_request(run, A, B)) is False
    with pytest.raises(GivenUpError):
        publish(bench, full(bench, run, "one"))
    assert publish(bench, full(bench, run, "two", attempt=2)) == 2
    assert bench.rows(A) == bench.rows(B) == [("two",)]
    with pytest.raises(GivenUpError, match="attempt 2 of it already is"):
        publish(bench, full(bench, run, "one"))


def test_fences_and_loads_of_one_run_at_the_same_moment_agree(bench: Bench) -> None:
    make_namespace(bench)
    for number in range(8):
        run = bench.new_run()
        request = full(bench, run, str(number))
        before = bench.rows(A)
        with ThreadPoolExecutor(2) as pool:
            loading = pool.submit(publish, bench, request)
            is_published = pool.submit(fence, Catalog(bench.settings), bench.fence_request(run, A, B)).result()
            error = loading.exception()
        assert (error is None) is is_published
        assert isinstance(error, GivenUpError | None)
        assert bench.rows(A) == bench.rows(B) == ([(str(number),)] if is_published else before)


def test_a_load_whose_table_is_rewritten_meanwhile_comes_on_top(
    bench: Bench, far: Bench, catalog_gateway: Gateway
) -> None:
    publish(bench, full(bench, bench.new_run(), "before"))
    run, held = bench.new_run(), Held()
    catalog_gateway.before = held
    request = bench.request(run, bench.table(run, A, ["mark"], [["m"]], incremental=True))
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(publish, far, request)
        assert held.arrived.wait(60)
        _rewrite(bench, A)
        held.go.set()
        assert late.result() == 1
    assert bench.rows(A) == [("before",), ("m",)]


def test_a_table_that_is_dropped_before_the_commit_is_made_again(
    bench: Bench, far: Bench, catalog_gateway: Gateway
) -> None:
    publish(bench, full(bench, bench.new_run(), "before"))
    for names in ((A,), (A, B)):
        run, held = bench.new_run(), Held()
        catalog_gateway.before = held
        tables = [bench.table(run, name, ["mark"], [["m"]], incremental=True) for name in names]
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(publish, far, bench.request(run, *tables))
            assert held.arrived.wait(60)
            bench.catalog.drop(to_iceberg(bench.catalog.prefix, TableId.parse(A)))
            held.go.set()
            assert late.result() == 1
        assert bench.rows(A) == [("m",)]


def test_a_reader_never_sees_one_table_of_a_run_without_the_other(bench: Bench) -> None:
    seen, ended = set(), threading.Event()

    def read() -> None:
        catalog = Catalog(bench.settings)
        while not ended.is_set():
            scans, missing = consistent_cut(catalog, [A, B])
            seen.add((tuple(scan.rows for scan in scans), len(missing)))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for count in range(1, 12):
            run = bench.new_run()
            bench.load(run, *[bench.table(run, name, ["mark"], [["m"]] * count) for name in (A, B)])
        ended.set()
        reading.result()
    assert all(
        missing == 2 or (missing == 0 and len(set(rows)) == 1) for rows, missing in seen
    ), seen  # fmt: skip


def _rewrite(bench: Bench, table: str) -> None:
    """Commit a snapshot that replaces the files with the same rows, as engines do."""
    name = to_iceberg(bench.catalog.prefix, TableId.parse(table))
    found = bench.catalog.find(name)
    assert found is not None
    current = found.metadata.current_snapshot()
    assert current is not None
    files = [
        entry.data_file for manifest in current.manifests(found.io) for entry in manifest.fetch_manifest_entry(found.io)
    ]
    change, _ = change_of(found, name, NewSnapshot({}, added=files, replaces=True))
    bench.catalog.commit([change])


def test_errors_before_a_commit_are_not_unknown(far: Bench, bench: Bench, catalog_gateway: Gateway) -> None:
    request = full(bench, bench.new_run(), "m")
    catalog_gateway.before = lambda seen: Answer(403) if seen.is_commit else None
    with pytest.raises(ComponentRunError) as caught:
        publish(far, request)
    assert not isinstance(caught.value, CommitUnknownError)
    assert bench.rows(A) is None
