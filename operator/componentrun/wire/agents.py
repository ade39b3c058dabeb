"""JSON documents that the operator and the agents exchange.

Plain frozen dataclasses, because the agents must start in milliseconds and must not import pydantic. Transport:

    operator --(plan object in Storage, capability URL in the grant)--> stage-in, stage-out
    stage-in  --(termination message of its container)--> operator
    stage-out --(result object under its own prefix, summary as termination message)--> operator

`documents` converts them to text and back. The grants themselves are in `grants`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from componentrun.csv.columnfacts import ColumnFacts  # noqa: TC001 - from_json looks the types of fields up
from componentrun.wire.chain import StepConfig  # noqa: TC001 - likewise
from componentrun.wire.documents import from_json, to_json
from componentrun.wire.parquet import ParquetTable  # noqa: TC001 - likewise

__all__ = [
    "GELF_COMMAND",
    "GELF_READY",
    "STAGE_IN_COMMAND",
    "STAGE_OUT_COMMAND",
    "STAGE_OUT_KEPT",
    "STAGE_OUT_RESULT",
    "CsvRead",
    "FilePart",
    "FileRead",
    "FileWritten",
    "ObjectRead",
    "OutputFile",
    "OutputTable",
    "SliceWritten",
    "StageInPlan",
    "StageInResult",
    "StageOutPlan",
    "StageOutResult",
    "TableRead",
    "TableWritten",
    "Where",
    "from_json",
    "to_json",
]

STAGE_OUT_RESULT: Final = "_result.json"
"""Name of stage-out's result below the attempt's data prefix."""
STAGE_OUT_KEPT: Final = "_kept/"
"""Folder below the attempt's data prefix with files that are kept with the run, by their paths in the data folder."""

GELF_COMMAND: Final = ("python3", "-m", "componentrun.agent", "gelf")
"""Command of the sidecar that receives GELF; `--server` and `--visibility` follow."""
GELF_READY: Final = "/tmp/listening"  # noqa: S108 - a path in the container, which has a /tmp of its own
"""File that exists as soon as the server listens."""
STAGE_IN_COMMAND: Final = ("python3", "-m", "componentrun.agent", "stage-in")
"""Command of the init container."""
STAGE_OUT_COMMAND: Final = (
    "/bin/sh",
    "-c",
    """trap 'trap "" TERM; exec python3 -m componentrun.agent stage-out' TERM; sleep infinity & wait""",
)
"""Command of the sidecar: a shell (a few hundred KiB) waits for the component to end, then becomes the agent.

SIGTERM is ignored from then on, also across the exec: a pod that is deleted again with less grace must not kill an
interpreter that is only starting."""


@dataclass(frozen=True, slots=True)
class ObjectRead:
    """One object to read. `etag` is sent as If-Match, so that a replaced object is refused instead of delivered."""

    url: str
    size: int
    """Bytes."""
    etag: str
    """Empty for an object that is never replaced."""


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on the values of one column."""

    column: str
    operator: str
    """`eq` or `ne`: one of the values, or none of them; `gt`, `ge`, `lt`, `le`: compared with the only value."""
    values: tuple[str, ...]
    type: str = "text"
    """Type of the comparison: `text` (eq and ne), `number` or `timestamp` (the others)."""


@dataclass(frozen=True, slots=True)
class TableRead:
    """One input table."""

    source: str
    """Table id, for messages."""
    path: str
    """Where it goes, relative to the data folder: `in/tables/foo.csv`."""
    columns: tuple[str, ...]
    """Columns to deliver, in this order."""
    parquet: ParquetTable
    """Where the rows are."""
    manifest: dict[str, Any]
    """Content of `<path>.manifest`."""
    where: Where | None = None
    """Only rows that meet this are delivered."""
    limit: int | None = None
    """Only so many rows are delivered, the first ones."""
    sliced: bool = False
    """`path` becomes a folder of headerless files; the manifest names the columns."""


@dataclass(frozen=True, slots=True)
class CsvRead:
    """One input table that is a plain CSV object with a header line."""

    source: str
    """Object key, for messages."""
    path: str
    """Where it goes, relative to the data folder: `in/tables/foo.csv`."""
    object: ObjectRead
    select: tuple[str, ...] | None = None
    """Names of columns to deliver, or patterns of them; None: all."""
    where: Where | None = None
    """Only rows that meet this are delivered."""
    limit: int | None = None
    """Only so many rows are delivered, the first ones."""

    @property
    def needs_query(self) -> bool:
        """Whether rows must be parsed; otherwise the object is delivered byte for byte."""
        return self.select is not None or self.where is not None or self.limit is not None


@dataclass(frozen=True, slots=True)
class FileRead:
    """One input file."""

    source: str
    """Its name and id; for messages."""
    path: str
    """Where it goes, relative to the data folder: `in/files/<id>_<name>`."""
    parts: tuple[ObjectRead, ...]
    """One after the other they are the file; none: it is empty."""
    manifest: dict[str, Any] | None
    """Content of `<path>.manifest`; None: no manifest is written."""


@dataclass(frozen=True, slots=True)
class StageInPlan:
    """The plan of stage-in: everything that it needs except secrets."""

    run: str
    """namespace/name, for messages."""
    tables: tuple[TableRead, ...]
    config: dict[str, Any]
    """Content of config.json; secrets are inserted from the grant."""
    state: dict[str, Any] = field(default_factory=dict)
    """Content of in/state.json."""
    files: tuple[FileRead, ...] = ()
    parameters_text: str | None = None
    """JSON text that becomes `parameters` of config.json unchanged; None: they are part of `config`."""
    objects: tuple[CsvRead, ...] = ()
    """Additional tables: plain CSV objects."""
    steps: tuple[StepConfig, ...] = ()
    """The component and its processors, in the order in which they run; empty without processors."""


@dataclass(frozen=True, slots=True)
class OutputTable:
    """One entry of the output mapping."""

    source: str
    """File (or folder of slices) below out/tables: `bar.csv`."""
    destination: str
    """Table id: `out.c-main.bar`."""
    incremental: bool | None = None
    """None: the manifest says, else False."""
    primary_key: tuple[str, ...] | None = None
    """None: the manifest says, else none."""
    write_always: bool = False
    delete_where: Where | None = None
    """Rows of the table to delete before the new ones are added; defaults to the manifest's, else none."""
    delimiter: str | None = None
    """Delimiter; defaults to the manifest's, else a comma."""
    enclosure: str | None = None
    """Enclosure, empty for none; defaults to the manifest's, else a double quote."""
    columns: tuple[str, ...] | None = None
    """Columns of a file (or of slices) without a header line; default to the manifest's, else to the header line."""
    schema: tuple[ColumnFacts, ...] | None = None
    """All columns with their declared facts; default to the manifest's."""
    optional: bool = False
    """Whether the file may be missing."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One entry of the output mapping of files."""

    source: str
    """Name below out/files, or a pattern of names (`*.pdf`)."""
    tags: tuple[str, ...] | None = None
    """None: the manifest says, else none."""
    permanent: bool | None = None
    """None: the manifest says, else False."""
    optional: bool = False
    """Whether the entry may match no file."""


