"""Settings of a Storage are read with the Secrets of its store and of its catalog."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import Reason, UserError
from componentrun.process.kubernetes.storages import read_settings, read_store_settings
from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.server import ApiServer
from tests.unit.core.make import make_storage

if TYPE_CHECKING:
    from componentrun.process.kubernetes.client import Kube

CATALOG = {"uri": "https://c.test", "warehouse": "lake", "credentials": {"secretName": "catalog-keys"}}


class Secrets:
    """An API server with these Secrets."""

    def __init__(self, **secrets: dict[str, str]) -> None:
        self.server = ApiServer("team")
        for name, values in secrets.items():
            data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
            self.server.put("secrets", {"metadata": {"name": name.replace("_", "-")}, "data": data})

    @property
    def read(self) -> list[str]:
        """Names of the Secrets that were read."""
        return [request.path.rpartition("/")[2] for request in self.server.requests]


def kube(secrets: Secrets) -> Kube:
    return InProcessKube(secrets.server)


STORE = {"accessKeyId": "AK", "secretAccessKey": "hush"}


async def test_each_is_read_from_its_own_secret() -> None:
    secrets = Secrets(store_keys=STORE, catalog_keys={"token": "hush-2"})
    storage = make_storage("lake", credentials={"secretName": "store-keys"}, catalog=CATALOG)
    found = await read_settings(kube(secrets), storage)
    assert (found.access_key, found.secret_key) == ("AK", "hush")
    assert found.catalog is not None
    assert (found.catalog.token, found.catalog.name) == ("hush-2", "lake")
    assert secrets.read == ["store-keys", "catalog-keys"]


async def test_a_storage_without_a_catalog_needs_no_further_secret() -> None:
    secrets = Secrets(store_keys=STORE)
    found = await read_settings(kube(secrets), make_storage(credentials={"secretName": "store-keys"}))
    assert found.catalog is None
    assert secrets.read == ["store-keys"]


async def test_a_missing_secret_of_the_catalog_is_named() -> None:
    with pytest.raises(UserError, match="Secret `catalog-keys` of the catalog of Storage `lake`") as refused:
        await read_settings(kube(Secrets()), make_storage("lake", catalog=CATALOG))
    assert refused.value.reason is Reason.SECRET_NOT_FOUND


async def test_the_bucket_is_reached_without_the_catalogs_secret() -> None:
    secrets = Secrets()
    found = await read_store_settings(kube(secrets), make_storage("lake", catalog=CATALOG))
    assert (found.name, found.catalog) == ("lake", None)
    assert secrets.read == []
