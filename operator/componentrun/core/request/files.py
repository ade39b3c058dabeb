"""File mappings of a run: validation, and conversion to the forms that the agents and the component read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.api.mapping.files import MOST_SHOWN_FILES, FilesStatus
from componentrun.contract import DEFAULT_FILE_LIMIT
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import OutputFile
from componentrun.wire.filenames import MAX_BYTES, name_problem, tags_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRun, Input, Output
    from componentrun.api.mapping.files import FileStatus, InputFile, OutputFileMapping

__all__ = [
    "EffectiveFiles",
    "files_status",
    "input_file_entry",
    "input_files",
    "output_file_entry",
    "output_files",
    "system_tags",
]


@dataclass(frozen=True, slots=True)
class EffectiveFiles:
    """A selection of input files, with all defaults applied."""

    where: str
    """Path of the entry in the spec, for messages."""
    id: str | None
    name: str | None
    glob: str | None
    tags: tuple[str, ...]
    limit: int
    optional: bool
    """Whether the selection may match no file."""


def input_files(spec: Input) -> tuple[EffectiveFiles, ...]:
    """The input file selections of a run.

    Raises:
        UserError: (InvalidSpec) a selection is invalid; the message names the field.
    """
    return tuple(_choice(item, f"spec.input.files[{i}]") for i, item in enumerate(spec.files))


def _choice(item: InputFile, where: str) -> EffectiveFiles:
    selectors = [name for name in ("id", "name", "glob", "tags") if getattr(item, name)]
    if not selectors:
        raise UserError(f"{where}: say which files by id, name, glob or tags", Reason.INVALID_SPEC)
    if item.id and (len(selectors) > 1 or item.limit is not None):
        raise UserError(
            f"{where}: `id` already names one file",
            Reason.INVALID_SPEC,
            advice=f"Remove {', '.join(selectors[1:]) or 'limit'}.",
        )
    if item.name and item.glob:
        raise UserError(f"{where}: give either name or glob, and not both", Reason.INVALID_SPEC)
    _check_tags(item.tags, where)
    is_single = bool(item.id or item.name)
    return EffectiveFiles(
        where=where,
        id=item.id,
        name=item.name,
        glob=item.glob,
        tags=tuple(dict.fromkeys(item.tags)),
        limit=item.limit or (1 if is_single else DEFAULT_FILE_LIMIT),
        optional=not is_single if item.optional is None else item.optional,
    )


def output_files(spec: Output) -> tuple[OutputFile, ...]:
    """The output mapping of files for stage-out. Raises as `input_files` does."""
    positions: dict[str, int] = {}
    for i, item in enumerate(spec.files):
        where = f"spec.output.files[{i}]"
        if item.source in positions:
            raise UserError(
                f"{where}.source: `{item.source}` is also the source of spec.output.files[{positions[item.source]}]",
                Reason.INVALID_SPEC,
                advice="Name each source once.",
            )
        positions[item.source] = i
        problem = name_problem(item.source)
        if problem is not None:
            raise UserError(f"{where}.source: `{item.source}` {problem}", Reason.INVALID_SPEC)
        _check_tags(item.tags or (), where)
    return tuple(OutputFile(item.source, item.tags, item.permanent, item.optional) for item in spec.files)


def _check_tags(tags: tuple[str, ...], where: str) -> None:
    problem = tags_problem(tags)
    if problem is not None:
        raise UserError(f"{where}: it {problem}", Reason.INVALID_SPEC)


def system_tags(run: ComponentRun, component_id: str) -> tuple[str, ...]:
    """Tags of every file of a run, so that files can be found by their origin."""
    configuration = run.spec.configuration
    tags = {
        "componentId": component_id,
        "configurationId": configuration.id,
        "configurationRowId": configuration.row,
        "branchId": configuration.branch,
        "runId": run.metadata.name,
    }
    return tuple(f"{name}: {value}"[:MAX_BYTES] for name, value in tags.items() if value is not None)


def input_file_entry(files: EffectiveFiles) -> dict[str, Any]:
    """An entry of the input files in config.json."""
    entry: dict[str, Any] = {"tags": list(files.tags)}
    entry |= {name: value for name in ("id", "name", "glob") if (value := getattr(files, name)) is not None}
    return entry | {"limit": files.limit}


def output_file_entry(file: OutputFileMapping) -> dict[str, Any]:
    """An entry of the output files in config.json."""
    entry: dict[str, Any] = {"source": file.source}
    if file.tags is not None:
        entry["tags"] = list(file.tags)
    if file.permanent is not None:
        entry["is_permanent"] = file.permanent
    return entry


def files_status(files: Sequence[FileStatus]) -> FilesStatus | None:
    """Files for the status: the count of all files and a list of the first ones; None if there are none."""
    if not files:
        return None
    return FilesStatus(count=len(files), bytes=sum(file.bytes for file in files), files=tuple(files[:MOST_SHOWN_FILES]))
