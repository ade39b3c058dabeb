"""What an attempt may read and write: plan objects in the store, and the two grants that lead to them.

Done elsewhere: carrying the plans out (`agent`), and putting the grants into the run's Secret (`controller`).
A plan holds capability URLs, so it lies below `runs/`, which no input may name.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.contract import IN_TABLES, MANIFEST_SUFFIX
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.storage.access.fileinput import choose_files, file_read
from componentrun.storage.access.grants import MAX_POST_BYTES
from componentrun.storage.access.inputmanifest import AUTHORITATIVE
from componentrun.storage.access.scans import plan_scan, scan_read, scan_tables
from componentrun.storage.state.adaptive import write_down
from componentrun.storage.store.connection import ObjectInfo, quoted_etag
from componentrun.storage.store.gather import gather_bounded
from componentrun.storage.store.keys import TableId
from componentrun.wire.agents import (
    CsvRead,
    GrantIn,
    GrantOut,
    ObjectRead,
    StageInPlan,
    StageOutPlan,
    from_json,
    to_json,
)
from componentrun.wire.loader import TableScan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.storage.access.attempt import AttemptRequest, InputSource
    from componentrun.storage.access.grants import Signer
    from componentrun.storage.access.scans import Scan
    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store
    from componentrun.wire.agents import OutputTable, PostPolicy

Result = TypeVar("Result")

__all__ = [
    "AttemptPlan",
    "InputStatus",
    "prepare_attempt",
    "read_stage_out_plan",
    "read_state_given",
]

_SIGNED_AT_ONCE: Final = 30
"""URLs that are signed without a thread of their own: some milliseconds."""
_LEAST_FORM_BYTES: Final = 2**30
"""A form takes objects of this size in any case: artifacts pass through it, too, and what stage-out tells."""
_FILE_NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,240}")


@dataclass(frozen=True, slots=True)
class InputStatus:
    """One input, for the run's status."""

    source: str
    rows: int | None
    """None: not known without reading it (a plain object)."""
    bytes: int


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """The two grants of an attempt, and what its inputs are."""

    grant_in: GrantIn = field(repr=False)
    grant_out: GrantOut = field(repr=False)
    inputs: tuple[InputStatus, ...]
    files: tuple[FileRecord, ...] = ()
    """That go in."""


@dataclass(frozen=True, slots=True)
class _Found:
    source: InputSource
    path: str
    what: TableScan | ObjectInfo

    @property
    def files(self) -> int:
        """How many have to be signed for."""
        return len(self.what.files) + len(self.what.deletes) if isinstance(self.what, TableScan) else 1


async def prepare_attempt(
    store: Store, signer: Signer, request: AttemptRequest, scan: Scan | None = None
) -> AttemptPlan:
    """Look the inputs up, write both plans and sign the grants. May be repeated: the plans are written anew.

    Args:
        store: the Storage.
        signer: signs for it.
        request: what the attempt needs.
        scan: tells of tables in the Storage's catalog; None: it has none, and `request` names no tables.

    Raises:
        UserError: (InputNotFound) an input is not there; (InvalidSpec, InputInvalid) it can't be asked for like this.
        PlatformError: the store refused, see `storage.store.errors`.
        ComponentRunError: what `scan` raises.
    """
    _check_destinations(request.inputs)
    _check_tables(request.outputs)
    await signer.refresh()
    _check_keys_last(signer, request)

    found = await _look_all_up(store, request.inputs, scan)
    tables = {item.what.table: item.what for item in found if item.source.remember and isinstance(item.what, TableScan)}
    if tables and not await write_down(store, request.run, request.attempt, tables):
        found = await _look_all_up(store, request.inputs, scan)
    files = await choose_files(store, request.files)
    plan_in = await _signed(
        lambda: _stage_in_plan(request, signer, found, files), sum(item.files for item in found) + len(files)
    )
    plan_out = _stage_out_plan(request, store.settings.compression)
    key_in = store.layout.stage_in_plan(request.run, request.attempt)
    key_out = store.layout.stage_out_plan(request.run, request.attempt)
    await gather_bounded(lambda item: store.put(*item), [(key_in, _encode(plan_in)), (key_out, _encode(plan_out))])
    post = await _post(store, signer, request)
    ca_bundle = store.settings.ca_bundle
    return AttemptPlan(
        grant_in=GrantIn(signer.sign_get(key_in, request.expires_in), dict(request.secrets), ca_bundle),
        grant_out=GrantOut(signer.sign_get(key_out, request.expires_out), post, ca_bundle),
        inputs=tuple(_status(item) for item in found),
        files=files,
    )


def _stage_in_plan(
    request: AttemptRequest, signer: Signer, found: Sequence[_Found], files: Sequence[FileRecord]
) -> StageInPlan:
    return StageInPlan(
        run=request.title,
        tables=tuple(
            scan_read(item.what, item.source, item.path, signer, request)
            for item in found
            if isinstance(item.what, TableScan)
        ),
        config=request.config,
        state=request.state,
        files=tuple(file_read(item, signer, request.expires_in) for item in files),
        parameters_text=request.parameters_text,
        objects=tuple(
            _csv_read(item, item.what, signer, request) for item in found if isinstance(item.what, ObjectInfo)
        ),
    )


def _stage_out_plan(request: AttemptRequest, compression: str) -> StageOutPlan:
    return StageOutPlan(
        run=request.title,
        tables=tuple(request.outputs),
        default_bucket=request.default_bucket,
        max_bytes=request.max_output_bytes,
        compression=compression,
        files=tuple(request.output_files),
        file_tags=request.file_tags,
        check_types=request.type_support == AUTHORITATIVE,
        state_given=request.state_number,
        buckets=request.buckets,
    )


