"""Spark settings for the store and the catalog of a Storage. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.storage.store.settings import StoreSettings

__all__ = ["CATALOG", "RESERVED", "catalog_settings", "credentials", "start_settings"]

CATALOG: Final = "lake"
"""Name of the catalog in SQL."""
_OWN: Final = f"spark.sql.catalog.{CATALOG}"
RESERVED: Final = (_OWN, "spark.jars", "spark.driver.memory", "spark.sql.extensions", "spark.master")
"""Prefixes of settings that a Storage can't override."""
_MIB: Final = 2**20
_OVERHEAD: Final = 384 * _MIB
"""Memory that Java needs besides its heap, and Python."""
_LEAST_HEAP: Final = 512 * _MIB


def start_settings(memory: int, jars: Sequence[str], more: Mapping[str, str]) -> dict[str, str]:
    """Settings that Spark starts with. They are process arguments, so they must not contain credentials.

    Args:
        memory: bytes that the process may use, heap and overhead.
        jars: paths of Iceberg's jars.
        more: settings of the Storage; the ones made here take precedence.
    """
    heap = max(_LEAST_HEAP, int(memory * 0.8) - _OVERHEAD) // _MIB
    return {
        **{name: value for name, value in more.items() if name.startswith("spark.") and not name.startswith(RESERVED)},
        "spark.master": "local[*]",
        "spark.driver.memory": f"{heap}m",
        "spark.jars": ",".join(jars),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        # Driver and executor are one process, and no other process may connect to the pod.
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        _OWN: "org.apache.iceberg.spark.SparkCatalog",
    }


def catalog_settings(settings: StoreSettings) -> dict[str, str]:
    """Settings of catalog and store, without credentials. The Storage must have a catalog."""
    catalog = settings.catalog
    assert catalog is not None  # noqa: S101 - maintenance starts a Job for nothing else
    values = {
        "type": "rest",
        "uri": catalog.uri,
        "warehouse": catalog.warehouse,
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "client.region": settings.region,
        "cache-enabled": "false",
    }
    if settings.endpoint is not None:
        values |= {"s3.endpoint": settings.endpoint, "s3.path-style-access": "true"}
    if catalog.client_id is not None:
        values |= {"oauth2-server-uri": catalog.oauth2_server_uri, "scope": catalog.scope}
    if catalog.sigv4_service is not None:
        values |= {
            "rest.sigv4-enabled": "true",
            "rest.signing-name": catalog.sigv4_service,
            "rest.signing-region": catalog.sigv4_region or settings.region,
        }
    return {f"{_OWN}.{name}": value for name, value in values.items()}


def credentials(settings: StoreSettings) -> dict[str, str]:
    """Keys and tokens. Set them on a running session: `ps` shows the settings that Spark starts with."""
    catalog = settings.catalog
    assert catalog is not None  # noqa: S101 - maintenance starts a Job for nothing else
    values: dict[str, str | None] = {
        "s3.access-key-id": settings.access_key,
        "s3.secret-access-key": settings.secret_key,
        "s3.session-token": settings.session_token,
        "token": catalog.token,
        "credential": f"{catalog.client_id}:{catalog.client_secret}" if catalog.client_id is not None else None,
    }
    if catalog.sigv4_service is not None:
        values |= {
            "rest.access-key-id": settings.access_key,
            "rest.secret-access-key": settings.secret_key,
            "rest.session-token": settings.session_token,
        }
    return {f"{_OWN}.{name}": value for name, value in values.items() if value is not None}
