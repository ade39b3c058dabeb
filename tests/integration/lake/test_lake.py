"""The cluster's SeaweedFS: a store with versioning, and a catalog that commits several tables at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import urllib3
from minio import Minio

from componentrun.storage.store.connection import open_store
from componentrun.storage.store.objectversions import Versions
from dev.cluster.errors import ClusterError
from dev.cluster.host import processes
from dev.cluster.stores import catalog, server
from dev.cluster.stores import seaweedfs as local_lake
from tests.integration.lake_space import LakeSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.stores.catalog import Client
    from dev.cluster.stores.seaweedfs import Lake

pytestmark = pytest.mark.store

SCHEMA = {"type": "struct", "fields": [{"id": 1, "name": "id", "type": "string", "required": False}]}


@dataclass(frozen=True)
class Tables:
    """Tables of one namespace."""

    client: Client
    namespace: str

    def make(self, name: str) -> None:
        path = self.client.path("namespaces", self.namespace, "tables")
        self.client.ask("POST", path, {"name": name, "schema": SCHEMA})

    def metadata(self, name: str) -> dict[str, Any]:
        found = self.client.ask("GET", self.client.path("namespaces", self.namespace, "tables", name))
        metadata: dict[str, Any] = found["metadata"]
        return metadata

    def change(self, name: str, uuid: str | None = None) -> dict[str, Any]:
        """A change that sets a mark on a table, if the table has this uuid."""
        expected = {"type": "assert-table-uuid", "uuid": uuid or self.metadata(name)["table-uuid"]}
        mark = {"action": "set-properties", "updates": {"run": "r"}}
        return {
            "identifier": {"namespace": [self.namespace], "name": name},
            "requirements": [expected],
            "updates": [mark],
        }

    def commit(self, *changes: dict[str, Any]) -> None:
        self.client.ask("POST", self.client.path("transactions", "commit"), {"table-changes": changes})

    def marked(self) -> list[str]:
        names = self.client.tables((self.namespace,))
        return [name for name in names if "run" in self.metadata(name).get("properties", {})]


async def left(space: LakeSpace) -> list[str]:
    found = await Versions(space.settings).below(space.settings.prefix + "/")
    return sorted(version.key for version in found)


def test_started_again_it_is_the_same_process_and_keeps_its_keys(lake: Lake) -> None:
    before = processes.find(local_lake._SERVER.pid_file)
    assert local_lake.up() == lake == local_lake.load()
    assert processes.find(local_lake._SERVER.pid_file) == before
    assert local_lake.problem() is None


def test_the_bucket_keeps_versions(lake: Lake) -> None:
    client = Minio(
        lake.endpoint.partition("://")[2], access_key=lake.access_key, secret_key=lake.secret_key, secure=False
    )
    assert client.get_bucket_versioning(bucket_name=lake.bucket).status == server.ENABLED


@pytest.mark.parametrize("port", ["volume.port", "filer.port"])
def test_the_ports_behind_the_store_let_nobody_write(lake: Lake, port: str) -> None:
    host = lake.endpoint.rpartition(":")[0]
    url = f"{host}:{local_lake.SERVER_PORTS[port]}/1,0123456789"
    assert urllib3.request("PUT", url, body=b"data").status == 401


async def test_what_one_test_made_is_gone_when_it_ends_and_what_another_made_is_not(lake: Lake) -> None:
    one, other = LakeSpace(lake), LakeSpace(lake)
    with catalog.client(lake.catalog) as client:
        for space in (one, other):
            namespace = f"{space.namespace_prefix}out_c_main"
            client.ask("POST", client.path("namespaces"), {"namespace": [namespace]})
            Tables(client, namespace).make("words")
            await open_store(space.settings).put(f"{space.settings.prefix}/staging/a", b"x")
        await open_store(one.settings).put(f"{one.settings.prefix}/staging/a", b"a second version")
        await asyncio.to_thread(one.empty)
        named = {levels[0] for levels in client.namespaces()}
        assert f"{one.namespace_prefix}out_c_main" not in named
        assert client.tables((f"{other.namespace_prefix}out_c_main",)) == ["words"]
        assert await left(one) == []
        assert await left(other) == [f"{other.settings.prefix}/staging/a"]
        await asyncio.to_thread(other.empty)


class TestCommits:
    @pytest.fixture
    def client(self, lake_space: LakeSpace) -> Iterator[Client]:
        with catalog.client(lake_space.catalog) as client:
            yield client

    @pytest.fixture
    def tables(self, client: Client, lake_space: LakeSpace) -> Tables:
        found = Tables(client, f"{lake_space.namespace_prefix}out_c_main")
        client.ask("POST", client.path("namespaces"), {"namespace": [found.namespace]})
        for name in ("a", "b"):
            found.make(name)
        return found

    def test_all_tables_of_a_commit_change_at_once(self, tables: Tables) -> None:
        tables.commit(tables.change("a"), tables.change("b"))
        assert tables.marked() == ["a", "b"]

    def test_none_changes_if_one_is_not_as_the_commit_expects_it(self, tables: Tables) -> None:
        with pytest.raises(ClusterError, match="409"):
            tables.commit(tables.change("a"), tables.change("b", uuid=str(uuid4())))
        assert tables.marked() == []
