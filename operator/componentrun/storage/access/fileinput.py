"""Input files of an attempt: selects them and signs URLs for stage-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.contract import FILE_KEEP_DAYS, IN_FILES, MANIFEST_TIME
from componentrun.errors import Reason, UserError
from componentrun.storage.files.lookup import find_files
from componentrun.storage.store.gather import gather_bounded
from componentrun.wire.agents import FileRead, ObjectRead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from componentrun.storage.access.grants import Signer
    from componentrun.storage.files.lookup import FileQuery
    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store

__all__ = ["FileSource", "choose_files", "file_read"]


@dataclass(frozen=True, slots=True)
class FileSource:
    """One entry of the run's input files."""

    query: FileQuery
    limit: int
    """Maximum number of files; the newest are selected."""
    where: str
    """Path of the entry in the run, for messages."""
    optional: bool = False
    """Whether the entry may match no file."""


async def choose_files(store: Store, sources: Sequence[FileSource]) -> tuple[FileRecord, ...]:
    """Return the input files, each once, in the order of the entries and newest first.

    Raises:
        UserError: (InputNotFound) an entry that is not optional matches no file.
    """

    async def choose(source: FileSource) -> list[FileRecord]:
        records = await find_files(store, source.query, source.limit)
        if not records and not source.optional:
            raise UserError(
                f"{source.where}: there is no file with {source.query.told()} in {store.settings.title} "
                f"({store.settings.where()}), or it has expired",
                Reason.INPUT_NOT_FOUND,
                advice="List the existing files with `componentrun file ls`.",
            )
        return records

    choices = await gather_bounded(choose, sources)
    return tuple({record.id: record for found in choices for record in found}.values())


def file_read(record: FileRecord, signer: Signer, expires: timedelta) -> FileRead:
    """What stage-in needs to download a file."""
    return FileRead(
        source=f"file `{record.name}` ({record.id})",
        path=f"{IN_FILES}/{record.id}_{record.name}",
        parts=tuple(
            ObjectRead(signer.sign_get(part.key, expires, part.version), part.size, part.etag) for part in record.parts
        ),
        manifest=_manifest(record),
    )


def _manifest(record: FileRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "created": record.created.strftime(MANIFEST_TIME),
        "is_public": False,
        "is_encrypted": False,
        "is_sliced": False,
        "is_permanent": record.permanent,
        "tags": list(record.tags),
        "max_age_days": None if record.permanent else FILE_KEEP_DAYS,
        "size_bytes": record.size,
    }
