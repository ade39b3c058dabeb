"""Decides which file becomes which table. Pure: names and manifests in, tables to store, warnings and errors out.

The table of a file is taken from the first of these that exists: the output mapping, the file's manifest, its name if
that is a full table id (`out.c-main.bar.csv`), or its name in the default bucket. Files without a destination are
skipped with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.agent.folder import FILE, FOLDER, refused, shown
from componentrun.agent.stagein.inflated import without_suffix
from componentrun.agent.stageout.manifest import Manifest
from componentrun.contract import MANIFEST_SUFFIX, OUT_TABLES
from componentrun.csv.columnnames import listed
from componentrun.csv.dialect import PLAIN, Dialect
from componentrun.errors import Reason, UserError
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from componentrun.agent.folder import Entry
    from componentrun.csv.columnfacts import ColumnFacts
    from componentrun.wire.agents import OutputTable, StageOutPlan, Where

__all__ = ["Decision", "Source", "decide"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a folder of slices, that becomes a table."""

    name: str
    """Path below out/tables."""
    sliced: bool
    table: TableId
    primary_key: tuple[str, ...]
    incremental: bool
    write_always: bool
    delete_where: Where | None = None
    dialect: Dialect = PLAIN
    columns: tuple[str, ...] | None = None
    """None means that the header line lists them."""
    has_header: bool | None = None
    """None means not set: there is no header line if `columns` is set."""
    replaces_header: bool = False
    """Whether `columns` replace the names in the header line, because the manifest says that there is one."""
    facts: tuple[ColumnFacts, ...] = ()
    """Facts about columns."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Metadata of the table as a whole."""
    insert: bool = False
    """Whether rows are added without replacing rows that have the same primary key."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with everything below out/tables."""

    sources: tuple[Source, ...]
    """Those that are stored even if the run fails come first."""
    warnings: tuple[str, ...]
    errors: tuple[UserError, ...]


def decide(entries: Sequence[Entry], manifests: Mapping[str, Manifest | UserError], plan: StageOutPlan) -> Decision:
    """Decide what to store.

    Args:
        entries: entries of out/tables.
        manifests: file name of a table (`bar.csv`) to its manifest, or to the error in it.
        plan: contains the output mapping and the default bucket.
    """
    sources: list[Source] = []
    warnings: list[str] = []
    outputs = {entry.name: entry for entry in entries if not entry.name.endswith(MANIFEST_SUFFIX)}
    traps = [entry for entry in outputs.values() if entry.kind not in {FILE, FOLDER}]
    errors = [refused(f"{OUT_TABLES}/{entry.name}", entry.kind) for entry in traps]
    errors += [_orphan(name, outputs) for name in manifests if name not in outputs]
    for entry, mapped in _candidates(outputs, plan, errors):
        manifest = manifests.get(entry.name, Manifest())
        try:
            if isinstance(manifest, UserError):
                raise manifest
            source = _source(entry, mapped, manifest, plan.default_bucket)
        except UserError as error:
            errors.append(error)
            continue
        if source is None:
            warnings.append(_not_stored(entry.name, plan.default_bucket))
        else:
            sources.append(source)
            warnings += [manifest.warning] if manifest.warning is not None else []
    sources.sort(key=lambda source: not source.write_always)
    return Decision(tuple(sources), tuple(warnings), tuple(errors))


def _candidates(
    outputs: dict[str, Entry], plan: StageOutPlan, errors: list[UserError]
) -> Iterator[tuple[Entry, OutputTable | None]]:
    """Yield entries that may become tables: first those in the output mapping, in its order, then the others."""
    for mapped in plan.tables:
        entry = outputs.get(mapped.source)
        if entry is None and mapped.optional:
            continue
        if entry is None:
            errors.append(_missing(mapped, outputs))
        elif entry.kind in {FILE, FOLDER}:
            yield entry, mapped
    mapped_names = {mapped.source for mapped in plan.tables}
    for entry in outputs.values():
        if entry.name not in mapped_names and entry.kind in {FILE, FOLDER}:
            yield entry, None


def _source(entry: Entry, mapped: OutputTable | None, manifest: Manifest, default_bucket: str | None) -> Source | None:
    table = _destination(entry.name, mapped, manifest, default_bucket)
    if table is None:
        return None
    incremental = manifest.incremental if mapped is None or mapped.incremental is None else mapped.incremental
    primary_key = manifest.primary_key if mapped is None or mapped.primary_key is None else mapped.primary_key
    columns, has_header = _columns(entry, mapped, manifest)
    return Source(
        name=entry.name,
        sliced=entry.kind == FOLDER,
        table=table,
        primary_key=primary_key or (),
        incremental=bool(incremental),
        write_always=manifest.write_always or (mapped is not None and mapped.write_always),
        delete_where=manifest.delete_where if mapped is None or mapped.delete_where is None else mapped.delete_where,
        dialect=_dialect(entry.name, mapped, manifest),
        columns=columns,
        has_header=has_header,
        replaces_header=manifest.has_header is True,
        facts=manifest.facts if mapped is None or mapped.schema is None else mapped.schema,
        metadata=manifest.metadata,
        insert=bool(manifest.insert),
    )


