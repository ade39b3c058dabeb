"""What the operator asks of the loader, and what the loader answers. JSON documents, see `documents`.

    POST /v1/load     LoadRequest  -> LoadAnswer    publish what an attempt uploaded: all of its tables or none
    POST /v1/fence    FenceRequest -> FenceAnswer   have it that an attempt is never published any more
    POST /v1/plan     PlanRequest  -> PlanAnswer    one consistent cut over tables: which files hold their rows
    POST /v1/check    CheckRequest -> CheckAnswer   try whether the catalog can do what publishing needs

Every request can be repeated, also at another replica. An answer says what is certain: `unknown` means that a commit
was sent and nobody knows whether it landed; asking again finds out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from componentrun.csv.columnfacts import ColumnFacts  # noqa: TC001 - from_json looks the types of fields up
from componentrun.wire.agents import TableWritten  # noqa: TC001 - likewise

__all__ = [
    "CHECK_PATH",
    "FENCE_PATH",
    "LOAD_PATH",
    "PLAN_PATH",
    "CatalogCheck",
    "CatalogReason",
    "CheckAnswer",
    "CheckRequest",
    "DeleteFile",
    "Failure",
    "FenceAnswer",
    "FenceRequest",
    "LoadAnswer",
    "LoadRequest",
    "LoadedTable",
    "PlanAnswer",
    "PlanRequest",
    "ScanColumn",
    "ScanFile",
    "TableScan",
]

LOAD_PATH: Final = "/v1/load"
FENCE_PATH: Final = "/v1/fence"
PLAN_PATH: Final = "/v1/plan"
CHECK_PATH: Final = "/v1/check"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request was not carried out."""

    reason: str
    """A `Reason`."""
    message: str
    kind: str = "platform"
    """`user`: the run's author can mend it; `platform`: the platform's; `transient`: it may pass by itself."""
    unknown: bool = False
    """Whether a commit was sent and nobody knows whether it landed. False: nothing was changed, for certain."""
    no_answer: bool = False
    """Whether the catalog gave no answer at all: whoever asks it next waits in vain, too."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What an attempt brings for tables."""

    storage: dict[str, Any] = field(repr=False)
    """How to reach the Storage and its catalog, with the keys (`storage.store.places`)."""
    run: str
    """Uid."""
    attempt: int
    tables: tuple[TableWritten, ...]
    """What is to be published, in the order of the output mapping."""
    prefix: str
    """Key prefix of the attempt's own objects."""
    buckets: tuple[str, ...]
    """Bucket ids, and beginnings of them with `*` behind, that may be written to. What is not among them is refused."""
    title: str = ""
    """namespace/name of the run, for messages and the history."""
    component: str = ""
    """For the history."""
    typed: bool = False
    """Whether columns get the types that their schema says; else they are text."""
    allow_non_atomic: bool = False
    """Whether several tables may be committed one after the other, where the catalog can't commit them at once."""


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """One table that a run changed."""

    table: str
    rows: int
    """Rows that the run brought."""
    bytes: int
    """Bytes of CSV that the run brought."""
    snapshot: str
    """Id of the snapshot that holds them, as text: it has 63 bits."""


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """What became of a load."""

    tables: tuple[LoadedTable, ...] = ()
    """What is published. Where there are none and `failure` is None, there was nothing to publish."""
    attempt: int = 0
    """That is published: an earlier one, where that was faster."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class FenceRequest:
    """An attempt that is to be given up."""

    storage: dict[str, Any] = field(repr=False)
    run: str
    attempt: int
    tables: tuple[str, ...]
    """Ids of the tables that it may have tried to change."""


@dataclass(frozen=True, slots=True)
class FenceAnswer:
    """Whether it is certain that the attempt is never published."""

    published: bool = False
    """It already is: then it can't be given up."""
    failure: Failure | None = None
    """Why it is not certain yet."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Tables that are to be read together."""

    storage: dict[str, Any] = field(repr=False)
    tables: tuple[str, ...]
    """Ids."""


