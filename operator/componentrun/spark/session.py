"""Spark in this process, and the procedures of Iceberg that maintenance uses."""

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
"""Of one rewrite at most. Each holds alone: what a load prevents in one of them is done in the others."""
_STORE_KIND: Final = "PKCS12"
_PASSWORD: Final = "componentrun"  # noqa: S105 - Java wants one; authorities are no secret
_GROUP_BYTES: Final = 4 * 2**30
"""Bytes of files that are rewritten together."""


@dataclass(frozen=True, slots=True)
class RewriteDone:
    """What a rewrite did."""

    files: int
    """Data files that are gone."""
    new_files: int
    """Data files that stand in their place."""
    bytes: int
    """Bytes of the files that are gone."""
    failed: int
    """Data files that were to be rewritten and stay, because somebody else has changed them meanwhile."""


class Session:
    """A session of Spark. Methods raise PlatformError where Spark fails."""

    def __init__(self, settings: StoreSettings, task: SparkTask, jars: Sequence[str], folder: str) -> None:
        """Start Spark, which takes some 10 s. `folder`: where a file is kept until it ends."""
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
        """Put small files together, and drop deleted rows. Files that somebody else changes meanwhile stay."""
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
            done = action.snapshotProperty(properties.MAINTENANCE, properties.REWRITE).execute()
        except Exception as error:
            raise _failed(name, error) from error
        return RewriteDone(
            done.rewrittenDataFilesCount(),
            done.addedDataFilesCount(),
            done.rewrittenBytesCount(),
            done.failedDataFilesCount(),
        )

    def rewrite_deletes(self, name: IcebergName) -> None:
        """Put files of deleted rows together, and drop positions in files that are gone."""
        action = self._actions().rewritePositionDeletes(self._table(name))
        action = action.option("rewrite-all", "true")
        try:
            action.snapshotProperty(properties.MAINTENANCE, properties.REWRITE).execute()
        except Exception as error:
            raise _failed(name, error) from error

    def expire(self, name: IcebergName, snapshots: Sequence[int]) -> int:
        """Remove exactly these snapshots; how many files that only they reached were deleted."""
        listed = ", ".join(map(str, snapshots))
        # No snapshot is old enough to go for its age alone.
        statement = (
            f"CALL {CATALOG}.system.expire_snapshots(table => '{name}', older_than => TIMESTAMP'1970-01-01 00:00:01', "
            f"snapshot_ids => ARRAY({listed}))"
        )
        try:
            (row,) = self._spark.sql(statement).collect()
        except Exception as error:
            raise _failed(name, error) from error
        return sum(int(count or 0) for count in row)

    def _trust(self, bundle: str, file: str) -> None:
        """Have Java trust the authorities of this machine and those of the bundle, before it opens a connection."""
        gateway = self._spark.sparkContext._gateway  # noqa: SLF001 - the only way to Java
        java, password = gateway.jvm.java, gateway.new_array(gateway.jvm.char, len(_PASSWORD))
        for place, letter in enumerate(_PASSWORD):
            password[place] = letter
        store = java.security.KeyStore.getInstance(_STORE_KIND)
        store.load(None, None)
        text = java.io.ByteArrayInputStream(all_authorities(bundle).encode("ascii"))
        found = java.security.cert.CertificateFactory.getInstance("X.509").generateCertificates(text)
        for number, authority in enumerate(found):
            store.setCertificateEntry(f"authority-{number}", authority)
        stream = java.io.FileOutputStream(file)
        store.store(stream, password)
        stream.close()
        for name, value in (("", file), ("Type", _STORE_KIND), ("Password", _PASSWORD)):
            java.lang.System.setProperty(f"javax.net.ssl.trustStore{name}", value)

    def _actions(self) -> Any:
        """Iceberg's actions. SQL procedures do the same, but put nothing into the summary of a snapshot."""
        return self._java.actions.SparkActions.get(self._session)

    def _table(self, name: IcebergName) -> Any:
        return self._java.Spark3Util.loadIcebergTable(self._session, f"{CATALOG}.{name}")

    def close(self) -> None:
        """End Spark."""
        self._spark.stop()


def _failed(name: IcebergName, error: Exception) -> PlatformError:
    """Java's message without its stack; Spark shows no credential in it."""
    first = str(error).partition("\n\tat ")[0]
    return PlatformError(f"Spark can't maintain `{name}`: {first[:2000]}", Reason.PUBLISH_FAILED)
