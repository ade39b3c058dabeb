"""Three real stores: MinIO and SeaweedFS with versioning, started if needed, and versitygw with TLS.

Every test runs against all of them, with its own prefix, which is emptied afterwards. Nothing is mocked.
"""

from __future__ import annotations

import contextlib
import ssl
import uuid
from typing import TYPE_CHECKING, Any, Final

import pytest
import urllib3

from componentrun.storage.access.grants import Signer
from componentrun.storage.store.connection import Store, open_store
from componentrun.storage.store.settings import StoreSettings
from dev.cluster.stores import minio as local_store
from dev.cluster.stores import seaweedfs as local_lake
from tests.integration.emptying import delete_all_versions
from tests.integration.storage.second_store import second_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from dev.cluster.stores.minio import Store as LocalStore
    from dev.cluster.stores.seaweedfs import Lake


OURS: Final[dict[str, Callable[[], LocalStore | Lake]]] = {"minio": local_store.up, "seaweedfs": local_lake.up}
"""Stores on this machine that all tests share."""


@pytest.fixture(scope="session", params=["minio", "seaweedfs", "versitygw"])
def reached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSettings]:
    """Connection settings of a running store."""
    if request.param in OURS:
        found = OURS[request.param]()
        yield StoreSettings(
            bucket=found.bucket,
            endpoint=found.endpoint,
            region=found.region,
            access_key=found.access_key,
            secret_key=found.secret_key,
            name="main",
        )
    else:
        with second_store(tmp_path_factory.mktemp("versitygw")) as settings:
            yield settings


@pytest.fixture
def settings(reached: StoreSettings) -> StoreSettings:
    return StoreSettings(
        bucket=reached.bucket,
        endpoint=reached.endpoint,
        prefix=f"tests/{uuid.uuid4()}",
        region=reached.region,
        access_key=reached.access_key,
        secret_key=reached.secret_key,
        ca_bundle=reached.ca_bundle,
        name="main",
    )


@pytest.fixture
async def store(settings: StoreSettings) -> AsyncIterator[Store]:
    opened = open_store(settings)
    yield opened
    await delete_all_versions(settings)


@pytest.fixture
def signer(settings: StoreSettings) -> Signer:
    return Signer(settings)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Name of the store."""
    callspec = getattr(request.node, "callspec", None)
    return str(callspec.params["reached"]) if callspec else "minio"


class Web:
    """A client without keys, like a pod."""

    def __init__(self, pool: urllib3.PoolManager) -> None:
        self._pool = pool

    def send(self, method: str, url: str, **more: Any) -> urllib3.BaseHTTPResponse:
        return self._pool.request(method, url, retries=False, **more)

    def post(self, url: str, fields: dict[str, str], key: str, data: bytes, name: str = "f") -> int:
        """Return the HTTP status. 0 means that the store closed the connection early, which counts as rejection."""
        form: dict[str, Any] = {**fields, "key": key, "file": (name, data)}
        with contextlib.suppress(urllib3.exceptions.ProtocolError):
            return int(self.send("POST", url, fields=form).status)
        return 0


@pytest.fixture
def web(settings: StoreSettings) -> Iterator[Web]:
    context = ssl.create_default_context(cadata=settings.ca_bundle)
    with urllib3.PoolManager(ssl_context=context) as pool:
        yield Web(pool)
