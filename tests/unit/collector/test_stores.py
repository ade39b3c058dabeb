"""Which Storage a run's events go to."""

from __future__ import annotations

import asyncio
import base64
import gc
import weakref
from typing import Any

import pytest

from componentrun.collector.events import stores as module
from componentrun.collector.events.stores import Stores
from componentrun.errors import Reason, UserError
from tests.unit.collector.fakekube import FakeKube


def stores(kube: Any) -> Stores:
    return Stores(kube)


def keys(kube: FakeKube, **values: str) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    kube.server.put("secrets", {"metadata": {"name": "keys"}, "data": data})


async def test_the_named_one_with_its_keys() -> None:
    kube = FakeKube()
    kube.add_storage("main", prefix="p", endpoint="http://store:9000", credentials={"secretName": "keys"})
    keys(kube, accessKeyId="id\n", secretAccessKey="secret")
    settings = (await stores(kube).get("team", "main")).settings
    assert (settings.bucket, settings.prefix, settings.access_key, settings.secret_key) == (
        "a-bucket",
        "p",
        "id",
        "secret",
    )
    assert "secret" not in repr(settings)


async def test_the_default_one() -> None:
    kube = FakeKube()
    kube.add_storage("other")
    kube.add_storage("main", default=True, prefix="p")
    assert (await stores(kube).get("team", None)).settings.name == "main"


@pytest.mark.parametrize("name", [None, "none"])
async def test_none(name: str | None) -> None:
    kube = FakeKube()
    kube.add_storage("other")
    with pytest.raises(UserError) as caught:
        await stores(kube).get("team", name)
    assert caught.value.reason is Reason.STORAGE_NOT_FOUND


@pytest.mark.parametrize(
    ("values", "message"),
    [(None, "Secret `keys` .* does not exist"), ({"accessKeyId": "id"}, "lacks the key `secretAccessKey`")],
)
async def test_bad_keys(values: dict[str, str] | None, message: str) -> None:
    kube = FakeKube()
    kube.add_storage("main", credentials={"secretName": "keys"})
    if values is not None:
        keys(kube, **values)
    with pytest.raises(UserError, match=message):
        await stores(kube).get("team", "main")


async def test_a_missing_secret_of_the_catalog_keeps_no_event_back() -> None:
    kube = FakeKube()
    catalog = {"uri": "https://c.test", "warehouse": "w", "credentials": {"secretName": "none"}}
    kube.add_storage("main", catalog=catalog)
    assert (await stores(kube).get("team", "main")).settings.catalog is None


async def test_many_runs_share_one_store_from_the_beginning() -> None:
    kube = FakeKube()
    kube.add_storage("main")
    kept = stores(kube)
    assert len(set(map(id, await asyncio.gather(*(kept.get("team", "main") for _ in range(50)))))) == 1


async def test_an_open_store_is_kept_until_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    kube.add_storage("main")
    kept = stores(kube)
    first = await kept.get("team", "main")
    kept.forget("team", "main")
    assert await kept.get("team", "main") is first
    monkeypatch.setattr(module, "_TRIED_SECONDS", 0)
    kept.forget("team", "main")
    assert await kept.get("team", "main") is not first


async def test_a_store_that_nobody_uses_any_more_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    kube.add_storage("main")
    kube.server.put("storages", {"metadata": {"name": "main", "namespace": "gone"}, "spec": {"bucket": "a-bucket"}})
    kept = stores(kube)
    used_once = weakref.ref(await kept.get("gone", "main"))
    assert used_once() is not None
    monkeypatch.setattr(module, "_KEPT_SECONDS", 0)
    await kept.get("team", "main")
    gc.collect()
    assert used_once() is None


async def test_another_storage_that_can_not_be_read_keeps_no_events_from_it() -> None:
    kube = FakeKube()
    kube.add_storage("main")
    kube.add_storage("pasted", endpoint="http://minio\u00a0.test")
    assert (await stores(kube).get("team", "main")).settings.name == "main"
    with pytest.raises(UserError, match="Storage `pasted` can't be read by this release"):
        await stores(kube).get("team", "pasted")
