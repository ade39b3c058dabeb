"""The keys of all objects of a Storage, and table ids. The only module that builds keys.

Keys are full object keys (the Storage's prefix included), without a leading slash.

    <prefix>/data/<run uid>-<attempt>/...                what an attempt uploaded: slices of tables, files, its result
    <prefix>/files/...                                   plain objects of users: nothing of the platform lies there
    <prefix>/file-index/...                              records of files, see `files.index`; their bytes are in data/
    <prefix>/state/<component>/<branch>/<configuration>/state.json    what it remembers; rows/<row>.json for a row of it
    <prefix>/runs/<run uid>/swept-<attempt>.json         note that the data of an attempt is deleted
    <prefix>/runs/<run uid>/<attempt>/stage-in.json      plan of an attempt; stage-out.json likewise
    <prefix>/events/<run uid>/<first seq>.jsonl.zst      event segment
    <prefix>/events/<run uid>/merged-<last seq>-<first seq>.jsonl.zst  merged event segments
    <prefix>/events-index/...                            runs with events, see `storage.events.index`
    <prefix>/table-notes/changed/<table>                 tables of the catalog that changed of late
    <prefix>/table-notes/scan.json                       how far all tables of the catalog have been looked through
    <prefix>/sweep.json                                  since when no file has named a data prefix
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from componentrun.contract import DEFAULT_BRANCH
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.storage.events.index import EventIndex
from componentrun.storage.files.index import FileIndex
from componentrun.wire.agents import STAGE_OUT_KEPT, STAGE_OUT_RESULT

__all__ = ["RESERVED_AREAS", "SEQUENCE_DIGITS", "SWEEP_NOTES", "Layout", "TableId", "check_own", "clean_prefix"]

SEQUENCE_DIGITS: Final = 12
"""Number of digits of numbers in keys, so that keys sort by number."""
EVENTS_SUFFIX: Final = ".jsonl.zst"
_SEGMENT: Final = re.compile(r"([0-9]{12})\.jsonl\.zst")
_MERGED: Final = re.compile(r"merged-([0-9]{12})-([0-9]{12})\.jsonl\.zst")
SWEEP_NOTES: Final = "sweep.json"
RESERVED_AREAS: Final = frozenset(
    {"data", "file-index", "runs", "events", "events-index", "state", "table-notes", SWEEP_NOTES, "doctor"}
)
"""First parts of keys that belong to the platform: a plain object may not be read from or written to there."""

_STAGES: Final = ("in", "out")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,96}")
_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}")
_KEY_CHARACTERS: Final = re.compile(r"[^\x00-\x1f\x7f\\]+")
_MAX_KEY_BYTES: Final = 1024  # S3's own limit


@dataclass(frozen=True, slots=True, order=True)
class TableId:
    """A table's name: `in.c-main.foo` is table `foo` in bucket `in.c-main` of stage `in`."""

    stage: str
    bucket: str
    """Without its stage: `c-main`."""
    table: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `stage.bucket.table`.

        Raises:
            UserError: (InvalidSpec) it is not a table id; the message says what was found and what is expected.
        """
        parts = text.split(".")
        problem = _problem(parts)
        if problem is not None:
            raise UserError(
                f"`{text}` is not a table id: {problem}. Expected `stage.bucket.table`, for example "
                "`in.c-main.customers`",
                Reason.INVALID_SPEC,
            )
        return cls(*parts)

    @property
    def bucket_id(self) -> str:
        """Stage and bucket: `in.c-main`."""
        return f"{self.stage}.{self.bucket}"

    def __str__(self) -> str:
        """The complete id: `in.c-main.foo`."""
        return f"{self.stage}.{self.bucket}.{self.table}"


def _problem(parts: list[str]) -> str | None:
    if len(parts) != 3:  # noqa: PLR2004 - stage, bucket, table
        return f"it has {len(parts)} part{'s' if len(parts) != 1 else ''} between dots, not 3"
    if parts[0] not in _STAGES:
        return f"its stage is `{parts[0]}`, not `in` or `out`"
    for kind, name in zip(("bucket", "table"), parts[1:], strict=True):
        if not _NAME.fullmatch(name):
            return f"its {kind} `{name}` is not 1 to 96 letters, digits, `_` or `-`"
    return None


def clean_prefix(prefix: str) -> str:
    """Return a Storage's prefix without leading and trailing slashes.

    Raises:
        UserError: (InvalidSpec) a part of it is empty, `.` or `..`, or holds a control character.
    """
    result = prefix.strip("/")
    if result:
        _check_key(result, "the Storage's prefix")
    return result


def _check_key(key: str, subject: str) -> None:
    if any(part in {"", ".", ".."} for part in key.split("/")) or not _KEY_CHARACTERS.fullmatch(key):
        raise UserError(
            f"{subject} is {key!r}; expected parts joined by single slashes, none of them `.` or `..`, "
            "without control characters and backslashes",
            Reason.INVALID_SPEC,
        )
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise UserError(f"{subject} is longer than {_MAX_KEY_BYTES} bytes: {key[:80]!r}...", Reason.INVALID_SPEC)


@dataclass(frozen=True, slots=True)
class Layout:
    """Builds the keys of one Storage. `prefix` is clean: no slash at either end, empty for the bucket's root."""

    prefix: str

    def _key(self, *parts: str) -> str:
        return "/".join((self.prefix, *parts) if self.prefix else parts)

    # Data

    def data_root(self) -> str:
        """Prefix of all that attempts uploaded, with a slash at its end."""
        return self._key("data", "")

    def data(self, run: str, attempt: int) -> str:
        """Prefix that only this attempt may write, with a slash at its end."""
        return self._key("data", f"{_part(run, 'run uid')}-{_attempt(attempt)}", "")

    def run_of_data(self, key: str) -> tuple[str, int] | None:
        """Return run uid and attempt of an object below `data/`; None if the key has another form."""
        folder = key.removeprefix(self.data_root()).partition("/")[0]
        run, _, attempt = folder.rpartition("-")
        return (run, int(attempt)) if run and attempt.isascii() and attempt.isdigit() else None

    def result(self, run: str, attempt: int) -> str:
        """Key of stage-out's result."""
        return self.data(run, attempt) + STAGE_OUT_RESULT

    def kept(self, run: str, attempt: int) -> str:
        """Prefix of an attempt's other output (result, usage, artifacts), with a slash at its end."""
        return self.data(run, attempt) + STAGE_OUT_KEPT

    # Runs

    def runs_root(self) -> str:
        """Prefix of all plans and notes of runs, with a slash at its end."""
        return self._key("runs", "")

    def run(self, run: str) -> str:
        """Prefix of a run's plans and notes, with a slash at its end."""
        return self._key("runs", _part(run, "run uid"), "")

    def swept(self, run: str, attempt: int) -> str:
        """Key of the marker that the sweeper deletes the data of an attempt."""
        return f"{self.run(run)}swept-{_attempt(attempt)}.json"

    def plans(self, run: str, attempt: int) -> str:
        """Prefix of an attempt's plans, with a slash at its end."""
        return f"{self.run(run)}{_attempt(attempt)}/"

    def stage_in_plan(self, run: str, attempt: int) -> str:
        """Key of the plan of an attempt's stage-in."""
        return self.plans(run, attempt) + "stage-in.json"

    def seen(self, run: str, attempt: int) -> str:
        """Key of the positions in the tables that an attempt reads with `adaptive`."""
        return self.plans(run, attempt) + "seen.json"

    def stage_out_plan(self, run: str, attempt: int) -> str:
        """Key of the plan of an attempt's stage-out."""
        return self.plans(run, attempt) + "stage-out.json"

    # Events, state, files

    @property
    def file_index(self) -> FileIndex:
        """Keys of the records of files, and of their index."""
        return FileIndex(self._key("file-index", ""))

    @property
    def event_index(self) -> EventIndex:
        """Keys of the index of runs with events."""
        return EventIndex(self._key("events-index", ""))

    def events(self, run: str) -> str:
        """Prefix of a run's event segments, with a slash at its end."""
        return self._key("events", _part(run, "run uid"), "")

    def segment(self, run: str, first_seq: int) -> str:
        """Key of the event segment that starts with `first_seq`; keys sort by number."""
        return f"{self.events(run)}{_number(first_seq)}{EVENTS_SUFFIX}"

    def first_seq_of(self, key: str) -> int | None:
        """Return the number in an event segment's key; None if the key has another form."""
        found = _SEGMENT.fullmatch(key.rpartition("/")[2])
        return int(found[1]) if found is not None else None

    def merged_events(self, run: str, first_seq: int, last_seq: int) -> str:
        """Key of merged event segments; these keys sort by their last number, and after all segments."""
        return f"{self.events(run)}merged-{_number(last_seq)}-{_number(first_seq)}{EVENTS_SUFFIX}"

    def merged_after(self, run: str, seq: int) -> str:
        """Start of a listing of merged event segments: those whose keys sort after it end after the event `seq`."""
        return f"{self.events(run)}merged-{_number(seq)}-~"

    def merged_range_of(self, key: str) -> tuple[int, int] | None:
        """Return first and last number in the key of merged event segments; None if the key has another form."""
        found = _MERGED.fullmatch(key.rpartition("/")[2])
        return (int(found[2]), int(found[1])) if found is not None else None

    def state(self, component: str, configuration: str, row: str | None = None, branch: str = DEFAULT_BRANCH) -> str:
        """Key of the state of a configuration (or of a row of it) in a branch."""
        place = ("rows", f"{_part(row, 'row id')}.json") if row is not None else ("state.json",)
        owner = _part(component, "component name"), _part(branch, "branch"), _part(configuration, "configuration id")
        return self._key("state", *owner, *place)

    def object(self, relative: str) -> str:
        """Return the key of a user's plain object, given relative to the Storage's prefix.

        Raises:
            UserError: (InvalidSpec) the key is malformed, or belongs to the platform (whose plans contain capability
            URLs).
        """
        _check_key(relative, "the object's key")
        area = relative.partition("/")[0]
        if area in RESERVED_AREAS:
            raise UserError(
                f"the object `{relative}` is below `{area}/`, which belongs to ComponentRun",
                Reason.INVALID_SPEC,
                advice="Use a key elsewhere below the Storage's prefix, for example `files/customers.csv`.",
            )
        return self._key(relative)

    def sweep(self) -> str:
        """Key of the sweeper's notes."""
        return self._key(SWEEP_NOTES)

    def changed_tables(self) -> str:
        """Prefix of the notes about changed tables of the catalog, with a slash at its end."""
        return self._key("table-notes", "changed", "")

    def changed_table(self, table: TableId) -> str:
        """Key of the note that a table was changed."""
        return self._key("table-notes", "changed", str(table))

    def table_scan(self) -> str:
        """Key of the position in the scan of all tables of the catalog."""
        return self._key("table-notes", "scan.json")

    def doctor(self, *parts: str) -> str:
        """Key of an object that `doctor` writes and deletes."""
        return self._key("doctor", *parts)


def _number(seq: int) -> str:
    return f"{seq:0{SEQUENCE_DIGITS}d}"


def check_own(key: str, own_prefix: str, subject: str) -> None:
    """Refuse an object that an attempt reports but can't have written.

    Raises:
        PlatformError: (PublishFailed) it is outside the attempt's own prefix.
    """
    if not key.startswith(own_prefix) or ".." in key.split("/"):
        raise PlatformError(
            f"{subject} names the object `{key}`; expected one below `{own_prefix}`, the only place that the attempt "
            "may write to. Nothing was published",
            Reason.PUBLISH_FAILED,
        )


def _part(text: str, kind: str) -> str:
    """Return a name from outside as one part of a key, or refuse it."""
    if not _PART.fullmatch(text):
        raise PlatformError(f"the {kind} {text!r} can't be part of a key: expected letters, digits, `.`, `_` or `-`")
    return text


def _attempt(attempt: int) -> str:
    if attempt < 1:
        raise PlatformError(f"attempt {attempt}: attempts count from 1")
    return str(attempt)
