"""The real object store of development (MinIO, started by `e2e.cluster.store` where it does not run yet).

Every test has a prefix of its own in the shared bucket, emptied afterwards. Nothing is mocked.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from componentrun.storage.connection import Store, open_store
from componentrun.storage.grants import Signer
from componentrun.storage.settings import StoreSettings
from e2e.cluster import store as local_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def minio() -> local_store.Store:
    return local_store.up()


@pytest.fixture
def settings(minio: local_store.Store) -> StoreSettings:
    return StoreSettings(
        bucket=minio.bucket,
        endpoint=minio.endpoint,
        prefix=f"tests/{uuid.uuid4()}",
        region=minio.region,
        access_key=minio.access_key,
        secret_key=minio.secret_key,
        name="main",
    )


@pytest.fixture
async def store(settings: StoreSettings) -> AsyncIterator[Store]:
    opened = open_store(settings)
    yield opened
    await opened.delete([info.key async for info in opened.objects(settings.prefix + "/")])


@pytest.fixture
def signer(settings: StoreSettings) -> Signer:
    return Signer(settings)


class Web:
    """A client without any key: what a pod is."""

    def __init__(self, pool: urllib3.PoolManager) -> None:
        self._pool = pool

    def send(self, method: str, url: str, **more: Any) -> urllib3.BaseHTTPResponse:
        return self._pool.request(method, url, retries=False, **more)

    def post(self, url: str, fields: dict[str, str], key: str, data: bytes, name: str = "f") -> int:
        form: dict[str, Any] = {**fields, "key": key, "file": (name, data)}
        return int(self.send("POST", url, fields=form).status)


@pytest.fixture
def web() -> Iterator[Web]:
    with urllib3.PoolManager() as pool:
        yield Web(pool)


def changed(settings: StoreSettings, **values: Any) -> StoreSettings:
    return dataclasses.replace(settings, **values)
