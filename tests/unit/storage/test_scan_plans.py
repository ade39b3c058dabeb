"""Tables of a catalog in the plan of stage-in: what the loader says of them, signed, with what is asked for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from obstore.store import MemoryStore

from componentrun.csv.columnfacts import ColumnFacts
from componentrun.errors import ComponentRunError, Reason, TransientError
from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.plans import prepare_attempt
from componentrun.storage.access.reading import Wish
from componentrun.storage.state.adaptive import Seen, read_seen, seen_of
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.agents import StageInPlan, Where, from_json
from componentrun.wire.loader import DeleteFile, PlanAnswer, ScanColumn, ScanFile, TableScan

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = timedelta(hours=1)
FOO, BAR = "in.c-main.foo", "in.c-main.bar"
SETTINGS = StoreSettings(
    bucket="bucket", endpoint="http://store.test:9000", prefix="p", access_key="AKIA", secret_key="hush", name="main"
)
SCAN = TableScan(
    table=FOO,
    snapshot="1",
    columns=(
        ScanColumn("id", 1, "string"),
        ScanColumn("n", 2, "decimal(38, 9)"),
        ScanColumn("tags", 3, "list<string>"),
    ),
    timestamp_id=9,
    files=(
        ScanFile("s3://lake/t/data 1.parquet", 100, 5, (0,)),
        ScanFile("s3://lake/t/2.parquet", 200, 7),
    ),
    deletes=(DeleteFile("s3://lake/t/d.parquet", 10),),
    created="2026-02-03T04:05:06+00:00",
    last_change="2026-02-04T05:06:07.123456+01:00",
    timestamp=5_000_000,
    uuid="table-1",
    primary_key=("id",),
    described=(ColumnFacts("id", description="its key"),),
    metadata={"KBC.description": "a table"},
    location="s3://lake/t",
)
PLAIN = dataclasses.replace(
    SCAN,
    columns=SCAN.columns[:2],
    files=tuple(dataclasses.replace(file, deletes=()) for file in SCAN.files),
    deletes=(),
    rows=12,
)


@dataclass
class Loader:
    """Answers what it is told to; a later question may be answered otherwise."""

    answers: list[PlanAnswer] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    async def scan(self, tables: Sequence[str]) -> PlanAnswer:
        self.asked.append(tuple(tables))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def store() -> Store:
    return Store(SETTINGS, MemoryStore())


async def planned(store: Store, loader: Loader, *inputs: InputSource, **more: Any) -> tuple[Any, Any]:
    """The tables of the plan and then its objects, and the status of the inputs."""
    values: dict[str, Any] = {"run": "u1", "title": "ns/run", "attempt": 2, "expires_in": HOUR, "expires_out": HOUR}
    request = AttemptRequest(**(values | {"inputs": inputs} | more))
    done = await prepare_attempt(store, Signer(SETTINGS), request, loader.scan)
    plan = from_json(StageInPlan, (await store.get("p/runs/u1/2/stage-in.json")).data)
    return (*plan.tables, *plan.objects), done.inputs


def wished(scan: TableScan = PLAIN, **wish: Any) -> tuple[Loader, InputSource]:
    return Loader([PlanAnswer((scan,))]), InputSource(table=FOO, wish=Wish(**wish))


async def test_every_file_is_signed_for_in_whatever_bucket_it_is(store: Store) -> None:
    loader, source = wished(SCAN, columns=("n", "id"))
    ((read,), (status,)) = await planned(store, loader, source)
    assert loader.asked == [(FOO,)], "the catalog is asked once"
    assert (read.columns, read.path, read.where, read.limit) == (("n", "id"), "in/tables/foo.csv", None, None)
    table = read.parquet
    assert [(file.path, file.size, file.rows, file.deletes) for file in (*table.files, *table.deletes)] == [
        ("s3://lake/t/data 1.parquet", 100, 5, (0,)),
        ("s3://lake/t/2.parquet", 200, 7, ()),
        ("s3://lake/t/d.parquet", 10, 0, ()),
    ]
    url = urlsplit(table.files[0].url)
    assert (url.netloc, url.path) == ("store.test:9000", "/lake/t/data%201.parquet")
    assert parse_qs(url.query)["X-Amz-Expires"] == ["3600"]
    assert [(column.name, column.id, column.type) for column in table.columns] == [
        ("id", 1, "string"),
        ("n", 2, "decimal(38, 9)"),
        ("tags", 3, "list<string>"),
    ]
    assert (table.timestamp_id, table.after) == (9, None)
    assert (status.source, status.rows, status.bytes) == (FOO, None, 300)


async def test_the_manifest_tells_what_is_known_of_the_table(store: Store) -> None:
    loader, source = wished(SCAN, columns=("id", "n"))
    ((read,), _) = await planned(store, loader, source)
    assert read.manifest == {
        "id": FOO,
        "uri": "s3://lake/t",
        "name": "foo",
        "primary_key": ["id"],
        "columns": ["id", "n"],
        "created": "2026-02-03T04:05:06+0000",
        "last_change_date": "2026-02-04T04:06:07+0000",
        "last_import_date": "2026-02-04T04:06:07+0000",
        "metadata": [{"key": "KBC.description", "value": "a table"}],
        "column_metadata": {
            "id": [{"key": "KBC.description", "value": "its key"}],
            "n": [
                {"key": "KBC.datatype.basetype", "value": "NUMERIC"},
                {"key": "KBC.datatype.length", "value": "38,9"},
            ],
        },
    }
    ((read,), _) = await planned(store, loader, source, type_support="authoritative")
    assert read.manifest["schema"][1]["data_type"] == {"base": {"type": "NUMERIC", "length": "38,9"}}
    assert read.manifest["description"] == "a table"


@pytest.mark.parametrize(
    ("wish", "files", "rows"),
    [
        ({}, 2, 12),
        ({"limit": 20}, 2, 12),
        ({"limit": 6}, 2, 6),
        ({"limit": 5}, 1, 5),
        ({"limit": 0}, 0, 0),
        ({"limit": 5, "where": Where("id", "eq", ("1",))}, 2, None),
        ({"limit": 5, "changed_since": datetime(2026, 1, 1, tzinfo=UTC)}, 2, None),
    ],
)
async def test_no_more_files_than_are_needed(store: Store, wish: dict[str, Any], files: int, rows: int | None) -> None:
    ((read,), (status,)) = await planned(store, *wished(**wish))
    assert (len(read.parquet.files), status.rows) == (files, rows)
    assert (read.where, read.limit) == (wish.get("where"), wish.get("limit"))


@pytest.mark.parametrize(
    ("seen", "after"),
    [
        (Seen(created=datetime.fromisoformat(SCAN.created), uuid="table-1", timestamp=4_000_000), 4_000_000),
        (Seen(created=datetime.fromisoformat(SCAN.created), uuid="table-1", timestamp=5_000_000), 5_000_000),
        (Seen(created=datetime.fromisoformat(SCAN.created), uuid="table-1", timestamp=5_000_001), None),
        (Seen(created=datetime.fromisoformat(SCAN.created), uuid="another", timestamp=4_000_000), None),
    ],
    ids=["rows that came later", "nothing new", "put back by hand", "made again"],
)
async def test_what_is_new_for_a_configuration(store: Store, seen: Seen, after: int | None) -> None:
    ((read,), _) = await planned(store, *wished(seen=seen))
    assert read.parquet.after == after


async def test_rows_of_a_moment_are_asked_for_with_it(store: Store) -> None:
    ((read,), _) = await planned(store, *wished(changed_since=datetime(1970, 1, 1, 0, 0, 3, 7, UTC)))
    assert read.parquet.after == 3_000_006, "rows whose time is greater"


async def test_what_is_seen_is_written_down_once_and_the_plan_is_no_older(store: Store) -> None:
    source = InputSource(table=FOO, remember=True)
    later = dataclasses.replace(PLAIN, timestamp=6_000_000, files=PLAIN.files[:1])
    loader = Loader([PlanAnswer((PLAIN,)), PlanAnswer((later,))])
    await planned(store, loader, source)
    assert await read_seen(store, "u1", 2) == {FOO: seen_of(PLAIN)}
    ((read,), _) = await planned(store, loader, source)
    assert len(loader.asked) == 3, "what is written down already was looked at before: look again"
    assert len(read.parquet.files) == 1
    assert (await read_seen(store, "u1", 2))[FOO].timestamp == 5_000_000


def test_the_later_of_two_is_remembered() -> None:
    one, two = seen_of(PLAIN), seen_of(dataclasses.replace(PLAIN, timestamp=6_000_000))
    assert (two.is_later(one), one.is_later(two), one.is_later(one)) == (True, False, False)
    assert not two.is_later(seen_of(dataclasses.replace(PLAIN, uuid="another")))


async def test_tables_and_objects_stand_beside_each_other(store: Store) -> None:
    await store.put("p/files/x.csv", b"a\n1\n")
    loader = Loader([PlanAnswer((dataclasses.replace(PLAIN, table=BAR), PLAIN))])
    inputs = (InputSource(table=FOO), InputSource(object="files/x.csv"), InputSource(table=BAR))
    reads, status = await planned(store, loader, *inputs, InputSource(table=FOO, destination="again.csv", sliced=True))
    assert loader.asked == [(FOO, BAR)]
    *tables, text = reads
    assert [(read.source, read.sliced) for read in tables] == [(FOO, False), (BAR, False), (FOO, True)]
    assert (text.source, text.object.size) == ("files/x.csv", 4)
    assert [item.rows for item in status] == [12, None, 12, 12]


async def test_without_tables_the_loader_is_not_asked(store: Store) -> None:
    loader = Loader()
    assert await planned(store, loader) == ((), ())
    assert loader.asked == []


@pytest.mark.parametrize(
    ("scan", "wish", "told"),
    [
        (
            PLAIN,
            {"columns": ("z",)},
            "`in.c-main.foo` has no column `z`, which the input mapping names; it has `id`, `n`",
        ),
        (PLAIN, {"where": Where("z", "eq", ("1",))}, "has no column `z`"),
        (SCAN, {}, "the column `tags` is of type `list<string>`, which has no form in a CSV file"),
        (SCAN, {"columns": ("id",), "where": Where("tags", "eq", ("1",))}, "the column `tags` is of type"),
        (
            dataclasses.replace(PLAIN, timestamp_id=None),
            {"changed_since": datetime(2026, 1, 1, tzinfo=UTC)},
            "has no column `_timestamp`",
        ),
    ],
)
async def test_what_can_not_be_asked_for_is_told_before_a_pod_is_made(
    store: Store, scan: TableScan, wish: dict[str, Any], told: str
) -> None:
    with pytest.raises(ComponentRunError) as refusal:
        await planned(store, *wished(scan, **wish))
    assert (refusal.value.reason, told in str(refusal.value)) == (Reason.INPUT_INVALID, True), refusal.value


async def test_a_table_that_is_not_there_is_told_by_its_name(store: Store) -> None:
    with pytest.raises(ComponentRunError, match=r"there is no table `in.c-main.foo` in the catalog of ") as refusal:
        await planned(store, Loader([PlanAnswer(missing=(FOO,))]), InputSource(table=FOO))
    assert refusal.value.reason is Reason.INPUT_NOT_FOUND


async def test_a_file_elsewhere_can_not_be_signed_for(store: Store) -> None:
    scan = dataclasses.replace(PLAIN, files=(ScanFile("gs://lake/t/1.parquet", 1, 1),))
    with pytest.raises(ComponentRunError, match=r"`in.c-main.foo`: a table has a file at `gs://lake") as refusal:
        await planned(store, *wished(scan))
    assert refusal.value.reason is Reason.STAGE_IN_FAILED


async def test_a_loader_that_is_away_is_told_as_it_is(store: Store) -> None:
    async def away(_: Sequence[str]) -> PlanAnswer:
        raise TransientError("the loader is away", Reason.LOADER_UNAVAILABLE)

    request = AttemptRequest("u1", "ns/run", 2, HOUR, HOUR, (InputSource(table=FOO),))
    with pytest.raises(TransientError, match="the loader is away"):
        await prepare_attempt(store, Signer(SETTINGS), request, away)
