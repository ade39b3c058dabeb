"""Requests of the operator to the loader, and their responses. JSON documents, see `documents`.

    POST /v1/load     LoadRequest  -> LoadAnswer    publish an attempt's tables, all or none
    POST /v1/fence    FenceRequest -> FenceAnswer   prevent an attempt from ever being published
    POST /v1/plan     PlanRequest  -> PlanAnswer    list the files of tables, from one consistent snapshot
    POST /v1/check    CheckRequest -> CheckAnswer   test whether the catalog supports what publishing needs

Every request can be repeated, also to another replica. `unknown` in a response means that a commit was sent and its
outcome is unknown; repeating the request finds out.
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
    """Why a request failed."""

    reason: str
    """A `Reason`."""
    message: str
    kind: str = "platform"
    """Who can fix it: `user`: the run's author; `platform`: the platform team; `transient`: it may pass by itself."""
    unknown: bool = False
    """Whether a commit was sent and its outcome is unknown. False: certainly nothing was changed."""
    no_answer: bool = False
    """Whether the catalog did not respond at all, so that further requests to it would also time out."""
    advice: str = ""
    """What to do about it: the end of the message."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Request to publish an attempt's tables."""

    storage: dict[str, Any] = field(repr=False)
    """Connection settings of the Storage and its catalog, with the keys (`storage.store.places`)."""
    run: str
    """Uid."""
    attempt: int
    tables: tuple[TableWritten, ...]
    """Tables to publish, in the order of the output mapping."""
    prefix: str
    """Key prefix of the attempt's own objects."""
    buckets: tuple[str, ...]
    """Bucket ids, or prefixes of them followed by `*`, that may be written to. Other buckets are refused."""
    title: str = ""
    """namespace/name of the run, for messages and the history."""
    component: str = ""
    """Name of the component, for the history."""
    typed: bool = False
    """Whether columns get the types of their schema; otherwise they are text."""
    allow_non_atomic: bool = False
    """Whether several tables may be committed one after the other if the catalog can't commit them at once."""


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """One table that a run changed."""

    table: str
    rows: int
    """Number of rows from the run."""
    bytes: int
    """Size of the CSV from the run, in bytes."""
    snapshot: str
    """Id of the snapshot with these rows, as text because it has 63 bits. Empty if the snapshot was removed since."""


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """Result of a load."""

    tables: tuple[LoadedTable, ...] = ()
    """Published tables. If empty and `failure` is None, there was nothing to publish."""
    attempt: int = 0
    """The published attempt: an earlier one if that was faster."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class FenceRequest:
    """Request to abandon an attempt."""

    storage: dict[str, Any] = field(repr=False)
    run: str
    attempt: int
    tables: tuple[str, ...]
    """Ids of the tables that it may have tried to change."""


@dataclass(frozen=True, slots=True)
class FenceAnswer:
    """Whether it is certain that the attempt is never published."""

    published: bool = False
    """Whether it is already published and can't be abandoned."""
    failure: Failure | None = None
    """Why this is not certain yet."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Request to list the files of tables."""

    storage: dict[str, Any] = field(repr=False)
    tables: tuple[str, ...]
    """Table ids."""


@dataclass(frozen=True, slots=True)
class ScanColumn:
    """A column of the table's current schema."""

    name: str
    id: int
    """Field id, which identifies the column in files, whatever its name was when they were written."""
    type: str
    """Iceberg's type as text: `string`, `long`, `decimal(38,9)`."""


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """A file with positions of deleted rows."""

    path: str
    """`s3://bucket/key`."""
    size: int


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A Parquet file with rows of the table."""

    path: str
    """`s3://bucket/key`, as in delete files."""
    size: int
    """Bytes."""
    rows: int
    """Number of rows in it, including deleted ones."""
    deletes: tuple[int, ...] = ()
    """Delete files of the scan that may refer to it."""


@dataclass(frozen=True, slots=True)
class TableScan:
    """What a reader needs to know about one table in one snapshot."""

    table: str
    snapshot: str | None
    """Snapshot id as text; None: nothing was ever loaded."""
    columns: tuple[ScanColumn, ...]
    """Columns, without `_timestamp`."""
    timestamp_id: int | None
    """Field id of `_timestamp`; None: a table of another engine without it."""
    files: tuple[ScanFile, ...]
    """Files in the order in which they were added, so that rows are in the order of loads."""
    deletes: tuple[DeleteFile, ...]
    created: str
    """ISO 8601."""
    last_change: str
    """Time of the snapshot, ISO 8601."""
    timestamp: int
    """The largest `_timestamp` of a load, in microseconds since 1970; 0: nothing was loaded."""
    uuid: str
    """Uuid of the table; a table that was dropped and created again has a new one."""
    primary_key: tuple[str, ...] = ()
    described: tuple[ColumnFacts, ...] = ()
    """Columns with known facts."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Metadata of the table."""
    location: str = ""
    rows: int | None = None
    """Number of rows for a reader; None: unknown without reading, because rows were deleted."""


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """One consistent snapshot of tables."""

    tables: tuple[TableScan, ...] = ()
    missing: tuple[str, ...] = ()
    """Ids of missing tables."""
    failure: Failure | None = None


class CatalogReason(StrEnum):
    """Reasons of the condition `Catalog` of a Storage. Do not rename: alerts and scripts match these words."""

    READY = "CatalogReady"
    """The catalog supports everything that publishing needs."""
    NON_ATOMIC = "NonAtomic"
    """It can't commit several tables at once."""
    UNAVAILABLE = "CatalogUnavailable"
    """It does not respond, responds with errors of its own, or is not an Iceberg REST catalog."""
    ACCESS_DENIED = "CatalogAccessDenied"
    """It refused the credentials, or they lack a permission."""
    FILES_UNREACHABLE = "FilesUnreachable"
    """Files of its tables can't be written with the Storage's keys, or can't be read by signed URLs."""
    STALE_COMMITS = "StaleCommitsAccepted"
    """It does not refuse a commit that is based on an old state of a table."""
    UNFIT = "CatalogUnfit"
    """It does not conform to the specification."""
    NO_CATALOG = "NoCatalog"
    """The Storage has no `spec.catalog`, so it has no tables."""
    NO_LOADER = "NoLoader"
    """No loader is installed, so the catalog can't be checked."""
    LOADER_UNAVAILABLE = "LoaderUnavailable"
    """The loader did not respond, so the state of the catalog is unknown."""
    NOT_CHECKED = "NotChecked"
    """The catalog was not checked, because the bucket can't be used."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Request to check a Storage's catalog."""

    storage: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CatalogCheck:
    """Result of one check of a catalog."""

    name: str
    ok: bool
    detail: str
    """What was found: a sentence without a full stop."""
    hint: str = ""
    """What to do; empty if ok."""
    reason: str = ""
    """A `CatalogReason`; empty if ok."""
    serious: bool = True
    """Whether runs depend on it."""


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """Results in the order of the checks; checks after a serious failure are missing."""

    checks: tuple[CatalogCheck, ...] = ()
    failure: Failure | None = None
