"""SeaweedFS, an S3 store with an Iceberg REST catalog, for any integration test. It is started if needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.cluster.build import spark as local_spark
from dev.cluster.stores import seaweedfs as local_lake
from tests.integration.lake_space import LakeSpace
from tests.integration.spark_session import SparkSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.build.spark import Spark
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
def spark_files() -> Spark:
    """Spark and its jars. A machine without a way to Maven Central, or a mirror of it, skips the tests of Spark."""
    try:
        return local_spark.up()
    except local_spark.UnreachableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def spark(lake: Lake, spark_files: Spark) -> Iterator[SparkSession]:
    """Spark at the catalog. The process starts with the first statement, which takes some 15 s."""
    assert spark_files.jars
    with SparkSession(lake) as session:
        yield session
