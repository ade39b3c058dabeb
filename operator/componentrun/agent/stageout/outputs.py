"""Which file becomes which table. Pure: names and manifests in, tables to store, warnings and errors out.

A file's table is named by, in this order: the output mapping, its manifest, its own name where that is a whole table
id (`out.c-main.bar.csv`), its own name in the default bucket. Files without a destination are
skipped, with a warning.
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
    """Below out/tables."""
    sliced: bool
    table: TableId
    primary_key: tuple[str, ...]
    incremental: bool
    write_always: bool
    delete_where: Where | None = None
    dialect: Dialect = PLAIN
    columns: tuple[str, ...] | None = None
    """None: the header line says."""
    has_header: bool | None = None
    """None: not said, so there is none where `columns` are given."""
    replaces_header: bool = False
    """Whether `columns` take the place of the header's names: the manifest says that there is a header line."""
    facts: tuple[ColumnFacts, ...] = ()
    """Columns of which something is said."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What is said of the table as a whole."""
    insert: bool = False
    """Whether its rows replace none that agree in the primary key."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with everything below out/tables."""

    sources: tuple[Source, ...]
    """Those that are stored even if the run fails come first."""
    warnings: tuple[str, ...]
    errors: tuple[UserError, ...]


def decide(entries: Sequence[Entry], manifests: Mapping[str, Manifest | UserError], plan: StageOutPlan) -> Decision:
    """Decide what to store.

    Args:
        entries: names below out/tables.
        manifests: file name of a table (`bar.csv`) to its manifest, or to what is wrong with that.
        plan: the output mapping and the default bucket.
    """
    sources: list[Source] = []
    warnings: list[str] = []
    written = {entry.name: entry for entry in entries if not entry.name.endswith(MANIFEST_SUFFIX)}
    traps = [entry for entry in written.values() if entry.kind not in {FILE, FOLDER}]
    errors = [refused(f"{OUT_TABLES}/{entry.name}", entry.kind) for entry in traps]
    errors += [_orphan(name, written) for name in manifests if name not in written]
    for entry, mapped in _candidates(written, plan, errors):
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
    written: dict[str, Entry], plan: StageOutPlan, errors: list[UserError]
) -> Iterator[tuple[Entry, OutputTable | None]]:
    """What may become a table: first what the mapping names, in its order, then the rest."""
    for mapped in plan.tables:
        entry = written.get(mapped.source)
        if entry is None and mapped.optional:
            continue
        if entry is None:
            errors.append(_missing(mapped, written))
        elif entry.kind in {FILE, FOLDER}:
            yield entry, mapped
    named = {mapped.source for mapped in plan.tables}
    for entry in written.values():
        if entry.name not in named and entry.kind in {FILE, FOLDER}:
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
    """The columns, where they are given, and whether the file has a header line.

    The mapping's `schema` tells what the columns are, not where: only its `columns` (or the manifest) say that there is
    no header line. Slices never have one.
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
        # Components that leave the bucket to the platform name the table only.
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
            f"bucket `{default_bucket}`: {error.message}. Give it a destination in the output mapping or in its "
            "manifest, or another name",
            Reason.OUTPUT_INVALID,
        ) from None


def _parse(text: str, what: str) -> TableId:
    try:
        return TableId.parse(text)
    except UserError as error:
        raise UserError(f"{OUT_TABLES}/{shown(what)}: {error.message}", Reason.OUTPUT_INVALID) from None


def _missing(mapped: OutputTable, written: dict[str, Entry]) -> UserError:
    there = ", ".join(f"`{shown(name)}`" for name in sorted(written)[:10]) or "nothing"
    return UserError(
        f"{OUT_TABLES}/{mapped.source}: not there, but the output mapping stores it as {mapped.destination}; "
        f"the component wrote {there}",
        Reason.OUTPUT_MISSING,
    )


def _orphan(name: str, written: dict[str, Entry]) -> UserError:
    packed = next((shown(other) for other in written if other != name and without_suffix(other) == name), None)
    hint = f"; the manifest of `{packed}` is called `{packed}{MANIFEST_SUFFIX}`" if packed else ""
    return UserError(
        f"{OUT_TABLES}/{shown(name)}{MANIFEST_SUFFIX}: there is no file or folder `{shown(name)}` beside it{hint}",
        Reason.OUTPUT_INVALID,
    )


def _not_stored(name: str, default_bucket: str | None) -> str:
    told = f"{OUT_TABLES}/{shown(name)} was not stored: no output mapping names it, its manifest (if any) gives no "
    if default_bucket is not None:
        return told + "destination, and hidden files do not go to the default bucket."
    return told + "destination, its name is no table id, and the run has no default bucket."
