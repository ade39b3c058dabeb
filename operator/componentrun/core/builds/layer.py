"""Layers: archives that depend on their content alone.

Names are sorted, owners are root, times are zero, and modes are 0644 or 0755, so that the component can read and run
its files with any user id, and can't change them. Links are stored and never followed.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, Literal

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.paths import WHITEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MOST_BYTES", "MOST_ENTRIES", "Entry", "Written", "too_large", "too_many", "write_layer"]

MOST_BYTES: Final = 8 * 2**30
"""Maximum size of all files of a layer. The limit of a disk counts blocks, so that a file with holes, or a second
link to a file, costs nothing there, but is read, compressed, and written on every node that pulls the image."""
MOST_ENTRIES: Final = 200_000
"""Maximum number of files, folders and links of a layer."""
_OPAQUE: Final = f"{WHITEOUT}{WHITEOUT}.opq"
"""Name of the file that hides what the layers below have in a folder."""
_FILE_MODE: Final = 0o644
_EXECUTABLE_MODE: Final = 0o755
_COMPRESSION: Final = 6
_CHUNK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a folder or a symbolic link."""

    path: str
    """Path relative to the folder of the code."""
    kind: Literal["file", "folder", "link"]
    is_executable: bool = False
    size: int = 0
    open: Callable[[], IO[bytes]] | None = None
    """Opens the content of a file."""
    target: str = ""
    """Target of a link."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    digest: str
    """Digest of the compressed archive, which names it in a registry."""
    size: int
    """Size of the compressed archive in bytes."""
    diff_id: str
    """Digest of the archive before its compression."""


class _Hashing:
    """Writes to another file, and hashes what is written."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        """Write a part."""
        self._hash.update(content)
        self.size += len(content)
        return self._out.write(content)

    def flush(self) -> None:
        """Flush the file."""
        self._out.flush()

    def tell(self) -> int:
        """The number of bytes written, which is what `tarfile` asks for."""
        return self.size

    @property
    def digest(self) -> str:
        """Digest of everything so far."""
        return f"sha256:{self._hash.hexdigest()}"


def too_large(path: str, size: int, limit: int) -> BuildError:
    """The error for files that are larger than a layer may be.

    Args:
        path: the file with which they exceed the limit.
        size: size of all files so far, in bytes.
        limit: the limit in bytes.
    """
    return BuildError(
        BuildProblem.TOO_LARGE,
        f"with `{path}` the files of the build have {size} bytes or more; a layer of an image has at most {limit}, and "
        "files with holes and further links to a file count with their whole size",
        "Have the commands of the build delete what the component does not need.",
    )


def too_many(limit: int) -> BuildError:
    """The error for more files, folders and links than a layer may have."""
    return BuildError(
        BuildProblem.TOO_LARGE,
        f"the build has left more than {limit} files, folders and links; a layer of an image has at most {limit}",
        "Have the commands of the build delete what the component does not need, such as caches.",
    )


def write_layer(entries: Iterable[Entry], folder: str, out: IO[bytes], *, hides_below: bool) -> Written:
    """Write a layer.

    Args:
        entries: the content, in any order. Folders above an entry need not be there.
        folder: absolute path of the folder in the image.
        out: where to write to.
        hides_below: whether the folder's content in the layers below is hidden.

    Raises:
        OSError: a file can't be read, or has another size than its entry, or `out` can't be written.
    """
    root = folder.strip("/")
    compressed = _Hashing(out)
    # The parameters leave no name and no time in the header of the compressed file.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=compressed, mtime=0) as packed:
        plain = _Hashing(packed)  # type: ignore[arg-type]  # it has the methods of a file that are used
        with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as archive:  # type: ignore[call-overload]
            archive.addfile(_header(root, "folder"))
            if hides_below:
                archive.addfile(_header(f"{root}/{_OPAQUE}", "file"))
            for entry in sorted(entries, key=lambda entry: entry.path.encode()):
                _add(archive, root, entry)
    return Written(compressed.digest, compressed.size, plain.digest)


def _add(archive: tarfile.TarFile, root: str, entry: Entry) -> None:
    header = _header(f"{root}/{entry.path}", entry.kind, is_executable=entry.is_executable)
    if entry.open is None:
        header.linkname = entry.target
        archive.addfile(header)
        return
    header.size = entry.size
    with entry.open() as content:
        archive.addfile(header, content)


def _header(path: str, kind: Literal["file", "folder", "link"], *, is_executable: bool = False) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path)
    header.type = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}[kind]
    header.mode = {"file": _FILE_MODE, "folder": _EXECUTABLE_MODE, "link": 0o777}[kind]
    if is_executable and kind == "file":
        header.mode = _EXECUTABLE_MODE
    return header