@dataclass(frozen=True, slots=True)
class ScanColumn:
    """A column as it stands in the table's current schema."""

    name: str
    id: int
    """Field id: files name columns by it, whatever they were called when they were written."""
    type: str
    """Iceberg's type as text: `string`, `long`, `decimal(38,9)`."""


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """A file of positions of deleted rows."""

    path: str
    """`s3://bucket/key`."""
    size: int


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A Parquet file with rows of the table."""

    path: str
    """`s3://bucket/key`; deletes name it like this."""
    size: int
    """Bytes."""
    rows: int
    """Rows in it, deleted ones included."""
    deletes: tuple[int, ...] = ()
    """Which of the scan's delete files may name it."""


@dataclass(frozen=True, slots=True)
class TableScan:
    """All that a reader has to know of one table, as of one snapshot."""

    table: str
    snapshot: str | None
    """Id as text; None: nothing was ever loaded."""
    columns: tuple[ScanColumn, ...]
    """Without `_timestamp`."""
    timestamp_id: int | None
    """Field id of `_timestamp`; None: a foreign table that has none."""
    files: tuple[ScanFile, ...]
    """In the order in which they were added, so that rows come in the order of loads."""
    deletes: tuple[DeleteFile, ...]
    created: str
    """ISO 8601."""
    last_change: str
    """Time of the snapshot, ISO 8601."""
    timestamp: int
    """The largest `_timestamp` of a load, in microseconds since 1970; 0: nothing was loaded."""
    uuid: str
    """Of the table: one that was dropped and made again is another one."""
    primary_key: tuple[str, ...] = ()
    described: tuple[ColumnFacts, ...] = ()
    """Columns of which something is known."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What is known of the table as a whole."""
    location: str = ""
    rows: int | None = None
    """Rows that a reader gets; None: not known without reading, since rows were deleted."""


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """One consistent cut."""

    tables: tuple[TableScan, ...] = ()
    missing: tuple[str, ...] = ()
    """Ids of tables that are not there."""
    failure: Failure | None = None


class CatalogReason(StrEnum):
    """Reasons of the condition `Catalog` of a Storage. Do not rename: alerts and scripts match these words."""

    READY = "CatalogReady"
    """The catalog can do all that publishing needs."""
    NON_ATOMIC = "NonAtomic"
    """It can't commit several tables at once."""
    UNAVAILABLE = "CatalogUnavailable"
    """It does not answer, or answers with errors of its own, or it is no Iceberg REST catalog."""
    ACCESS_DENIED = "CatalogAccessDenied"
    """It refused the credentials, or they lack a right."""
    FILES_UNREACHABLE = "FilesUnreachable"
    """Files of its tables can't be written with the Storage's keys, or can't be read by signed URLs."""
    STALE_COMMITS = "StaleCommitsAccepted"
    """It does not refuse a commit that rests on an old state of a table."""
    UNFIT = "CatalogUnfit"
    """It does something else than the specification says."""
    NO_CATALOG = "NoCatalog"
    """The Storage has no `spec.catalog`, so it keeps no tables."""
    NO_LOADER = "NoLoader"
    """No loader is installed: nobody can ask the catalog."""
    LOADER_UNAVAILABLE = "LoaderUnavailable"
    """The loader did not answer: what the catalog can do is not known."""
    NOT_CHECKED = "NotChecked"
    """The catalog was not asked, because the bucket can't be used."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A Storage whose catalog is to be tried."""

    storage: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CatalogCheck:
    """One thing that was tried on a catalog."""

    name: str
    ok: bool
    detail: str
    """What was found: a sentence without a full stop."""
    hint: str = ""
    """What to do about it; empty if it is ok."""
    reason: str = ""
    """A `CatalogReason`; empty if it is ok."""
    serious: bool = True
    """Whether runs can't do without it."""


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What was found: in the order of the tries, those after a serious failure left out."""

    checks: tuple[CatalogCheck, ...] = ()
    failure: Failure | None = None
