"""Statements that attach the catalog of a Storage in other engines. Pure; without credentials.

Credentials are read from environment variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`
for the store, `CATALOG_CLIENT_ID`, `CATALOG_CLIENT_SECRET` or `CATALOG_TOKEN` for the catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from componentrun.client.storage.store import Engine
from componentrun.loader.catalog.names import IcebergName, events_table, to_iceberg
from componentrun.sql.tables import quoted
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from componentrun.storage.store.catalog import CatalogSettings
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["setup_of"]

_EVENTS: Final = "events"
_ACCESS_KEY: Final = "AWS_ACCESS_KEY_ID"
_SECRET_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
_SESSION: Final = "AWS_SESSION_TOKEN"
_CLIENT_ID: Final = "CATALOG_CLIENT_ID"
_CLIENT_SECRET: Final = "CATALOG_CLIENT_SECRET"  # noqa: S105 - likewise
_TOKEN: Final = "CATALOG_TOKEN"  # noqa: S105 - likewise
_ICEBERG: Final = "1.10.1"
"""Release of Iceberg's packages for Spark 4.0."""
_EXTENSIONS: Final = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"


@dataclass(frozen=True, slots=True)
class _Access:
    """Values for the statements of all engines."""

    store: StoreSettings
    catalog: CatalogSettings
    table: str
    """Id of a table."""
    name: IcebergName
    """Its name in the catalog."""

    @property
    def has_keys(self) -> bool:
        return self.store.access_key is not None

    @property
    def variables(self) -> list[str]:
        """Environment variables to set."""
        keys = [_ACCESS_KEY, _SECRET_KEY] if self.has_keys else []
        keys += [_SESSION] if self.store.session_token is not None else []
        keys += [_CLIENT_ID, _CLIENT_SECRET] if self.catalog.client_id is not None else []
        return keys + ([_TOKEN] if self.catalog.token is not None else [])


def setup_of(store: StoreSettings, engine: Engine, table_id: str) -> str:
    """The statements for an engine.

    Args:
        store: the Storage, with its catalog.
        engine: the engine.
        table_id: a table to read as an example; `events` is the table of events.

    Raises:
        UserError: (InvalidSpec) it is not a table id.
    """
    assert store.catalog is not None  # noqa: S101 - `Store.catalog_access` says so
    prefix = store.catalog.namespace_prefix
    name = events_table(prefix) if table_id == _EVENTS else to_iceberg(prefix, TableId.parse(table_id))
    access = _Access(store, store.catalog, table_id, name)
    writers = {Engine.DUCKDB: _duckdb, Engine.SPARK: _spark, Engine.TRINO: _trino, Engine.PYICEBERG: _pyiceberg}
    return "\n".join(writers[engine](access)) + "\n"


def _head(access: _Access, mark: str) -> list[str]:
    lines = [f"{mark} Catalog of Storage `{access.store.name}`."]
    if access.variables:
        lines.append(f"{mark} Set these environment variables first: {', '.join(access.variables)}.")
    if access.catalog.ca_bundle is not None or access.store.ca_bundle is not None:
        lines.append(
            f"{mark} The Storage names certificate authorities of its own (`caBundle`); the engine has to trust them."
        )
    return lines


def _called(access: _Access, mark: str, name: str) -> str:
    return f"{mark} Table `{access.table}` is {name} there."


def _example(name: str) -> str:
    return f"SELECT * FROM {name} LIMIT 10"  # noqa: S608 - names in a catalog need no quotes


