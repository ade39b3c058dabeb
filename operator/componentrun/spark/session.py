"""A Spark session in this process, and the Iceberg procedures that maintenance uses."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog import properties
from componentrun.loader.reading.duck import all_authorities
from componentrun.spark.settings import CATALOG, catalog_settings, credentials, start_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.loader.catalog.names import IcebergName
    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.spark import SparkTask

__all__ = ["RewriteDone", "Session"]

_COMMITS: Final = 10
"""Maximum number of commits of a rewrite. A load that conflicts with one of them does not affect the others."""
_STORE_KIND: Final = "PKCS12"
_PASSWORD: Final = "componentrun"  # noqa: S105 - Java requires one; CA certificates are no secret
_GROUP_BYTES: Final = 4 * 2**30
"""Bytes of files that are rewritten together."""


@dataclass(frozen=True, slots=True)
class RewriteDone:
    """The result of a rewrite."""

    files: int
    """Data files that were replaced."""
    new_files: int
    """Data files that replace them."""
    bytes: int
    """Bytes of the files that were replaced."""
    failed: int
    """Data files that stay, because another writer changed them at the same time."""


class Session:
    """A Spark session. Methods raise PlatformError if Spark fails."""

    def __init__(self, settings: StoreSettings, task: SparkTask, jars: Sequence[str], folder: str) -> None:
        """Start Spark, which takes about 10 s. Keep a file in `folder` until the session is closed."""
        builder = importlib.import_module("pyspark.sql").SparkSession.builder
        for name, value in start_settings(task.memory, jars, task.conf).items():
            builder = builder.config(name, value)
        self._spark: Any = builder.getOrCreate()
        self._spark.sparkContext.setLogLevel("WARN")
        catalog = settings.catalog
        bundles = [settings.ca_bundle, catalog.ca_bundle if catalog is not None else None]
        self._trust("\n".join(bundle for bundle in bundles if bundle is not None), f"{folder}/authorities.p12")
        for name, value in (catalog_settings(settings) | credentials(settings)).items():
            self._spark.conf.set(name, value)
        self._java, self._session = self._spark._jvm.org.apache.iceberg.spark, self._spark._jsparkSession  # noqa: SLF001 - the only way to Java
        self._task = task

    def rewrite(self, name: IcebergName) -> RewriteDone:
        """Merge small files and drop deleted rows. Files that another writer changes at the same time stay."""
        action = self._actions().rewriteDataFiles(self._table(name))
        options = {
            "target-file-size-bytes": self._task.file_bytes,
            "max-file-group-size-bytes": _GROUP_BYTES,
            "min-input-files": self._task.files,
            "delete-file-threshold": self._task.files,
            "delete-ratio-threshold": self._task.deleted_percent / 100,
            "partial-progress.enabled": "true",
            "partial-progress.max-commits": _COMMITS,
            "partial-progress.max-failed-commits": _COMMITS,
        }
        for option, value in options.items():
            action = action.option(option, str(value))
        try:
            result = action.snapshotProperty(properties.MAINTENANCE, properties.REWRITE).execute()
        except Exception as error:
            raise _failed(name, error) from error
        return RewriteDone(
            result.rewrittenDataFilesCount(),
            result.addedDataFilesCount(),
            result.rewrittenBytesCount(),
            result.failedDataFilesCount(),
        )

    def rewrite_deletes(self, name: IcebergName) -> None:
        """Merge position delete files, and drop positions in files that do not exist any more."""
        action = self._actions().rewritePositionDeletes(self._table(name))
        action = action.option("rewrite-all", "true")
        try:
            action.snapshotProperty(properties.MAINTENANCE, properties.REWRITE).execute()
        except Exception as error:
            raise _failed(name, error) from error

    def expire(self, name: IcebergName, snapshots: Sequence[int]) -> int:
        """Remove exactly these snapshots. Return the number of files deleted, which only they referenced."""
        ids = ", ".join(map(str, snapshots))
        # With this timestamp no snapshot expires because of its age alone.
        statement = (
            f"CALL {CATALOG}.system.expire_snapshots(table => '{name}', older_than => TIMESTAMP'1970-01-01 00:00:01', "
            f"snapshot_ids => ARRAY({ids}))"
        )
        try:
            (row,) = self._spark.sql(statement).collect()
        except Exception as error:
            raise _failed(name, error) from error
        return sum(int(count or 0) for count in row)

    def _trust(self, bundle: str, file: str) -> None:
        """Make Java trust the CAs of this machine and those of the bundle. Call before it opens a connection."""
        gateway = self._spark.sparkContext._gateway  # noqa: SLF001 - the only way to Java
        java, password = gateway.jvm.java, gateway.new_array(gateway.jvm.char, len(_PASSWORD))
        for place, letter in enumerate(_PASSWORD):
            password[place] = letter
        store = java.security.KeyStore.getInstance(_STORE_KIND)
        store.load(None, None)
        text = java.io.ByteArrayInputStream(all_authorities(bundle).encode("ascii"))
        certificates = java.security.cert.CertificateFactory.getInstance("X.509").generateCertificates(text)
        for number, authority in enumerate(certificates):
            store.setCertificateEntry(f"authority-{number}", authority)
        stream = java.io.FileOutputStream(file)
        store.store(stream, password)
        stream.close()
        for name, value in (("", file), ("Type", _STORE_KIND), ("Password", _PASSWORD)):
            java.lang.System.setProperty(f"javax.net.ssl.trustStore{name}", value)

    def _actions(self) -> Any:
        """Iceberg's actions. SQL procedures do the same, but can't set properties in the snapshot summary."""
        return self._java.actions.SparkActions.get(self._session)

    def _table(self, name: IcebergName) -> Any:
        return self._java.Spark3Util.loadIcebergTable(self._session, f"{CATALOG}.{name}")

    def close(self) -> None:
        """Stop Spark."""
        self._spark.stop()


def _failed(name: IcebergName, error: Exception) -> PlatformError:
    """The Java message without its stack trace. Spark shows no credentials in it."""
    first = str(error).partition("\n\tat ")[0]
    return PlatformError(f"Spark can't maintain `{name}`: {first[:2000]}", Reason.PUBLISH_FAILED)
