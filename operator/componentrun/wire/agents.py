"""What the operator and the agents tell each other: JSON documents that stand between a pod and its controller.

Plain frozen dataclasses, because the agents must start in milliseconds and must not import pydantic. Way of a document:

    operator --(plan object in Storage, capability URL in the grant)--> stage-in, stage-out
    stage-in  --(termination message of its container)--> operator
    stage-out --(result object under its own prefix, summary as termination message)--> operator

How they become text and back: `documents`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from componentrun.csv.columnfacts import ColumnFacts  # noqa: TC001 - from_json looks the types of fields up
from componentrun.wire.documents import from_json, to_json
from componentrun.wire.parquet import ParquetTable  # noqa: TC001 - likewise

__all__ = [
    "GELF_COMMAND",
    "GELF_READY",
    "GRANT_FILE",
    "GRANT_IN_KEY",
    "GRANT_MOUNT",
    "GRANT_OUT_KEY",
    "REDACT_KEY",
    "STAGE_IN_COMMAND",
    "STAGE_OUT_COMMAND",
    "STAGE_OUT_KEPT",
    "STAGE_OUT_RESULT",
    "TOKEN_KEY",
    "CsvRead",
    "FilePart",
    "FileRead",
    "FileWritten",
    "GrantIn",
    "GrantOut",
    "ObjectRead",
    "OutputFile",
    "OutputTable",
    "PostPolicy",
    "SessionKeys",
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

GRANT_IN_KEY: Final = "grant-in"
"""Key of the run's Secret that only the stage-in container mounts."""
GRANT_OUT_KEY: Final = "grant-out"
"""Key of the run's Secret that only the stage-out container mounts."""
REDACT_KEY: Final = "redact"
"""Key of the run's Secret that no container mounts: a JSON list of the values that must never appear in an event."""
TOKEN_KEY: Final = "token"  # noqa: S105 - the name of a key
"""Key of the run's Secret that becomes the component's KBC_TOKEN; only where its Component forwards one."""
GRANT_MOUNT: Final = "/run/componentrun/grant"
"""Where an agent's container mounts its own grant."""
GRANT_FILE: Final = "grant.json"
STAGE_OUT_RESULT: Final = "_result.json"
"""Name of stage-out's result below the attempt's data prefix."""
STAGE_OUT_KEPT: Final = "_kept/"
"""Below the attempt's data prefix: what is kept with the run, by its path below the data folder."""

GELF_COMMAND: Final = ("python3", "-m", "componentrun.agent", "gelf")
"""Command of the sidecar that receives GELF; `--server` and `--visibility` follow."""
GELF_READY: Final = "/tmp/listening"  # noqa: S108 - a path in the container, which has a /tmp of its own
"""Is there as soon as the server listens."""
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
    """One object to read. `etag` is sent as If-Match, so that a replaced object is refused, never delivered."""

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
    """As what values are compared: `text` (eq and ne), `number` or `timestamp` (the others)."""


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
        """Whether rows have to be parsed; else the object is delivered byte for byte."""
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
    """All that stage-in needs except secrets."""

    run: str
    """namespace/name, for messages."""
    tables: tuple[TableRead, ...]
    config: dict[str, Any]
    """Content of config.json; secrets are put in from the grant."""
    state: dict[str, Any] = field(default_factory=dict)
    """Content of in/state.json."""
    files: tuple[FileRead, ...] = ()
    parameters_text: str | None = None
    """JSON that stands in config.json as it is, as its `parameters`; None: `config` has them."""
    objects: tuple[CsvRead, ...] = ()
    """Further tables: plain CSV objects."""