def _duckdb(access: _Access) -> list[str]:
    store, catalog = access.store, access.catalog
    secret = ["TYPE s3", f"REGION {quoted(store.region)}"]
    if access.has_keys:
        secret += [f"KEY_ID getenv('{_ACCESS_KEY}')", f"SECRET getenv('{_SECRET_KEY}')"]
        secret += [f"SESSION_TOKEN getenv('{_SESSION}')"] if store.session_token is not None else []
    else:
        secret.append("PROVIDER credential_chain")
    if store.endpoint is not None:
        url = urlsplit(store.endpoint)
        secret += [f"ENDPOINT {quoted(url.netloc)}", "URL_STYLE 'path'"]
        secret += ["USE_SSL false"] if url.scheme == "http" else []
    attach = ["TYPE iceberg"]
    if catalog.sigv4_service is not None:
        attach += [f"ENDPOINT {quoted(catalog.uri.partition('://')[2])}", "AUTHORIZATION_TYPE 'sigv4'"]
    else:
        attach.append(f"ENDPOINT {quoted(catalog.uri)}")
        attach.append("SECRET componentrun_catalog" if _authenticates(catalog) else "AUTHORIZATION_TYPE 'none'")
    attach.append("ACCESS_DELEGATION_MODE 'none'")
    name = f"lake.{access.name}"
    return [
        *_head(access, "--"),
        "INSTALL httpfs; LOAD httpfs; INSTALL avro; LOAD avro; INSTALL iceberg; LOAD iceberg;",
        *([] if access.has_keys else ["INSTALL aws; LOAD aws;"]),
        f"CREATE OR REPLACE SECRET componentrun_store ({', '.join(secret)});",
        *_duckdb_catalog_secret(catalog),
        f"ATTACH {quoted(catalog.warehouse)} AS lake ({', '.join(attach)});",
        _called(access, "--", f"`{name}`"),
        f"{_example(name)};",
    ]


def _authenticates(catalog: CatalogSettings) -> bool:
    return catalog.client_id is not None or catalog.token is not None


def _duckdb_catalog_secret(catalog: CatalogSettings) -> list[str]:
    if not _authenticates(catalog):
        return []
    if catalog.token is not None:
        parts = [f"TOKEN getenv('{_TOKEN}')"]
    else:
        parts = [
            f"CLIENT_ID getenv('{_CLIENT_ID}')",
            f"CLIENT_SECRET getenv('{_CLIENT_SECRET}')",
            f"OAUTH2_SERVER_URI {quoted(catalog.oauth2_server_uri)}",
            f"OAUTH2_SCOPE {quoted(catalog.scope)}",
        ]
    return [f"CREATE OR REPLACE SECRET componentrun_catalog (TYPE iceberg, {', '.join(parts)});"]


def _spark(access: _Access) -> list[str]:
    store, catalog = access.store, access.catalog
    prefix = "spark.sql.catalog.lake"
    settings = {
        "spark.sql.extensions": _EXTENSIONS,
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        f"{prefix}.type": "rest",
        f"{prefix}.uri": catalog.uri,
        f"{prefix}.warehouse": catalog.warehouse,
        f"{prefix}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{prefix}.client.region": store.region,
    }
    if store.endpoint is not None:
        settings |= {f"{prefix}.s3.endpoint": store.endpoint, f"{prefix}.s3.path-style-access": "true"}
    lines = [f"  --conf {_in_shell(f'{name}={value}')}" for name, value in settings.items()]
    lines += [f'  --conf "{prefix}.{name}={value}"' for name, value in _rest_properties(catalog, "${}").items()]
    name = f"lake.{access.name}"
    packages = ",".join(
        f"org.apache.iceberg:{part}:{_ICEBERG}" for part in ("iceberg-spark-runtime-4.0_2.13", "iceberg-aws-bundle")
    )
    lines = ["spark-sql \\", f"  --packages {packages} \\", *(f"{line} \\" for line in lines)]
    return [
        *_head(access, "#"),
        _called(access, "#", f"`{name}`"),
        *lines,
        f"  -e {_in_shell(_example(name))}",
    ]


