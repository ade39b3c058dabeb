"""Entry point of stage-out: uploads what the component wrote, and reports what it uploaded.

stage-out does not know how the component ended, so it stores everything, and the operator decides what to publish. If
a table is malformed, the result is not ok but still lists the complete tables: `writeAlways` tables are
published even then.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.agent.folder import Folder
from componentrun.agent.memory import keep_blocks
from componentrun.agent.plan import fetch_plan
from componentrun.agent.progress import WORTH_A_LINE, amount, say
from componentrun.agent.stagein.form import Form
from componentrun.agent.stageout.checking import Checkers
from componentrun.agent.stageout.fileoutputs import file_outputs
from componentrun.agent.stageout.fileupload import upload_files
from componentrun.agent.stageout.kept import keep
from componentrun.agent.stageout.manifest import Manifest, parse_manifest
from componentrun.agent.stageout.outputs import decide
from componentrun.agent.stageout.outputsizes import output_sizes
from componentrun.agent.stageout.upload import SMALL_BYTES, Uploaded, upload
from componentrun.agent.transfer import Client, Patience
from componentrun.errors import Reason, UserError, together
from componentrun.wire.agents import STAGE_OUT_RESULT, StageOutPlan, StageOutResult, to_json
from componentrun.wire.chain import CHAIN_MOUNT, PLAN
from componentrun.wire.documents import NO_TEXT, is_text, parse_portable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.agent.folder import Entry
    from componentrun.wire.agents import FileWritten
    from componentrun.wire.grants import GrantOut, PostPolicy

__all__ = ["MOST_COLUMNS", "bounded", "stage_out"]

MOST_COLUMNS: Final = 250_000
"""Maximum columns of all tables of a run: publishing takes a KiB of the operator's memory for each column."""


def stage_out(grant: GrantOut, data: str, patience: Patience | None = None, chain: str = CHAIN_MOUNT) -> StageOutResult:
    """Upload the output and the result.

    Args:
        grant: the URL of the plan, and write access.
        data: path of the data folder.
        patience: timeouts for a store that does not respond; None: those of production.
        chain: path of the volume for the agents of a pod with processors.

    Returns:
        What was uploaded; `ok` is False if something that the component wrote can't be stored.

    Raises:
        PlatformError: see `Client.send`; no result object is written then.
    """
    started = time.monotonic()
    keep_blocks()
    with Client(grant.ca_bundle, patience or Patience()) as client:
        plan = fetch_plan(client, grant.plan_url, StageOutPlan, "the plan of stage-out")
        kept_at, warnings = _end_of_steps(data, chain)
        with Folder(data) as folder, Folder(kept_at) as kept:
            result, errors = _stage(client, plan, grant.post, (folder, kept), started)
        if warnings:
            result = dataclasses.replace(result, warnings=(*warnings, *result.warnings), empty=False)
        _tell(result, errors)
        _store_result(client, grant.post, result)
    return result


def _end_of_steps(data: str, chain: str) -> tuple[str, tuple[str, ...]]:
    """Where to find what the component left beside its output, and warnings about processors."""
    if not os.path.exists(f"{chain}/{PLAN}"):  # noqa: PTH110 - pathlib costs ten milliseconds
        return data, ()
    from componentrun.agent.steps.ended import chain_end  # noqa: PLC0415 - runs without processors end faster

    return chain_end(data, chain)


def _stage(
    client: Client, plan: StageOutPlan, post: PostPolicy, folders: tuple[Folder, Folder], started: float
) -> tuple[StageOutResult, list[UserError]]:
    """Upload everything. The second folder has what the component left beside its output."""
    folder, kept_folder = folders
    errors: list[UserError] = []
    entries = _entries(folder, errors)
    decision = decide(entries, _manifests(folder, entries), plan)
    errors += decision.errors
    files = file_outputs(folder, plan)
    errors += files.errors
    sizes = output_sizes(folder, entries, decision, None if plan.max_bytes is None else plan.max_bytes - files.size)
    errors += sizes.errors
    size = sizes.total + files.size
    uploaded = Uploaded((), (), ())
    files_written: tuple[FileWritten, ...] = ()
    if plan.max_bytes is not None and size > plan.max_bytes:
        # Checked before the upload begins. Every other error affects only its own table.
        errors.append(_too_large(size, plan.max_bytes))
    else:
        if size >= WORTH_A_LINE:
            say("info", f"Uploading the output: {amount(len(decision.sources), size, len(files.sources))}.")
        with Checkers(folder, None if sizes.largest > SMALL_BYTES else 0) as checkers:
            uploaded = bounded(upload(client, folder, post, sizes.sources, checkers, plan, sizes.unpacked_sizes))
    errors += uploaded.errors
    if not errors:
        # A failed run publishes no files, so they are not uploaded.
        files_written, problems = upload_files(client, folder, post, files.sources)
        errors += problems
    state = _state(kept_folder, errors)
    kept = keep(client, kept_folder, post, folder)
    errors += kept.errors
    warnings = (*decision.warnings, *files.warnings, *uploaded.warnings, *kept.warnings)
    result = _result(uploaded, files_written, state, errors, warnings, time.monotonic() - started)
    return dataclasses.replace(result, said=kept.message), errors


