"""What an attempt gets: plans with URLs, grants, and refusals that name what is wrong."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from minio.credentials.credentials import Credentials
from obstore.store import MemoryStore

from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError
from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.fileinput import FileSource
from componentrun.storage.access.grants import MAX_POST_BYTES, Signer
from componentrun.storage.access.plans import prepare_attempt
from componentrun.storage.access.reading import Wish
from componentrun.storage.files.lookup import FileQuery
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.agents import OutputTable, StageInPlan, StageOutPlan, Where, from_json
from tests.unit.storage.filing import published, stored

HOUR = timedelta(hours=1)
FOO = "in.c-main.foo"
SETTINGS = StoreSettings(
    bucket="bucket",
    endpoint="http://store.test:9000",
    prefix="p",
    access_key="AKIA",
    secret_key="hush-hush",
    ca_bundle="PEM",
    name="main",
)


@pytest.fixture
def store() -> Store:
    return Store(SETTINGS, MemoryStore())


@pytest.fixture
def signer() -> Signer:
    return Signer(SETTINGS)


def request(*inputs: InputSource, **more: Any) -> AttemptRequest:
    values: dict[str, Any] = {"run": "u1", "title": "ns/run", "attempt": 2, "expires_in": HOUR, "expires_out": 2 * HOUR}
    return AttemptRequest(**(values | {"inputs": inputs} | more))


async def read_plan(store: Store, kind: type[Any], name: str) -> Any:
    return from_json(kind, (await store.get(f"p/runs/u1/2/{name}.json")).data)


async def test_what_is_written_into_config_json_is_in_the_plan(store: Store, signer: Signer) -> None:
    done = await prepare_attempt(store, signer, request(config={"a": 1}, state={"s": 2}, parameters_text="{}"))
    plan = await read_plan(store, StageInPlan, "stage-in")
    assert (plan.config, plan.state, plan.run, plan.parameters_text) == ({"a": 1}, {"s": 2}, "ns/run", "{}")
    assert (plan.tables, plan.objects, plan.files, done.inputs, done.files) == ((), (), (), (), ())


async def test_a_url_is_for_one_object_and_one_time(store: Store, signer: Signer) -> None:
    await store.put("p/files/x.csv", b"a\n1\n")
    done = await prepare_attempt(store, signer, request(InputSource(object="files/x.csv")))
    url = urlsplit((await read_plan(store, StageInPlan, "stage-in")).objects[0].object.url)
    assert (url.scheme, url.netloc, url.path) == ("http", "store.test:9000", "/bucket/p/files/x.csv")
    assert parse_qs(url.query)["X-Amz-Expires"] == ["3600"]
    assert urlsplit(done.grant_in.plan_url).path == "/bucket/p/runs/u1/2/stage-in.json"
    assert urlsplit(done.grant_out.plan_url).path == "/bucket/p/runs/u1/2/stage-out.json"
    assert parse_qs(urlsplit(done.grant_out.plan_url).query)["X-Amz-Expires"] == ["7200"]
    assert (done.grant_in.ca_bundle, done.grant_out.ca_bundle) == ("PEM", "PEM")


async def test_stage_out_may_write_below_the_attempts_prefix_only(store: Store, signer: Signer) -> None:
    outputs = (OutputTable("bar.csv", "out.c-main.bar", incremental=True, write_always=True),)
    done = await prepare_attempt(
        store, signer, request(outputs=outputs, default_bucket="out.c-main", max_output_bytes=1000)
    )
    post = done.grant_out.post
    assert (post.url, post.key_prefix, post.max_bytes) == ("http://store.test:9000/bucket", "p/data/u1-2/", 2**30)
    plan = await read_plan(store, StageOutPlan, "stage-out")
    assert (plan.tables, plan.default_bucket, plan.max_bytes) == (outputs, "out.c-main", 1000)


async def test_a_table_that_can_not_be_is_refused_before_the_component_runs(store: Store, signer: Signer) -> None:
    outputs = (OutputTable("a.csv", "out.c-main.a"), OutputTable("bar.csv", f"out.c-main.{'b' * 97}"))
    with pytest.raises(UserError, match=r"^spec\.output\.tables\[1\]\.destination: .* is not 1 to 96") as refusal:
        await prepare_attempt(store, signer, request(outputs=outputs))
    assert refusal.value.reason is Reason.INVALID_SPEC


async def test_secrets_are_in_the_grant_and_nowhere_else(store: Store, signer: Signer) -> None:
    asked = request(secrets={"db.#password": "pass-word"})
    done = await prepare_attempt(store, signer, asked)
    assert done.grant_in.secrets == {"db.#password": "pass-word"}
    for name in ("stage-in", "stage-out"):
        assert b"pass-word" not in (await store.get(f"p/runs/u1/2/{name}.json")).data
    shown = f"{asked!r} {done!r}"
    assert not any(secret in shown for secret in ("pass-word", "Signature", "X-Amz"))


async def test_no_key_of_the_account_is_in_what_the_pod_gets(store: Store, signer: Signer) -> None:
    await store.put("p/files/x.csv", b"a\n1\n")
    done = await prepare_attempt(store, signer, request(InputSource(object="files/x.csv")))
    given = f"{done.grant_in.plan_url} {dataclasses.asdict(done.grant_out)}"
    given += (await store.get("p/runs/u1/2/stage-in.json")).data.decode()
    assert "hush-hush" not in given


async def test_a_plain_object_brings_its_own_header(store: Store, signer: Signer) -> None:
    await store.put("p/files/sub/x.csv", b"a\n1\n")
    done = await prepare_attempt(store, signer, request(InputSource(object="files/sub/x.csv")))
    (read,) = (await read_plan(store, StageInPlan, "stage-in")).objects
    assert (read.path, read.needs_query, read.object.size) == ("in/tables/x.csv", False, 4)
    assert (len(done.inputs), done.inputs[0].rows, done.inputs[0].bytes) == (1, None, 4)


async def test_the_same_attempt_may_be_prepared_again(store: Store, signer: Signer) -> None:
    first = await prepare_attempt(store, signer, request())
    second = await prepare_attempt(store, signer, request())
    assert first.inputs == second.inputs


@pytest.mark.parametrize(
    ("inputs", "told", "reason"),
    [
        ([InputSource(table="zz")], "not a table id", Reason.INVALID_SPEC),
        ([InputSource(object="files/gone.csv")], "no object `files/gone.csv`", Reason.INPUT_NOT_FOUND),
        ([InputSource(object="runs/u2/1/stage-in.json")], "belongs to ComponentRun", Reason.INVALID_SPEC),
        ([InputSource(object="files/../runs/x")], "expected parts", Reason.INVALID_SPEC),
        ([InputSource()], "neither a table nor an object", Reason.INVALID_SPEC),
        ([InputSource(table=FOO, destination="../x")], "without slashes", Reason.INVALID_SPEC),
        ([InputSource(table=FOO, destination="..")], "without slashes", Reason.INVALID_SPEC),
        ([InputSource(table=FOO, destination="")], "expected a file name", Reason.INVALID_SPEC),
        ([InputSource(table=FOO, destination="a\nb")], "control characters", Reason.INVALID_SPEC),
        (
            [InputSource(table=FOO), InputSource(table="out.c-x.foo")],
            "both write `in/tables/foo.csv`",
            Reason.INVALID_SPEC,
        ),
        (
            [InputSource(table=FOO, destination="a"), InputSource(table=FOO, destination="a.manifest")],
            "both write `in/tables/a.manifest`",
            Reason.INVALID_SPEC,
        ),
    ],
)
async def test_an_input_that_cannot_be_is_named(
    store: Store, signer: Signer, inputs: list[InputSource], told: str, reason: Reason
) -> None:
    with pytest.raises(UserError) as refusal:
        await prepare_attempt(store, signer, request(*inputs))
    assert told in refusal.value.message
    assert refusal.value.reason is reason


async def test_what_is_asked_of_an_object_goes_into_the_plan(store: Store, signer: Signer) -> None:
    await store.put("p/files/x.csv", b"a,b\n1,2\n")
    where = Where("a", "ge", ("1",), "number")
    done = await prepare_attempt(
        store, signer, request(InputSource(object="files/x.csv", wish=Wish(("b",), where, None, 7)))
    )
    (read,) = (await read_plan(store, StageInPlan, "stage-in")).objects
    assert (read.select, read.where, read.limit, read.needs_query) == (("b",), where, 7, True)
    assert [(item.rows, item.bytes) for item in done.inputs] == [(None, 8)]


async def test_tables_can_not_be_planned_without_a_catalog(store: Store, signer: Signer) -> None:
    with pytest.raises(ValueError, match=r"Storage `main` has no catalog, but `in\.c-main\.foo` is asked for"):
        await prepare_attempt(store, signer, request(InputSource(table=FOO)))


@pytest.mark.parametrize("expires", [timedelta(0), timedelta(days=7, seconds=1), timedelta(seconds=-1)])
def test_a_grant_lasts_at_most_seven_days(signer: Signer, expires: timedelta) -> None:
    with pytest.raises(ComponentRunError, match="7 days"):
        signer.sign_get("k", expires)
    with pytest.raises(ComponentRunError, match="7 days"):
        signer.post_policy("p/", 1, expires)


def test_a_form_never_covers_a_neighbour(signer: Signer) -> None:
    with pytest.raises(ComponentRunError, match="slash at its end"):
        signer.post_policy("p/data/u1-1", 1, HOUR)


def test_a_form_allows_what_the_store_stores_at_most(signer: Signer) -> None:
    assert signer.post_policy("p/", 10 * MAX_POST_BYTES, HOUR).max_bytes == MAX_POST_BYTES


def test_a_session_token_is_part_of_what_is_signed() -> None:
    signer = Signer(dataclasses.replace(SETTINGS, session_token="tok-en"))
    assert parse_qs(urlsplit(signer.sign_get("k", HOUR)).query)["X-Amz-Security-Token"] == ["tok-en"]
    assert signer.post_policy("p/", 1, HOUR).fields["x-amz-security-token"] == "tok-en"


def test_amazon_needs_no_endpoint() -> None:
    settings = dataclasses.replace(SETTINGS, endpoint=None, region="eu-west-1")
    assert Signer(settings).sign_get("k", HOUR).startswith("https://s3.eu-west-1.amazonaws.com/bucket/k?")


class FixedSource:
    """A provider of temporary keys that counts how often it is asked."""

    def __init__(self, lasts: timedelta) -> None:
        self.asked = 0
        self.lasts = lasts

    def retrieve(self) -> Credentials:
        self.asked += 1
        return Credentials("AKIA", "hush", "tok", expiration=datetime.now(UTC) + self.lasts)


def ambient(lasts: timedelta) -> tuple[Signer, FixedSource]:
    signer = Signer(dataclasses.replace(SETTINGS, access_key=None, secret_key=None))
    source = FixedSource(lasts)
    signer._source = source  # type: ignore[assignment]  # the fault of this test
    return signer, source


async def test_the_identity_of_the_machine_is_fetched_and_renewed_before_its_end() -> None:
    signer, source = ambient(timedelta(minutes=5))
    with pytest.raises(PlatformError, match="refresh"):
        signer.sign_get("k", HOUR)
    await signer.refresh()
    await signer.refresh()
    assert source.asked == 2, "keys that end within ten minutes are not used on"
    source.lasts = HOUR
    await signer.refresh()
    await signer.refresh()
    assert source.asked == 3
    assert "X-Amz-Security-Token=tok" in signer.sign_get("k", HOUR)


async def test_keys_that_end_before_the_run_are_refused_at_its_start(store: Store) -> None:
    signer, _ = ambient(HOUR)
    with pytest.raises(PlatformError, match="Shorten the run's `timeout`"):
        await prepare_attempt(store, signer, request())


async def test_a_machine_without_identity_is_told_what_to_do() -> None:
    signer, source = ambient(HOUR)

    def nothing() -> Credentials:
        raise ValueError("no way: secret-detail")

    source.retrieve = nothing  # type: ignore[method-assign]  # the fault of this test
    with pytest.raises(PlatformError, match="Set a Secret") as refusal:
        await signer.refresh()
    assert "secret-detail" not in refusal.value.message


async def test_files_are_brought_with_what_is_known_of_them_each_once(store: Store, signer: Signer) -> None:
    moment = datetime.now(UTC)
    written = await stored(store, "r0", "résumé 1.pdf", b"012345", tags=["daily"])
    older = await stored(store, "r0", "other.pdf", b"", tags=["daily"], permanent=True)
    ids = await published(store, "r0", written, older, now=moment)
    sources = [
        FileSource(FileQuery(name="résumé 1.pdf"), 1, "spec.input.files[0]"),
        FileSource(FileQuery(tags=("daily",)), 100, "spec.input.files[1]"),
        FileSource(FileQuery(tags=("none",)), 100, "spec.input.files[2]", optional=True),
    ]
    done = await prepare_attempt(store, signer, request(files=sources, file_tags=("runId: r",)))
    plan = await read_plan(store, StageInPlan, "stage-in")
    assert [read.path for read in plan.files] == [
        f"in/files/{file}_{name}" for file, name in zip(ids, ["résumé 1.pdf", "other.pdf"], strict=True)
    ]
    assert [[part.size for part in read.parts] for read in plan.files] == [[4, 2], []]
    assert plan.files[0].manifest == {
        "id": ids[0],
        "name": "résumé 1.pdf",
        "created": moment.strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "is_public": False,
        "is_encrypted": False,
        "is_sliced": False,
        "is_permanent": False,
        "tags": ["daily"],
        "max_age_days": 15,
        "size_bytes": 6,
    }
    assert (plan.files[1].manifest["max_age_days"], plan.files[1].manifest["is_permanent"]) == (None, True)
    assert [file.id for file in done.files] == ids
    assert (await read_plan(store, StageOutPlan, "stage-out")).file_tags == ("runId: r",)


async def test_a_file_that_is_not_there_is_named_by_what_was_asked(store: Store, signer: Signer) -> None:
    source = FileSource(FileQuery(name="a.pdf", tags=("x",)), 1, "spec.input.files[3]")
    with pytest.raises(UserError) as refusal:
        await prepare_attempt(store, signer, request(files=[source]))
    assert refusal.value.reason is Reason.INPUT_NOT_FOUND
    assert "spec.input.files[3]: there is no file with name `a.pdf`, tag `x` in Storage `main`" in refusal.value.message