def _in_shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _rest_properties(catalog: CatalogSettings, variable: str) -> dict[str, str]:
    """How Iceberg's own REST client authenticates; `variable` makes a reference of the name of a variable."""
    if catalog.client_id is not None:
        pair = f"{variable.format(_CLIENT_ID)}:{variable.format(_CLIENT_SECRET)}"
        return {"credential": pair, "oauth2-server-uri": catalog.oauth2_server_uri, "scope": catalog.scope}
    if catalog.token is not None:
        return {"token": variable.format(_TOKEN)}
    if catalog.sigv4_service is not None:
        return {
            "rest.sigv4-enabled": "true",
            "rest.signing-name": catalog.sigv4_service,
            "rest.signing-region": catalog.sigv4_region or "",
        }
    return {}


def _trino(access: _Access) -> list[str]:
    store, catalog = access.store, access.catalog
    lines = [
        *_head(access, "#"),
        "# etc/catalog/lake.properties",
        "connector.name=iceberg",
        "iceberg.catalog.type=rest",
        f"iceberg.rest-catalog.uri={catalog.uri}",
        f"iceberg.rest-catalog.warehouse={catalog.warehouse}",
        *_trino_authentication(catalog),
        "fs.native-s3.enabled=true",
        f"s3.region={store.region}",
    ]
    if store.endpoint is not None:
        lines += [f"s3.endpoint={store.endpoint}", "s3.path-style-access=true"]
    if access.has_keys:
        lines += [f"s3.aws-access-key=${{ENV:{_ACCESS_KEY}}}", f"s3.aws-secret-key=${{ENV:{_SECRET_KEY}}}"]
    name = f"lake.{access.name}"
    return [*lines, _called(access, "#", f"`{name}`"), f"# {_example(name)};"]


def _trino_authentication(catalog: CatalogSettings) -> list[str]:
    prefix = "iceberg.rest-catalog"
    if catalog.client_id is not None:
        return [
            f"{prefix}.security=OAUTH2",
            f"{prefix}.oauth2.credential=${{ENV:{_CLIENT_ID}}}:${{ENV:{_CLIENT_SECRET}}}",
            f"{prefix}.oauth2.server-uri={catalog.oauth2_server_uri}",
            f"{prefix}.oauth2.scope={catalog.scope}",
        ]
    if catalog.token is not None:
        return [f"{prefix}.security=OAUTH2", f"{prefix}.oauth2.token=${{ENV:{_TOKEN}}}"]
    if catalog.sigv4_service is not None:
        return [f"{prefix}.security=SIGV4", f"{prefix}.signing-name={catalog.sigv4_service}"]
    return []


def _pyiceberg(access: _Access) -> list[str]:
    store, catalog = access.store, access.catalog
    settings = {"type": "rest", "uri": catalog.uri, "warehouse": catalog.warehouse, "s3.region": store.region}
    if store.endpoint is not None:
        settings["s3.endpoint"] = store.endpoint
    lines = [f"    {name!r}: {value!r}," for name, value in settings.items()]
    if access.has_keys:
        lines += [
            f'    "s3.access-key-id": os.environ["{_ACCESS_KEY}"],',
            f'    "s3.secret-access-key": os.environ["{_SECRET_KEY}"],',
        ]
    if store.session_token is not None:
        lines.append(f'    "s3.session-token": os.environ["{_SESSION}"],')
    lines += [
        f"    {name!r}: {_python(value)}," for name, value in _rest_properties(catalog, '{{os.environ["{}"]}}').items()
    ]
    return [
        *_head(access, "#"),
        "# pip install 'pyiceberg[pyarrow]'",
        "import os",
        "",
        "from pyiceberg.catalog import load_catalog",
        "",
        "catalog = load_catalog(**{",
        *lines,
        "})",
        _called(access, "#", repr(str(access.name))),
        f"table = catalog.load_table({str(access.name)!r})",
        "print(table.scan(limit=10).to_arrow())",
    ]


def _python(value: str) -> str:
    return f"f'{value}'" if "{os.environ" in value else repr(value)