@dataclass(frozen=True, slots=True)
class GrantIn:
    """What stage-in may do: read its plan and, through the plan's URLs, the inputs."""

    plan_url: str
    secrets: dict[str, str] = field(default_factory=dict)
    """Path below `parameters` (`db.#password`; list items by index) to the value to put there."""
    ca_bundle: str | None = None
    """PEM of the authorities that sign the store's certificate; None: the image's own."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Temporary keys that store objects below the prefix of their grant and do nothing else."""

    url: str
    """Of the bucket; an object is stored by a signed PUT to `<url>/<key>`."""
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A signed form: POST to `url` with these fields, then `key`, then the file, stores an object below the prefix."""

    url: str
    fields: dict[str, str]
    key_prefix: str
    """Every key must start with it; the store enforces that."""
    max_bytes: int
    """The largest object the policy allows."""
    session: SessionKeys | None = None
    """For a store whose forms do not hold: keys to store objects with, and the fields are empty."""


@dataclass(frozen=True, slots=True)
class GrantOut:
    """What stage-out may do: read its plan, and store objects below its own prefix."""

    plan_url: str
    post: PostPolicy
    ca_bundle: str | None = None


@dataclass(frozen=True, slots=True)
class OutputTable:
    """One line of the output mapping."""

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
    """Rows of the table that are deleted before the new ones are added; None: the manifest says, else none."""
    delimiter: str | None = None
    """What separates fields; None: the manifest says, else a comma."""
    enclosure: str | None = None
    """What fields are enclosed in, empty: nothing; None: the manifest says, else a double quote."""
    columns: tuple[str, ...] | None = None
    """Of a file (or of slices) without a header line; None: the manifest says, else the header does."""
    schema: tuple[ColumnFacts, ...] | None = None
    """All columns with what is known of them; None: the manifest says."""
    optional: bool = False
    """Whether the component may leave it out."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One line of the output mapping of files."""

    source: str
    """Name below out/files, or a pattern of names (`*.pdf`)."""
    tags: tuple[str, ...] | None = None
    """None: the manifest says, else none."""
    permanent: bool | None = None
    """None: the manifest says, else False."""
    optional: bool = False
    """Whether it is no error that there is no such file."""


@dataclass(frozen=True, slots=True)
class StageOutPlan:
    """All that stage-out needs."""

    run: str
    tables: tuple[OutputTable, ...]
    default_bucket: str | None = None
    """`out.c-main`: where files go that no mapping and no manifest places; None: they are named in a warning."""
    max_bytes: int | None = None
    """What tables and files may have together; None: any size."""
    compression: str = "none"
    """How slices are stored: `none`, `gzip` or `zstd`."""
    files: tuple[OutputFile, ...] = ()
    file_tags: tuple[str, ...] = ()
    """That every file gets besides its own."""
    check_types: bool = False
    """Whether values must be of their columns' types."""
    state_given: int = 0
    """Number of the configuration's state that stage-in was given; kept here for the operator."""
    buckets: tuple[str, ...] | None = None
    """Bucket ids, and beginnings of them with `*` behind, that the run may write to; kept here for the operator. None:
    all."""


@dataclass(frozen=True, slots=True)
class SliceWritten:
    """One object that stage-out stored."""

    key: str
    """Full object key."""
    size: int
    """Bytes of the rows."""
    rows: int
    etag: str
    encoding: str | None = None
    """`gzip` or `zstd`; None: the object is the rows."""
    stored: int | None = None
    """Bytes of the object, where it is encoded."""


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
    """Bytes over all slices."""
    delete_where: Where | None = None
    """Rows of the table that are deleted before these are added."""
    schema: tuple[ColumnFacts, ...] = ()
    """Columns of which something is said."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What is said of the table as a whole."""
    insert: bool = False
    """Whether its rows replace none that agree in the primary key."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One object that holds a part of a file, or all of it."""

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
    """Bytes over all parts."""


@dataclass(frozen=True, slots=True)
class StageInResult:
    """How bringing the input ended; fits into a termination message."""

    ok: bool
    tables: int = 0
    rows: int = 0
    size: int = 0
    """Bytes."""
    seconds: float = 0.0
    reason: str | None = None
    """A `Reason` where not ok."""
    message: str | None = None
    files: int = 0


@dataclass(frozen=True, slots=True)
class StageOutResult:
    """How uploading ended. The whole document is an object; the termination message holds no tables and files."""

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
    """What the component itself says of its result (out/result.json)."""
    files: tuple[FileWritten, ...] = ()
    always: int = 0
    """How many of the tables are published also where the run fails."""
