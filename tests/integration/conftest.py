"""SeaweedFS, an S3 store with an Iceberg REST catalog, for all integration tests. It is started if needed."""

from __future__ import annotations

from pathlib import Path
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of Spark in one process, because its start takes 15 s, and show unraisable exceptions.

    They fail no test yet: some tests leave sockets to the garbage collector.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning"))
        if {"spark", "spark_rounds"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("spark"))


@pytest.fixture(scope="session")
def lake() -> Lake:
    """How to reach the store (endpoint, bucket, region, keys) and the catalog (uri, warehouse, client id, secret)."""
    return local_lake.up()


@pytest.fixture
def lake_space(lake: Lake) -> Iterator[LakeSpace]:
    """Unique prefixes of keys and namespaces for a test. Everything below them is deleted when the test ends."""
    space = LakeSpace(lake)
    yield space
    space.empty()


@pytest.fixture(scope="session")
def spark_files() -> Spark:
    """Spark and its jars. Tests of Spark are skipped if neither Maven Central nor a mirror can be reached."""
    try:
        return local_spark.up()
    except local_spark.UnreachableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def spark(lake: Lake, spark_files: Spark) -> Iterator[SparkSession]:
    """Spark connected to the catalog. Its process starts with the first statement, which takes about 15 s."""
    assert spark_files.jars
    with SparkSession(lake) as session:
        yield session
