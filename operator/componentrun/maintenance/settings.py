"""Settings of maintenance."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from componentrun.process.settings import Chart, ProcessSettings, Seconds, Words
from componentrun.storage.cleanup.sweep import MIN_KEEP

__all__ = ["MIB", "Settings"]

MIB: Final = 2**20
_MIN_KEEP_SECONDS: Final = int(MIN_KEEP.total_seconds())
_MAX_KEEP_SECONDS: Final = 10 * 366 * 86400
_Mebibytes = Annotated[int, Field(ge=1, le=2**30)]


class Settings(ProcessSettings):
    """All settings of maintenance. It serves nothing."""

    owner: ClassVar[str] = "maintenance"
    section: ClassVar[str] = "maintenance"

    maintenance_keep_seconds: Annotated[
        Seconds, Field(ge=_MIN_KEEP_SECONDS, le=_MAX_KEEP_SECONDS), Chart("maintenance.keep")
    ] = _MIN_KEEP_SECONDS
    """How long data is kept that nothing refers to any more."""
    maintenance_scratch_mib: Annotated[int, Field(ge=64, le=2**30), Chart("maintenance.scratchMiB")] = 4096
    """Local disk that a rewrite of a table's files may use."""
    maintenance_tables_file_mib: Annotated[_Mebibytes, Chart("maintenance.tables.fileMiB")] = 256
    """Size of a file that small files are rewritten into."""
    maintenance_tables_files: Annotated[int, Field(ge=2, le=10_000), Chart("maintenance.tables.files")] = 8
    """Fewest small files that are rewritten into one."""
    maintenance_tables_deleted_percent: Annotated[
        int, Field(ge=1, le=100), Chart("maintenance.tables.deletedPercent")
    ] = 20
    """Share of deleted rows from which on a file is rewritten."""
    maintenance_tables_table_mib: Annotated[_Mebibytes, Chart("maintenance.tables.tableMiB")] = 4096
    """Data of one table that is rewritten in a round."""
    maintenance_tables_round_mib: Annotated[_Mebibytes, Chart("maintenance.tables.roundMiB")] = 32768
    """Data of all tables of a Storage that is rewritten in a round."""
    maintenance_spark_image: str = ""
    """Image of the Jobs in which Spark maintains large tables, unless the Storage names one. Empty: no Jobs."""
    agent_pull_secrets: Annotated[tuple[str, ...], *Words, Chart("imagePullSecrets")] = ()
    """Secrets of a Storage's namespace with the login for that image's registry."""
    dns_cidrs: Annotated[tuple[str, ...], *Words, Chart("operator.dnsCidrs")] = ()
    """Where their pods may send DNS queries to, in addition to the cluster's own DNS pods."""
