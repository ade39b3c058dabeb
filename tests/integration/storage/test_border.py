"""Clear messages for requests that the real store rejects, and the real behaviour of compare-and-swap."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.errors import ExistsError, MissingError, StaleError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings

pytestmark = pytest.mark.store


async def listed(store: Store) -> list[str]:
    return [info.key async for info in store.objects(store.settings.prefix + "/")]


OPERATIONS: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "get": lambda store: store.get("k"),
    "list": listed,
    "folders": lambda store: store.folders("k/"),
    "create": lambda store: store.create("k", b"1"),
    "swap": lambda store: store.swap("k", b"1", '"0123456789abcdef0123456789abcdef"'),
    "put": lambda store: store.put("k", b"1"),
    "delete": lambda store: store.delete(["k"]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_missing_bucket_is_named(settings: StoreSettings, operation: str, kind: str) -> None:
    if (kind, operation) == ("seaweedfs", "swap"):
        pytest.xfail("SeaweedFS 4.48 looks at the condition before the bucket, and answers 412")
    store = open_store(dataclasses.replace(settings, bucket=f"{settings.bucket}-missing"))
    with pytest.raises(PlatformError, match="-missing`, which does not exist") as refusal:
        await OPERATIONS[operation](store)
    assert refusal.value.reason is Reason.STORAGE_BUCKET_NOT_FOUND


@pytest.mark.parametrize("operation", [*OPERATIONS, "head"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"secret_key": "wrong-secret"}, "the secret key does not belong to the access key"),
        ({"access_key": "wrong-access"}, "the store does not know the access key"),
        ({"bucket": "somebody-elses"}, "lack a permission"),
    ],
)
async def test_wrong_credentials_are_told_from_missing_rights(
    settings: StoreSettings, operation: str, change: dict[str, str], told: str, kind: str
) -> None:
    if "bucket" in change and kind != "minio":
        pytest.skip("this store's only user here may do anything")
    if "access_key" in change and operation == "head" and kind == "versitygw":
        pytest.skip("versitygw says 404 to an unknown user, which without a body looks like a missing object")
    store = open_store(dataclasses.replace(settings, **change))  # type: ignore[arg-type]  # of any type
    with pytest.raises(PlatformError) as refusal:
        await (store.head("k") if operation == "head" else OPERATIONS[operation](store))
    assert refusal.value.reason is Reason.STORAGE_ACCESS_DENIED
    assert told in refusal.value.message or operation == "head", "an answer to HEAD has no body to tell why"
    for secret in (settings.access_key, settings.secret_key, "wrong-secret", "wrong-access"):
        assert f"`{secret}`" not in refusal.value.message
        assert f" {secret} " not in refusal.value.message


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://nowhere.invalid:9000"])
async def test_a_store_that_is_away_is_given_up_within_seconds(settings: StoreSettings, endpoint: str) -> None:
    store = open_store(dataclasses.replace(settings, endpoint=endpoint))
    start = time.monotonic()
    with pytest.raises(TransientError, match="did not answer") as refusal:
        await store.get("k")
    assert refusal.value.reason is Reason.STORAGE_UNAVAILABLE
    assert endpoint in refusal.value.message
    assert time.monotonic() - start < 60


async def test_tls_that_is_not_trusted_is_no_answer(settings: StoreSettings) -> None:
    endpoint = settings.base_url.replace("http:", "https:")
    store = open_store(dataclasses.replace(settings, endpoint=endpoint, ca_bundle=None))
    with pytest.raises(TransientError, match="Check the store and the endpoint"):
        await store.get("k")


async def test_an_object_is_created_once(store: Store) -> None:
    key = f"{store.settings.prefix}/x"
    ends = await asyncio.gather(*(store.create(key, b"%d" % n) for n in range(10)), return_exceptions=True)
    assert sum(isinstance(end, str) for end in ends) == 1
    assert sum(isinstance(end, ExistsError) for end in ends) == 9


async def test_of_many_swaps_from_one_version_one_wins(store: Store) -> None:
    key = f"{store.settings.prefix}/x"
    etag = await store.create(key, b"start")
    ends = await asyncio.gather(*(store.swap(key, b"%d" % n, etag) for n in range(10)), return_exceptions=True)
    won = [number for number, end in enumerate(ends) if isinstance(end, str)]
    assert len(won) == 1
    assert sum(isinstance(end, StaleError) for end in ends) == 9
    assert (await store.get(key)).data == b"%d" % won[0]


async def test_what_is_not_there(store: Store) -> None:
    key = f"{store.settings.prefix}/none"
    assert await store.find(key) is None
    assert await store.head(key) is None
    with pytest.raises(MissingError):
        await store.get(key)
    with pytest.raises(StaleError):
        await store.swap(key, b"1", '"0123456789abcdef0123456789abcdef"')
    await store.delete([key])
    assert await listed(store) == []


async def test_keys_are_listed_in_order_from_anywhere(store: Store) -> None:
    prefix = store.settings.prefix
    for name in ("b/2", "a", "b/1", "c"):
        await store.put(f"{prefix}/{name}", b"1")
    assert [key.removeprefix(f"{prefix}/") for key in await listed(store)] == ["a", "b/1", "b/2", "c"]
    after = [info.key async for info in store.objects(f"{prefix}/", after=f"{prefix}/b/1")]
    assert [key.removeprefix(f"{prefix}/") for key in after] == ["b/2", "c"]
    assert await store.folders(f"{prefix}/") == [f"{prefix}/b/"]


async def test_a_stream_is_of_the_version_that_was_asked_for(store: Store) -> None:
    key = f"{store.settings.prefix}/big"
    data = bytes(9 * 1024 * 1024)
    etag = await store.put(key, data)
    assert b"".join([chunk async for chunk in store.stream(key, etag=etag.strip('"'))]) == data
    await store.put(key, b"other")
    with pytest.raises(StaleError):
        _ = [chunk async for chunk in store.stream(key, etag=etag)]


async def test_no_environment_variable_mixes_in(settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-somebody-else")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_S3_EXPRESS", "true")
    assert await listed(open_store(settings)) == []


async def test_many_objects_are_deleted_by_one_request(store: Store) -> None:
    """Includes missing objects. If a store can't do this, the client notices and does not try again."""
    keys = [store.layout.data("r1", 1) + name for name in ("a", "b c", "ž", "&<>", *map(str, range(1100)))]
    await gather_bounded(lambda key: store.put(key, b"x"), keys)
    await store.delete([*keys, store.layout.data("r1", 1) + "none"])
    assert [info async for info in store.objects(store.layout.data_root())] == []
    assert store._bulk is not None
