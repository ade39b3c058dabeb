"""Spark in local mode, connected to the tests' catalog: another engine that knows only the specification."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from componentrun.loader.catalog.names import to_iceberg
from componentrun.storage.store.keys import TableId
from dev.cluster.build import spark

if TYPE_CHECKING:
    from dev.cluster.stores.seaweedfs import Lake
    from tests.integration.lake_space import LakeSpace

__all__ = ["SparkError", "SparkSession"]

_CATALOG = "spark.sql.catalog.lake"


class SparkError(Exception):
    """A statement failed."""


class SparkSession:
    """A process with a Spark session that starts with the first statement and is shared by all tests."""

    def __init__(self, lake: Lake) -> None:
        """Nothing is started yet."""
        self._lake = lake
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate(timeout=60)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement.

        Raises:
            SparkError: the statement failed.
        """
        if self._process is None:
            self._process = self._start()
            self._ask(self._process, self._settings())
        return self._ask(self._process, statement)

    def name(self, space: LakeSpace, table: str) -> str:
        """Name of a table in SQL."""
        return f"lake.{to_iceberg(space.namespace_prefix, TableId.parse(table))}"

    def _start(self) -> subprocess.Popen[str]:
        found = spark.up()
        client = str(Path(__file__).with_name("spark_client.py"))
        return subprocess.Popen(
            [str(found.python), client],
            env=found.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def _ask(process: subprocess.Popen[str], question: object) -> list[tuple[Any, ...]]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline() or '{"error": "Spark ended; its last words are on stderr"}')
        if "error" in answer:
            raise SparkError(answer["error"])
        return [tuple(row) for row in answer["rows"]]

    def _settings(self) -> dict[str, str]:
        lake = self._lake
        return {
            "spark.jars": ",".join(map(str, spark.up().jars)),
            "spark.driver.memory": "1g",
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            _CATALOG: "org.apache.iceberg.spark.SparkCatalog",
            f"{_CATALOG}.type": "rest",
            f"{_CATALOG}.uri": lake.catalog_uri,
            f"{_CATALOG}.warehouse": lake.catalog_warehouse,
            f"{_CATALOG}.credential": f"{lake.catalog_client_id}:{lake.catalog_client_secret}",
            f"{_CATALOG}.oauth2-server-uri": f"{lake.catalog_uri}/v1/oauth/tokens",
            f"{_CATALOG}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            f"{_CATALOG}.s3.endpoint": lake.endpoint,
            f"{_CATALOG}.s3.access-key-id": lake.access_key,
            f"{_CATALOG}.s3.secret-access-key": lake.secret_key,
            f"{_CATALOG}.s3.path-style-access": "true",
            f"{_CATALOG}.client.region": lake.region,
            # Other tests may write between two statements.
            f"{_CATALOG}.cache-enabled": "false",
        }