@dataclass(frozen=True, slots=True)
class StageOutPlan:
    """The plan of stage-out."""

    run: str
    tables: tuple[OutputTable, ...]
    default_bucket: str | None = None
    """Default bucket, such as `out.c-main`, of files without a destination; None: a warning names these files."""
    max_bytes: int | None = None
    """What tables and files may have together; None: any size."""
    compression: str = "none"
    """How slices are stored: `none`, `gzip` or `zstd`."""
    files: tuple[OutputFile, ...] = ()
    file_tags: tuple[str, ...] = ()
    """Tags that every file gets in addition to its own."""
    check_types: bool = False
    """Whether values are checked against their columns' types."""
    state_given: int = 0
    """Number of the configuration's state that stage-in got; kept here for the operator."""
    buckets: tuple[str, ...] | None = None
    """Bucket ids, or prefixes of them followed by `*`, that the run may write to; None: all. Kept here for the
    operator."""


@dataclass(frozen=True, slots=True)
class SliceWritten:
    """One object that stage-out stored."""

    key: str
    """Full object key."""
    size: int
    """Size of the rows in bytes."""
    rows: int
    etag: str
    encoding: str | None = None
    """Compression of the object: `gzip` or `zstd`; None: uncompressed."""
    stored: int | None = None
    """Size of the object in bytes, if it is compressed."""


@dataclass(frozen=True, slots=True)
class TableWritten:
    """One output table, complete in Storage but not yet published."""

    source: str
    destination: str
    columns: tuple[str, ...]
    primary_key: tuple[str, ...]
    incremental: bool
    write_always: bool
    slices: tuple[SliceWritten, ...]
    rows: int
    size: int
    """Total size of the slices in bytes."""
    delete_where: Where | None = None
    """Rows of the table to delete before these are added."""
    schema: tuple[ColumnFacts, ...] = ()
    """Columns with declared facts."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Metadata of the table."""
    insert: bool = False
    """Whether its rows do not replace rows with the same primary key."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One object with a part of a file, or all of it."""

    key: str
    """Full object key."""
    size: int
    """Bytes; never 0."""
    etag: str


@dataclass(frozen=True, slots=True)
class FileWritten:
    """One output file, complete in Storage but not yet published."""

    name: str
    tags: tuple[str, ...]
    permanent: bool
    parts: tuple[FilePart, ...]
    """One after the other they are the file; none: it is empty."""
    size: int
    """Total size of the parts in bytes."""


@dataclass(frozen=True, slots=True)
class StageInResult:
    """Result of stage-in; fits into a termination message."""

    ok: bool
    tables: int = 0
    rows: int = 0
    size: int = 0
    """Bytes."""
    seconds: float = 0.0
    reason: str | None = None
    """A `Reason` if not ok."""
    message: str | None = None
    """What failed, and what to do about it."""
    files: int = 0
    advice: str | None = None
    """What to do about it: the end of the message."""


@dataclass(frozen=True, slots=True)
class StageOutResult:
    """Result of stage-out. The complete document is an object; the termination message has no tables and files."""

    ok: bool
    tables: tuple[TableWritten, ...] = ()
    state: dict[str, Any] | None = None
    """Content of out/state.json; None: the component wrote none."""
    warnings: tuple[str, ...] = ()
    rows: int = 0
    size: int = 0
    """Bytes."""
    seconds: float = 0.0
    reason: str | None = None
    message: str | None = None
    said: str | None = None
    """The component's message about its result (out/result.json)."""
    files: tuple[FileWritten, ...] = ()
    always: int = 0
    """Number of tables that are published even if the run fails."""
    empty: bool = False
    """Whether it has nothing to publish, and no warnings: no tables, no files, no state. False if that is not known, as
    from an agent of an earlier release."""
    advice: str | None = None
    """What to do about an error: the end of the message."""
