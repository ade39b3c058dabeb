"""What an attempt may read and write: plan objects in the store, and the two grants that refer to them.

The plans are executed by `agent`; `controller` puts the grants into the run's Secret.
A plan contains capability URLs, so it is stored below `runs/`, which no input may name.
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
from componentrun.wire.agents import CsvRead, ObjectRead, StageInPlan, StageOutPlan, from_json, to_json
from componentrun.wire.grants import GrantIn, GrantOut
from componentrun.wire.loader import TableScan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.storage.access.attempt import AttemptRequest, InputSource
    from componentrun.storage.access.grants import Signer
    from componentrun.storage.access.scans import Scan
    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store
    from componentrun.wire.agents import OutputTable
    from componentrun.wire.grants import PostPolicy

Result = TypeVar("Result")

__all__ = [
    "AttemptPlan",
    "InputStatus",
    "prepare_attempt",
    "read_stage_out_plan",
    "read_state_given",
]

_SIGNED_AT_ONCE: Final = 30
"""Maximum number of URLs that are signed without a thread, which takes some milliseconds."""
_LEAST_FORM_BYTES: Final = 2**30
"""Minimum object size that a form allows, because artifacts and stage-out's result use it as well."""
_FILE_NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,240}")


@dataclass(frozen=True, slots=True)
class InputStatus:
    """One input, for the run's status."""

    source: str
    rows: int | None
    """None: unknown without reading it (a plain object)."""
    bytes: int


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """The two grants of an attempt, and its inputs."""

    grant_in: GrantIn = field(repr=False)
    grant_out: GrantOut = field(repr=False)
    inputs: tuple[InputStatus, ...]
    files: tuple[FileRecord, ...] = ()
    """The input files."""


@dataclass(frozen=True, slots=True)
class _ResolvedInput:
    source: InputSource
    path: str
    content: TableScan | ObjectInfo

    @property
    def files(self) -> int:
        """Number of URLs to sign."""
        return len(self.content.files) + len(self.content.deletes) if isinstance(self.content, TableScan) else 1


async def prepare_attempt(
    store: Store, signer: Signer, request: AttemptRequest, scan: Scan | None = None
) -> AttemptPlan:
    """Look up the inputs, write both plans and sign the grants. A repeated call writes the plans again.

    Args:
        store: the Storage.
        signer: signs for it.
        request: what the attempt needs.
        scan: looks up tables in the Storage's catalog; None if it has no catalog and `request` names no tables.

    Raises:
        UserError: (InputNotFound) an input does not exist; (InvalidSpec, InputInvalid) its mapping is invalid.
        PlatformError: the store refused, see `storage.store.errors`.
        ComponentRunError: what `scan` raises.
    """
    _check_destinations(request.inputs)
    _check_tables(request.outputs)
    await signer.refresh()
    _check_keys_last(signer, request)

    inputs = await _look_all_up(store, request.inputs, scan)
    tables = {
        item.content.table: item.content
        for item in inputs
        if item.source.remember and isinstance(item.content, TableScan)
    }
    if tables and not await write_down(store, request.run, request.attempt, tables):
        inputs = await _look_all_up(store, request.inputs, scan)
    files = await choose_files(store, request.files)
    plan_in = await _signed(
        lambda: _stage_in_plan(request, signer, inputs, files), sum(item.files for item in inputs) + len(files)
    )
    plan_out = _stage_out_plan(request, store.settings.compression)
    key_in = store.layout.stage_in_plan(request.run, request.attempt)
    key_out = store.layout.stage_out_plan(request.run, request.attempt)
    await gather_bounded(lambda item: store.put(*item), [(key_in, _encode(plan_in)), (key_out, _encode(plan_out))])
    post = await _post(store, signer, request)
    ca_bundle = store.settings.ca_bundle
    return AttemptPlan(
        grant_in=GrantIn(
            signer.sign_get(key_in, request.expires_in),
            dict(request.secrets),
            ca_bundle,
            dict(request.image_secrets),
            dict(request.step_secrets),
        ),
        grant_out=GrantOut(signer.sign_get(key_out, request.expires_out), post, ca_bundle),
        inputs=tuple(_status(item) for item in inputs),
        files=files,
    )


