"""Writes the files of a commit into a folder.

Not dulwich's own checkout: it follows the platform's rules for names, and a tree that was made to harm is to be refused
with a sentence, before anything is written outside of the folder.
"""

from __future__ import annotations

import os
import stat
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dulwich.errors import ApplyDeltaError, ChecksumMismatch, ObjectFormatException
from dulwich.objects import ZERO_SHA, Blob, Commit, ObjectID, ShaFile, Tag, Tree

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.paths import check_link, check_name, git_folder
from componentrun.git.failures import not_a_repository, too_large

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dulwich.object_store import BaseObjectStore

    from componentrun.core.builds.source import GitUrl
    from componentrun.git.settings import GitSettings

__all__ = ["CheckedOut", "check_out"]

_LFS: Final = b"version https://git-lfs.github.com/spec/"
_LFS_BYTES: Final = 1024
"""Maximum size of a pointer, as its specification says."""
_SUBMODULE: Final = 0o160000
_MOST_PATH_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What was written."""

    files: tuple[str, ...]
    """Paths of files and links, relative to the folder, sorted."""
    size: int
    """Bytes of all files."""


def check_out(
    store: BaseObjectStore, commit: str, context_dir: str, folder: Path, url: GitUrl, settings: GitSettings
) -> CheckedOut:
    """Write the files of a commit, or of one of its folders, into an empty folder.

    Args:
        store: contains the commit.
        commit: its hash.
        context_dir: the folder of the repository, in normal form; empty: the whole repository.
        folder: where to write to.
        url: the repository, for messages.
        settings: limits.

    Raises:
        BuildError: there is no such folder, or something in it can't be part of an image.
        OSError: the folder can't be written.
    """
    root = _subtree(store, _tree_of(store, commit, url), context_dir, commit, url)
    return _Writer(store, folder, url, settings).write(root)


def _read(store: BaseObjectStore, name: ObjectID | None, url: GitUrl) -> ShaFile:
    """An object of the repository."""
    try:
        return store[name or ZERO_SHA]
    except (KeyError, ObjectFormatException, ChecksumMismatch, ApplyDeltaError, zlib.error) as error:
        raise not_a_repository(url, "what it sent is incomplete or damaged") from error


def _tree_of(store: BaseObjectStore, commit: str, url: GitUrl) -> Tree:
    found = _read(store, ObjectID(commit.encode()), url)
    while isinstance(found, Tag):  # a tag that was named by its own hash
        found = _read(store, found.object[1], url)
    if not isinstance(found, Commit):
        raise BuildError(
            BuildProblem.NO_SUCH_COMMIT,
            f"`{commit}` of repository `{url.text}` is a {found.type_name.decode()}, not a commit",
            "Name a commit.",
        )
    return _as_tree(_read(store, found.tree, url), url)


def _as_tree(found: ShaFile, url: GitUrl) -> Tree:
    if not isinstance(found, Tree):
        raise not_a_repository(url, "what it sent is damaged")
    return found


def _subtree(store: BaseObjectStore, tree: Tree, context_dir: str, commit: str, url: GitUrl) -> Tree:
    for part in context_dir.split("/") if context_dir else ():
        mode, child = next(
            ((entry.mode or 0, entry.sha) for entry in tree.iteritems() if entry.path == part.encode()), (0, None)
        )
        if child is None or not stat.S_ISDIR(mode):
            raise BuildError(
                BuildProblem.NO_SUCH_FOLDER,
                f"commit `{commit}` of repository `{url.text}` has no folder `{context_dir}`",
                "Push it, or correct `contextDir`.",
            )
        tree = _as_tree(_read(store, child, url), url)
    return tree


class _Writer:
    """Writes one tree."""

    def __init__(self, store: BaseObjectStore, folder: Path, url: GitUrl, settings: GitSettings) -> None:
        self._store = store
        self._folder = folder
        self._url = url
        self._settings = settings
        self._count = 0
        self._size = 0

    def write(self, root: Tree) -> CheckedOut:
        """Write a tree with all that is below."""
        files: list[str] = []
        pending = [("", root)]
        while pending:
            folder, tree = pending.pop()
            for item in tree.iteritems():
                path = self._path(folder, item.path or b"")
                mode = item.mode or 0
                if mode == _SUBMODULE:
                    raise _submodule(path)
                found = _read(self._store, item.sha, self._url)
                if stat.S_ISDIR(mode) and isinstance(found, Tree):
                    self._new(path, lambda target: target.mkdir(mode=0o755))
                    pending.append((path, found))
                elif isinstance(found, Blob):
                    self._blob(path, mode, found)
                    files.append(path)
                else:
                    raise _broken(path)
        return CheckedOut(tuple(sorted(files)), self._size)

    def _path(self, folder: str, raw: bytes) -> str:
        name = check_name(raw, folder)
        if (error := git_folder(name, folder)) is not None:
            raise error
        self._count += 1
        if self._count > self._settings.files:
            raise too_large(self._url, "its number of files and folders", self._settings.files, "")
        path = f"{folder}/{name}" if folder else name
        if len(path.encode()) > _MOST_PATH_BYTES:
            raise too_large(self._url, f"a path below `{path[:80]}`", _MOST_PATH_BYTES, "bytes")
        return path

    def _blob(self, path: str, mode: int, blob: Blob) -> None:
        size = blob.raw_length()
        if size > self._settings.file_bytes:
            raise too_large(self._url, f"file `{path}`", self._settings.file_bytes, "bytes")
        self._size += size
        if self._size > self._settings.tree_bytes:
            raise too_large(self._url, "the size of all files", self._settings.tree_bytes, "bytes")
        content = blob.data
        if stat.S_ISLNK(mode):
            link = check_link(path, content)
            self._new(path, lambda target: target.symlink_to(link))
            return
        if size <= _LFS_BYTES and content.startswith(_LFS):
            raise _lfs_pointer(path)
        file_mode = 0o755 if mode & 0o100 else 0o644

        def create(target: Path) -> None:
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode), "wb") as file:
                file.write(content)

        self._new(path, create)

    def _new(self, path: str, create: Callable[[Path], None]) -> None:
        """Create something that must not be there: a tree that has a name twice could lead out of the folder."""
        try:
            create(self._folder / path)
        except FileExistsError:
            raise BuildError(
                BuildProblem.UNUSABLE_NAME,
                f"the repository has two entries `{path}`",
                "The commit is damaged: make a new one with git.",
            ) from None


def _submodule(path: str) -> BuildError:
    return BuildError(
        BuildProblem.SUBMODULE,
        f"`{path}` is a submodule, whose files are in another repository",
        "Copy the files into the repository, or install them as a package by the commands of the build.",
    )


def _lfs_pointer(path: str) -> BuildError:
    return BuildError(
        BuildProblem.LFS_POINTER,
        f"`{path}` is a pointer of Git LFS, whose content is on another server",
        "Store the file in git itself, or load it by the commands of the build or when the component runs.",
    )


def _broken(path: str) -> BuildError:
    return BuildError(
        BuildProblem.UNUSABLE_NAME,
        f"`{path}` is neither a file nor a folder nor a link",
        "The commit is damaged: make a new one with git.",
    )
