"""SeaweedFS, an S3 store with an Iceberg REST catalog, for any integration test. It is started if needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.cluster.stores import seaweedfs as local_lake
from tests.integration.lake_space import LakeSpace
from tests.integration.spark_session import SparkSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.stores.seaweedfs import Lake


@pytest.fixture(scope="session")
def lake() -> Lake:
    """How to reach the store (endpoint, bucket, region, keys) and the catalog (uri, warehouse, client id, secret)."""
    return local_lake.up()


@pytest.fixture
def lake_space(lake: Lake) -> Iterator[LakeSpace]:
    """A prefix of keys and of namespaces that no other test uses; what is below them is deleted when the test ends."""
    space = LakeSpace(lake)
    yield space
    space.empty()


@pytest.fixture(scope="session")
def spark(lake: Lake) -> Iterator[SparkSession]:
    """Spark at the catalog. The process starts with the first statement, which takes some 15 s."""
    with SparkSession(lake) as session:
        yield session
