"""Uploads files: up to 256 MiB as one object, larger ones in parts, several at a time."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.agent.folder import shown
from componentrun.agent.parallel import CONNECTIONS, LARGE_AT_A_TIME, LARGE_BYTES, in_parallel
from componentrun.agent.stagein.form import Form
from componentrun.contract import OUT_FILES
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import FilePart, FileWritten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.agent.folder import Folder
    from componentrun.agent.stageout.fileoutputs import FileSource
    from componentrun.agent.transfer import Client
    from componentrun.wire.grants import PostPolicy

__all__ = ["upload_files"]

_PART_BYTES: Final = 256 * 2**20
"""A form accepts 5 GiB, but smaller parts cost less to send again, and are sent concurrently."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One object to store."""

    file: int
    name: str
    key: str
    start: int
    size: int


def upload_files(
    client: Client, folder: Folder, post: PostPolicy, sources: Sequence[FileSource]
) -> tuple[tuple[FileWritten, ...], tuple[UserError, ...]]:
    """Store all files. Returns the stored files and the errors of the others.

    Raises:
        PlatformError: the store refused or was unavailable (see `Client.send`).
    """
    large = threading.BoundedSemaphore(LARGE_AT_A_TIME)
    stored_parts: dict[_Job, FilePart] = {}
    errors: dict[int, UserError] = {}

    def store(job: _Job) -> None:
        try:
            with large if job.size >= LARGE_BYTES else contextlib.nullcontext():
                stored_parts[job] = _store(client, folder, post, job)
        except UserError as error:
            # Not raised: an error would stop the client, which still has to store the result.
            errors[job.file] = error

    jobs = [job for number, source in enumerate(sources) for job in _jobs(number, source, post.key_prefix)]
    in_parallel(jobs, store, CONNECTIONS, client.stop)
    parts: list[list[FilePart]] = [[] for _ in sources]
    for job, part in sorted(stored_parts.items(), key=lambda item: item[0].key):
        parts[job.file].append(part)
    results = (
        FileWritten(source.name, source.tags, source.permanent, tuple(file_parts), source.size)
        for number, (source, file_parts) in enumerate(zip(sources, parts, strict=True))
        if number not in errors
    )
    return tuple(results), tuple(errors.values())


def _jobs(number: int, source: FileSource, root: str) -> Iterator[_Job]:
    """The objects of a file; none for an empty file. Keys contain nothing that the component chose."""
    for part, start in enumerate(range(0, source.size, _PART_BYTES)):
        key = f"{root}files/{number:05d}-{part:05d}"
        yield _Job(number, source.name, key, start, min(_PART_BYTES, source.size - start))


def _store(client: Client, folder: Folder, post: PostPolicy, job: _Job) -> FilePart:
    path = f"{OUT_FILES}/{job.name}"
    subject = shown(path)
    try:
        with folder.open(path) as file:
            form = Form(
                post, job.key, file.read, offset=job.start, size=job.size, tail=b"", stop=client.stop, subject=subject,
                own_keys=True,
            )  # fmt: skip
            etag = client.send(form.request(), form.stored)
    except FileNotFoundError as error:
        raise UserError(f"{subject}: it was deleted while it was uploaded", Reason.OUTPUT_INVALID) from error
    return FilePart(form.key, job.size, etag)
