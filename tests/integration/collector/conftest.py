"""The real collector process with a real cluster and a real object store; see `lab`."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import kubernetes
import kubernetes.client
import kubernetes.config
import pytest

from componentrun.storage.store.settings import StoreSettings
from dev.cluster import connection as cluster_connection
from dev.cluster.host.ports import free_port
from dev.images import ensure
from tests.integration.collector.front import Front
from tests.integration.collector.lab import Collector, Lab, wait
from tests.integration.collector.logserver import LogServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection


@pytest.fixture(scope="session")
def connection() -> Connection:
    return cluster_connection.load()


@pytest.fixture(scope="session")
def image(connection: Connection) -> str:
    """An image with Python."""
    return ensure(connection, ["test-components"])["test-components"]


@pytest.fixture(scope="session")
def api(connection: Connection) -> Iterator[Any]:
    configuration: Any = kubernetes.config
    with configuration.new_client_from_config(str(connection.kubeconfig)) as made:
        yield made


@pytest.fixture
def reader() -> str:
    """How logs are read; see `BOTH_WAYS` in `lab`."""
    return "api"


@pytest.fixture
def lab(connection: Connection, api: Any, image: str, reader: str, tmp_path: Path) -> Iterator[Lab]:
    if reader == "node" and not connection.own:
        pytest.skip("the node of this cluster is another machine: its files are not here")
    namespace = f"collector-{uuid.uuid4().hex[:8]}"
    known = connection.lake
    settings = StoreSettings(
        bucket=known.bucket,
        endpoint=known.endpoint,
        prefix=f"tests/{namespace}",
        region=known.region,
        access_key=known.access_key,
        secret_key=known.secret_key,
    )
    made = Lab(connection, api, image, namespace, settings, Front(connection.kubeconfig))
    made.core.create_namespace({"metadata": {"name": namespace}})
    try:
        made.secret(
            "store-keys", {"accessKeyId": settings.access_key or "", "secretAccessKey": settings.secret_key or ""}
        )
        spec = {
            "endpoint": settings.endpoint, "bucket": settings.bucket, "prefix": settings.prefix,
            "region": settings.region, "credentials": {"secretName": "store-keys"}, "default": True,
        }  # fmt: skip
        made.create("Storage", "main", spec)
        wait("pods are admitted", made.has_account)
        if reader == "node":
            made.log_server = LogServer(made, tmp_path, free_port(), free_port())
            made.log_server.start()
        yield made
    finally:
        if made.log_server is not None:
            made.log_server.end()
            print(made.log_server.log())  # noqa: T201 - pytest shows it if a test failed
        made.front.close()
        made.core.delete_namespace(namespace)
        asyncio.run(made.empty_store())


@pytest.fixture
def collector(lab: Lab, tmp_path: Path) -> Iterator[Collector]:
    made = Collector(lab, tmp_path / "collector.log")
    yield made
    made.leave()