def _stage_in_plan(
    request: AttemptRequest, signer: Signer, inputs: Sequence[_ResolvedInput], files: Sequence[FileRecord]
) -> StageInPlan:
    return StageInPlan(
        run=request.title,
        tables=tuple(
            scan_read(item.content, item.source, item.path, signer, request)
            for item in inputs
            if isinstance(item.content, TableScan)
        ),
        config=request.config,
        state=request.state,
        files=tuple(file_read(item, signer, request.expires_in) for item in files),
        parameters_text=request.parameters_text,
        objects=tuple(
            _csv_read(item, item.content, signer, request) for item in inputs if isinstance(item.content, ObjectInfo)
        ),
        steps=request.steps,
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
    """Return the plan of an attempt's stage-out; None if it was deleted."""
    document = await store.find(store.layout.stage_out_plan(run, attempt))
    return from_json(StageOutPlan, document.data) if document is not None else None


async def read_state_given(store: Store, run: str, attempt: int) -> int:
    """Return the number of the state that an attempt got, from its plan; 0 if the plan was deleted."""
    plan = await read_stage_out_plan(store, run, attempt)
    return plan.state_given if plan is not None else 0


async def _post(store: Store, signer: Signer, request: AttemptRequest) -> PostPolicy:
    """Return a form or keys that only store objects below the attempt's own prefix."""
    prefix = store.layout.data(request.run, request.attempt)
    largest = min(max(request.max_output_bytes or MAX_POST_BYTES, _LEAST_FORM_BYTES), MAX_POST_BYTES)
    if request.by_session:
        return await signer.session(prefix, largest, request.expires_out)
    return signer.post_policy(prefix, largest, request.expires_out)


async def _signed(sign: Callable[[], Result], count: int) -> Result:
    """Sign URLs, many of them in a thread.

    Signing thousands of URLs takes 100 ms, which would block other runs; for a few URLs, a thread costs more than
    signing.
    """
    return sign() if count <= _SIGNED_AT_ONCE else await asyncio.to_thread(sign)


def _encode(plan: StageInPlan | StageOutPlan) -> bytes:
    return to_json(plan).encode()


def _check_destinations(inputs: Sequence[InputSource]) -> None:
    """Refuse file names that leave the folder, and two inputs with the same file name."""
    labels: dict[str, str] = {}
    for source in inputs:
        name = source.file_name
        if not _FILE_NAME.fullmatch(name) or name in {".", ".."}:
            raise UserError(
                f"the destination of input `{source.label}` is {name!r}; expected a file name of up to 240 characters, "
                "without slashes and control characters",
                Reason.INVALID_SPEC,
            )
        for file in (name, name + MANIFEST_SUFFIX):
            if file in labels:
                raise UserError(
                    f"the inputs `{labels[file]}` and `{source.label}` would both write `{IN_TABLES}/{file}`",
                    Reason.INVALID_SPEC,
                    advice="Give one of them another `destination`.",
                )
            labels[file] = source.label


def _check_tables(outputs: Sequence[OutputTable]) -> None:
    """Refuse, before the component runs, outputs that could not be published afterwards."""
    for number, output in enumerate(outputs):
        try:
            TableId.parse(output.destination)
        except UserError as error:
            where = f"spec.output.tables[{number}].destination"
            raise UserError(f"{where}: {error.message}", Reason.INVALID_SPEC) from None


def _check_keys_last(signer: Signer, request: AttemptRequest) -> None:
    """Refuse keys that expire before the run must have ended, because signatures expire with their keys."""
    ends = signer.valid_until
    remaining = ends - datetime.now(UTC) if ends is not None else None
    if remaining is not None and remaining < request.expires_out:
        raise PlatformError(
            f"the keys of {signer.title} expire in {int(remaining.total_seconds())} s, but run {request.title} "
            f"may need them for {int(request.expires_out.total_seconds())} s",
            Reason.STORAGE_ACCESS_DENIED,
            advice="Shorten the run's `timeout`, or use keys that are valid for longer.",
        )


async def _look_all_up(store: Store, sources: Sequence[InputSource], scan: Scan | None) -> list[_ResolvedInput]:
    """Look up every table and object once, so that inputs of the same table have the same version."""
    names = list(dict.fromkeys(source.table for source in sources if source.table is not None))
    for name in names:
        TableId.parse(name)
    if names and scan is None:
        raise ValueError(f"{store.settings.title} has no catalog, but `{names[0]}` is asked for")
    scans = {} if scan is None else await scan_tables(scan, names, store.settings.title)
    keys = list(dict.fromkeys(source.object for source in sources if source.table is None))
    objects = dict(zip(keys, await gather_bounded(lambda key: _look_up(store, key), keys), strict=True))
    return [
        _ResolvedInput(
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


def _csv_read(item: _ResolvedInput, info: ObjectInfo, signer: Signer, request: AttemptRequest) -> CsvRead:
    url = signer.sign_get(info.key, request.expires_in, info.version)
    read = ObjectRead(url, info.size, quoted_etag(info.etag))
    wish = item.source.wish
    return CsvRead(item.source.label, item.path, read, wish.columns, wish.where, wish.limit)


def _status(item: _ResolvedInput) -> InputStatus:
    if isinstance(item.content, ObjectInfo):
        return InputStatus(item.source.label, None, item.content.size)
    reading = plan_scan(item.content, item.source.wish)
    return InputStatus(item.source.label, reading.rows, reading.size)