def _columns(
    entry: Entry, mapped: OutputTable | None, manifest: Manifest
) -> tuple[tuple[str, ...] | None, bool | None]:
    """The columns, if they are listed, and whether the file has a header line.

    The mapping's `schema` describes columns but does not give their order. Only its `columns`, or those of the
    manifest, imply that there is no header line. Slices never have one.
    """
    if mapped is None or (mapped.columns is None and mapped.schema is None):
        return manifest.columns, manifest.has_header
    if mapped.columns is not None:
        return mapped.columns, manifest.has_header
    described = tuple(item.name for item in mapped.schema or ())
    if manifest.columns is not None and sorted(manifest.columns) != sorted(described):
        raise UserError(
            f"{OUT_TABLES}/{shown(entry.name)}: its manifest has the columns {listed(manifest.columns)}; the output "
            f"mapping's schema says {listed(described)}",
            Reason.OUTPUT_INVALID,
        )
    if manifest.columns is not None:
        return manifest.columns, manifest.has_header
    if manifest.has_header is not None:
        return described, manifest.has_header
    return described, None if entry.kind == FOLDER else True


def _dialect(name: str, mapped: OutputTable | None, manifest: Manifest) -> Dialect:
    delimiter = manifest.delimiter if mapped is None or mapped.delimiter is None else mapped.delimiter
    enclosure = manifest.enclosure if mapped is None or mapped.enclosure is None else mapped.enclosure
    dialect = Dialect(delimiter or PLAIN.delimiter, PLAIN.enclosure if enclosure is None else enclosure)
    try:
        dialect.check()
    except ValueError as error:
        raise UserError(f"{OUT_TABLES}/{shown(name)}: {error}", Reason.OUTPUT_INVALID) from error
    return dialect


def _destination(
    name: str, mapped: OutputTable | None, manifest: Manifest, default_bucket: str | None
) -> TableId | None:
    if mapped is not None:
        return _parse(mapped.destination, f"{name}: the output mapping's destination")
    if manifest.destination is not None:
        # Components that leave the bucket to the platform give only a table name.
        bare = "." not in manifest.destination and default_bucket is not None
        text = f"{default_bucket}.{manifest.destination}" if bare else manifest.destination
        return _parse(text, f"{name}: its manifest's destination")
    stem = without_suffix(name).removesuffix(".csv")
    if name.startswith("."):
        return None
    try:
        return TableId.parse(stem)
    except UserError:
        if default_bucket is None:
            return None
    table = f"{default_bucket}.{stem}"
    try:
        return TableId.parse(table)
    except UserError as error:
        raise UserError(
            f"{OUT_TABLES}/{shown(name)}: no output mapping names it, and its own name makes no table in the default "
            f"bucket `{default_bucket}`: {error.message}",
            Reason.OUTPUT_INVALID,
            advice="Give it a destination in the output mapping or in its manifest, or another name.",
        ) from None


def _parse(text: str, subject: str) -> TableId:
    try:
        return TableId.parse(text)
    except UserError as error:
        raise UserError(f"{OUT_TABLES}/{shown(subject)}: {error.message}", Reason.OUTPUT_INVALID) from None


def _missing(mapped: OutputTable, outputs: dict[str, Entry]) -> UserError:
    names = ", ".join(f"`{shown(name)}`" for name in sorted(outputs)[:10]) or "nothing"
    return UserError(
        f"{OUT_TABLES}/{mapped.source}: not there, but the output mapping stores it as {mapped.destination}; "
        f"the component wrote {names}",
        Reason.OUTPUT_MISSING,
    )


def _orphan(name: str, outputs: dict[str, Entry]) -> UserError:
    match = next((shown(output) for output in outputs if output != name and without_suffix(output) == name), None)
    hint = f"; the manifest of `{match}` is called `{match}{MANIFEST_SUFFIX}`" if match else ""
    return UserError(
        f"{OUT_TABLES}/{shown(name)}{MANIFEST_SUFFIX}: there is no file or folder `{shown(name)}` beside it{hint}",
        Reason.OUTPUT_INVALID,
    )


def _not_stored(name: str, default_bucket: str | None) -> str:
    message = f"{OUT_TABLES}/{shown(name)} was not stored: no output mapping names it, its manifest (if any) gives no "
    if default_bucket is not None:
        return message + "destination, and hidden files do not go to the default bucket."
    return message + "destination, its name is not a table id, and the run has no default bucket."