def _too_large(size: int, allowed: int) -> UserError:
    return UserError(
        f"{contract.OUT_TABLES} and {contract.OUT_FILES} hold {size} bytes; the run may store {allowed}. "
        "Nothing was uploaded",
        Reason.OUTPUT_INVALID,
        advice="Write less, or have the Component's `dataSize` raised.",
    )


def bounded(uploaded: Uploaded) -> Uploaded:
    """Return what was stored, or an error without tables if they have more columns than the operator can publish."""
    columns = sum(len(table.columns) for table in uploaded.tables)
    if columns <= MOST_COLUMNS:
        return uploaded
    error = UserError(
        f"the tables in {contract.OUT_TABLES} have {columns} columns together; expected at most {MOST_COLUMNS}. None "
        "was stored",
        Reason.OUTPUT_INVALID,
    )
    return dataclasses.replace(uploaded, tables=(), errors=(*uploaded.errors, error))


def _entries(folder: Folder, errors: list[UserError]) -> list[Entry]:
    try:
        return folder.entries(contract.OUT_TABLES)
    except UserError as error:
        errors.append(error)
        return []


def _manifests(folder: Folder, entries: Sequence[Entry]) -> dict[str, Manifest | UserError]:
    manifests: dict[str, Manifest | UserError] = {}
    for entry in entries:
        if not entry.name.endswith(contract.MANIFEST_SUFFIX):
            continue
        path = f"{contract.OUT_TABLES}/{entry.name}"
        try:
            manifest: Manifest | UserError = parse_manifest(folder.document(path), path)
        except UserError as error:
            manifest = error
        manifests[entry.name.removesuffix(contract.MANIFEST_SUFFIX)] = manifest
    return manifests


def _state(folder: Folder, errors: list[UserError]) -> dict[str, Any] | None:
    path = contract.OUT_STATE
    try:
        text = folder.document(path)
        state = parse_portable(text) if text.strip() else None
    except FileNotFoundError:
        return None
    except UserError as error:
        errors.append(error)
        return None
    except ValueError as error:
        problem = _problem_of_json(error)
        errors.append(UserError(f"{path}: it is not valid JSON ({problem}); expected an object", Reason.OUTPUT_INVALID))
        return None
    if not is_text(state):
        errors.append(UserError(f"{path}: {NO_TEXT}", Reason.OUTPUT_INVALID))
        return None
    if state is not None and not isinstance(state, dict):
        # PHP writes an empty object as an empty list.
        if state != []:
            kind = type(state).__name__
            errors.append(UserError(f"{path}: found a JSON {kind}, expected an object", Reason.OUTPUT_INVALID))
        return None if state != [] else {}
    return state


def _problem_of_json(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}: {error.msg}"
    return "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _result(
    uploaded: Uploaded,
    files: tuple[FileWritten, ...],
    state: dict[str, Any] | None,
    errors: Sequence[UserError],
    warnings: tuple[str, ...],
    seconds: float,
) -> StageOutResult:
    error = together(errors) if errors else None
    return StageOutResult(
        ok=error is None,
        tables=uploaded.tables,
        state=state,
        warnings=warnings,
        rows=sum(table.rows for table in uploaded.tables),
        size=sum(table.size for table in uploaded.tables) + sum(file.size for file in files),
        seconds=round(seconds, 3),
        reason=error.reason if error else None,
        message=error.message if error else None,
        advice=(error.advice or None) if error else None,
        files=files,
        always=sum(table.write_always for table in uploaded.tables),
        empty=not (uploaded.tables or files or warnings) and state is None,
    )


def _tell(result: StageOutResult, errors: Sequence[UserError]) -> None:
    if result.said is not None:
        say("info", result.said, file=contract.OUT_RESULT)
    for warning in result.warnings:
        say("warn", warning)
    for error in errors:
        say("error", error.message, reason=error.reason)
    say(
        "info",
        f"Output uploaded: {amount(len(result.tables), result.size, len(result.files))} in {result.seconds:.1f} s.",
        tables=[{"table": table.destination, "rows": table.rows, "bytes": table.size} for table in result.tables],
        rows=result.rows,
        bytes=result.size,
        files=len(result.files),
        seconds=result.seconds,
    )


def _store_result(client: Client, post: PostPolicy, result: StageOutResult) -> None:
    content = to_json(result).encode()
    subject = "the result of stage-out"
    form = Form(
        post,
        post.key_prefix + STAGE_OUT_RESULT,
        lambda length, offset: content[offset : offset + length],
        offset=0,
        size=len(content),
        tail=b"",
        stop=client.stop,
        subject=subject,
    )
    client.send(form.request(), form.stored)
