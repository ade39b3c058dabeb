"""What maintenance is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.process.settings import ProcessSettings, Reader, read_process, seconds, whole, words
from componentrun.storage.cleanup.sweep import MIN_KEEP

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "TableSettings", "from_environment"]

_LONGEST: Final = 10 * 366 * 86400


@dataclass(frozen=True, slots=True)
class TableSettings:
    """When files of tables are rewritten, and how many bytes."""

    target: int = 256 * 2**20
    """Bytes of a file that is made of many."""
    files: int = 8
    """Fewer files than this are not put together."""
    deleted_percent: int = 20
    """A file is rewritten when this share of its rows is deleted."""
    table: int = 4096 * 2**20
    """Bytes that are rewritten of one table in a round."""
    round: int = 32768 * 2**20
    """Bytes that are rewritten of all tables of a Storage in a round."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of maintenance."""

    process: ProcessSettings = field(default_factory=ProcessSettings)
    """What every process is told; it serves nothing."""
    keep: timedelta = MIN_KEEP
    """How long data is kept that nothing names any more."""
    scratch: int = 4096 * 2**20
    """Bytes that a rewrite of a table's files may use on the local disk."""
    tables: TableSettings = field(default_factory=TableSettings)
    """When files of tables are rewritten."""
    spark_image: str = ""
    """Image of the Jobs in which Spark maintains large tables, unless the Storage names one. Empty: no Jobs."""
    pull_secrets: tuple[str, ...] = ()
    """Secrets of a Storage's namespace to log in at that image's registry with."""
    dns_cidrs: tuple[str, ...] = ()
    """Where their pods may send DNS queries to besides the cluster's own DNS pods."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are wrong; each is named with its value and what was expected.
    """
    reader, default = Reader(environment, "maintenance"), Settings()
    shortest = MIN_KEEP.total_seconds()
    keep = reader.read("MAINTENANCE_KEEP_SECONDS", seconds(shortest, _LONGEST), shortest)
    settings = Settings(
        process=read_process(reader),
        keep=timedelta(seconds=keep),
        scratch=_mib(reader, "MAINTENANCE_SCRATCH_MIB", default.scratch, 64),
        tables=TableSettings(
            target=_mib(reader, "MAINTENANCE_TABLES_FILE_MIB", default.tables.target, 1),
            files=reader.read("MAINTENANCE_TABLES_FILES", whole(2, 10_000), default.tables.files),
            deleted_percent=reader.read("MAINTENANCE_TABLES_DELETED_PERCENT", whole(1, 100), 20),
            table=_mib(reader, "MAINTENANCE_TABLES_TABLE_MIB", default.tables.table, 1),
            round=_mib(reader, "MAINTENANCE_TABLES_ROUND_MIB", default.tables.round, 1),
        ),
        spark_image=reader.read("MAINTENANCE_SPARK_IMAGE", str, ""),
        pull_secrets=reader.read("AGENT_PULL_SECRETS", words, ()),
        dns_cidrs=reader.read("DNS_CIDRS", words, ()),
    )
    reader.check()
    return settings


def _mib(reader: Reader, name: str, default: int, least: int) -> int:
    """Bytes, of a variable in MiB."""
    return reader.read(name, whole(least, 2**30), default // 2**20) * 2**20