async def read_stage_out_plan(store: Store, run: str, attempt: int) -> StageOutPlan | None:
    """What an attempt's stage-out was told; None where the plan is gone."""
    stored = await store.find(store.layout.stage_out_plan(run, attempt))
    return from_json(StageOutPlan, stored.data) if stored is not None else None


async def read_state_given(store: Store, run: str, attempt: int) -> int:
    """Number of the state that an attempt was given, as its plan says; 0 where the plan is gone."""
    plan = await read_stage_out_plan(store, run, attempt)
    return plan.state_given if plan is not None else 0


async def _post(store: Store, signer: Signer, request: AttemptRequest) -> PostPolicy:
    """What stores objects below the attempt's own prefix, and does nothing else."""
    prefix = store.layout.data(request.run, request.attempt)
    largest = min(max(request.max_output_bytes or MAX_POST_BYTES, _LEAST_FORM_BYTES), MAX_POST_BYTES)
    if request.by_session:
        return await signer.session(prefix, largest, request.expires_out)
    return signer.post_policy(prefix, largest, request.expires_out)


async def _signed(sign: Callable[[], Result], count: int) -> Result:
    """What is signed.

    Thousands of files take a tenth of a second that other runs should not wait for; for a few, a thread takes longer
    than signing them.
    """
    return sign() if count <= _SIGNED_AT_ONCE else await asyncio.to_thread(sign)


def _encode(plan: StageInPlan | StageOutPlan) -> bytes:
    return to_json(plan).encode()


def _check_destinations(inputs: Sequence[InputSource]) -> None:
    """Refuse file names that leave the folder, and two inputs that would write one file."""
    taken: dict[str, str] = {}
    for source in inputs:
        name = source.file_name
        if not _FILE_NAME.fullmatch(name) or name in {".", ".."}:
            raise UserError(
                f"the destination of input `{source.label}` is {name!r}; expected a file name of up to 240 characters, "
                "without slashes and control characters",
                Reason.INVALID_SPEC,
            )
        for file in (name, name + MANIFEST_SUFFIX):
            if file in taken:
                raise UserError(
                    f"the inputs `{taken[file]}` and `{source.label}` would both write `{IN_TABLES}/{file}`; "
                    "give one of them another `destination`",
                    Reason.INVALID_SPEC,
                )
            taken[file] = source.label


def _check_tables(outputs: Sequence[OutputTable]) -> None:
    """Refuse before the component runs what could not be published behind it."""
    for number, output in enumerate(outputs):
        try:
            TableId.parse(output.destination)
        except UserError as error:
            where = f"spec.output.tables[{number}].destination"
            raise UserError(f"{where}: {error.message}", Reason.INVALID_SPEC) from None


def _check_keys_last(signer: Signer, request: AttemptRequest) -> None:
    """A signature ends with the keys that made it: refuse now what would fail in the middle of the run."""
    ends = signer.valid_until
    left = ends - datetime.now(UTC) if ends is not None else None
    if left is not None and left < request.expires_out:
        raise PlatformError(
            f"the keys of {signer.title} end in {int(left.total_seconds())} s, but run {request.title} may need them "
            f"for {int(request.expires_out.total_seconds())} s. Shorten its `timeout`, or give the Storage others",
            Reason.STORAGE_ACCESS_DENIED,
        )


async def _look_all_up(store: Store, sources: Sequence[InputSource], scan: Scan | None) -> list[_Found]:
    """Every table and object once, so that inputs of the same table are of the same version."""
    names = list(dict.fromkeys(source.table for source in sources if source.table is not None))
    for name in names:
        TableId.parse(name)
    if names and scan is None:
        raise ValueError(f"{store.settings.title} has no catalog, but `{names[0]}` is asked for")
    scans = {} if scan is None else await scan_tables(scan, names, store.settings.title)
    keys = list(dict.fromkeys(source.object for source in sources if source.table is None))
    objects = dict(zip(keys, await gather_bounded(lambda key: _look_up(store, key), keys), strict=True))
    return [
        _Found(
            source,
            f"{IN_TABLES}/{source.file_name}",
            objects[source.object] if source.table is None else scans[source.table],
        )
        for source in sources
    ]


async def _look_up(store: Store, name: str | None) -> ObjectInfo:
    if name is None:
        raise UserError("an input names neither a table nor an object", Reason.INVALID_SPEC)
    key = store.layout.object(name)
    info = await store.head(key)
    if info is None:
        raise UserError(
            f"there is no object `{name}` in {store.settings.title} ({store.settings.where(key)})",
            Reason.INPUT_NOT_FOUND,
        )
    return info


def _csv_read(found: _Found, info: ObjectInfo, signer: Signer, request: AttemptRequest) -> CsvRead:
    url = signer.sign_get(info.key, request.expires_in, info.version)
    read = ObjectRead(url, info.size, quoted_etag(info.etag))
    wish = found.source.wish
    return CsvRead(found.source.label, found.path, read, wish.columns, wish.where, wish.limit)


def _status(found: _Found) -> InputStatus:
    if isinstance(found.what, ObjectInfo):
        return InputStatus(found.source.label, None, found.what.size)
    reading = plan_scan(found.what, found.source.wish)
    return InputStatus(found.source.label, reading.rows, reading.size)
