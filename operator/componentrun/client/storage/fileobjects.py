"""`ObjectFiles`: implements `FileStore` on `componentrun.storage`."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from componentrun.client.errors import NotFoundError
from componentrun.client.storage.filestore import FileInfo
from componentrun.errors import Reason
from componentrun.storage.files.index import is_file_id
from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.records import change_file, delete_file, need_file, read_content
from componentrun.storage.files.upload import upload_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from componentrun.client.storage.progress import Progress
    from componentrun.client.storage.threads import Runner
    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store

__all__ = ["ObjectFiles"]


class ObjectFiles:
    """The files of one Storage."""

    def __init__(
        self,
        store: Store,
        runner: Runner,
        counting: Callable[[Progress], Store],
    ) -> None:
        """`counting` returns a store that reports how many bytes it has written."""
        self._store = store
        self._runner = runner
        self._counting = counting

    def put(
        self,
        path: Path,
        *,
        name: str | None,
        tags: Sequence[str],
        permanent: bool,
        progress: Progress,
    ) -> FileInfo:
        """Store a local file."""
        upload = upload_file(self._counting(progress), path, name=name, tags=tuple(tags), permanent=permanent)
        return _info(self._runner.run(upload))

    def find(self, *, name: str | None, glob: str | None, tags: Sequence[str], limit: int | None) -> list[FileInfo]:
        """Matching files, newest first."""
        query = FileQuery(name=name, glob=glob, tags=tuple(tags))
        return [_info(record) for record in self._runner.run(find_files(self._store, query, limit))]

    def need(self, file: str) -> FileInfo:
        """The file with this id, else the newest one with this name."""
        queries = [FileQuery(name=file)]
        if is_file_id(file):
            queries.insert(0, FileQuery(id=file))
        for query in queries:
            records = self._runner.run(find_files(self._store, query, 1))
            if records:
                return _info(records[0])
        raise NotFoundError(
            f"there is no file `{file}`, by id or by name, in {self._store.settings.title}, or it has expired",
            "`componentrun file ls` lists the files.",
            Reason.INPUT_NOT_FOUND,
        )

    def get(self, file: str, target: IO[bytes], progress: Progress) -> FileInfo:
        """Write the bytes of a file, by its id."""

        async def copy() -> FileInfo:
            record = await need_file(self._store, file)
            count = 0
            async for chunk in read_content(self._store, record):
                target.write(chunk)
                count += len(chunk)
                progress(count, record.size)
            return _info(record)

        return self._runner.run(copy())

    def change(self, file: str, *, add: Sequence[str], remove: Sequence[str], permanent: bool) -> FileInfo:
        """Change the tags of a file, by its id, or keep it until it is deleted."""
        return _info(self._runner.run(change_file(self._store, file, add=add, remove=remove, permanent=permanent)))

    def remove(self, file: str) -> None:
        """Delete a file, by its id."""

        async def delete() -> None:
            await delete_file(self._store, await need_file(self._store, file))

        self._runner.run(delete())


def _info(record: FileRecord) -> FileInfo:
    return FileInfo(
        id=record.id,
        name=record.name,
        tags=record.tags,
        bytes=record.size,
        created=record.created,
        expires=record.expires,
        run=record.run,
    )
