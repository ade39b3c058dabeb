"""Tables from another engine's view: DuckDB with its own Iceberg extension, which knows only the specification."""

from __future__ import annotations

from importlib.resources import files as files_of
from typing import TYPE_CHECKING, Any

import duckdb

from componentrun.loader.catalog.names import to_iceberg
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from tests.integration.lake_space import LakeSpace

__all__ = ["Foreign"]


class Foreign:
    """A connection to the catalog."""

    def __init__(self, space: LakeSpace) -> None:
        self._space = space
        store, access = space.settings, space.catalog
        host = store.endpoint.partition("://")[2]
        self._connection = duckdb.connect()
        for name in ("avro", "httpfs", "iceberg"):
            path = files_of(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
            self._connection.execute(f"LOAD '{path / f'{name}.duckdb_extension'}'")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(
            f"CREATE SECRET store (TYPE s3, KEY_ID '{store.access_key}', SECRET '{store.secret_key}', "
            f"ENDPOINT '{host}', USE_SSL false, URL_STYLE 'path', REGION '{store.region}')"
        )
        self._connection.execute(
            f"CREATE SECRET catalog (TYPE iceberg, CLIENT_ID '{access.client_id}', "
            f"CLIENT_SECRET '{access.client_secret}', OAUTH2_SERVER_URI '{access.uri}/v1/oauth/tokens')"
        )
        self._connection.execute(
            f"ATTACH '{access.warehouse}' AS lake (TYPE iceberg, ENDPOINT '{access.uri}', SECRET catalog, "
            "ACCESS_DELEGATION_MODE 'none', READ_ONLY false)"
        )

    def name(self, table: str) -> str:
        """Name of a table in SQL."""
        return f"lake.{to_iceberg(self._space.namespace_prefix, TableId.parse(table))}"

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement."""
        return self._connection.execute(statement).fetchall()

    def rows(self, table: str, columns: str = "* EXCLUDE (_timestamp)") -> list[tuple[Any, ...]]:
        """All rows, in no particular order."""
        return self.execute(f"SELECT {columns} FROM {self.name(table)}")  # noqa: S608 - made here
