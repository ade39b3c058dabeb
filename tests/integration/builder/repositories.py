"""Repositories of the tests, made object by object, so that they can have what git itself would refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dulwich.objects import ObjectID

FILE = 0o100644
PROGRAM = 0o100755
LINK = 0o120000
SUBMODULE = 0o160000


@dataclass(frozen=True)
class Item:
    """A file with a mode."""

    content: bytes
    mode: int = FILE


def new_repository(folder: Path) -> Repo:
    """An empty bare repository."""
    folder.mkdir(parents=True)
    return Repo.init_bare(str(folder))


def commit(
    repository: Repo, files: Mapping[bytes, Item | bytes], ref: str = "refs/heads/main", parent: str | None = None
) -> str:
    """Commit files, and point a ref to the commit. Returns its hash."""
    made = Commit()
    made.tree = tree(repository, files)
    made.parents = [] if parent is None else [parent.encode()]  # type: ignore[list-item]
    made.author = made.committer = b"Ann <ann@example.com>"
    made.author_time = made.commit_time = 1_700_000_000
    made.author_timezone = made.commit_timezone = 0
    made.message = b"change\n"
    repository.object_store.add_object(made)
    repository.refs[ref.encode()] = made.id  # type: ignore[index]
    return made.id.decode()


def tree(repository: Repo, files: Mapping[bytes, Item | bytes]) -> ObjectID:
    """Store a tree. Names with `/` are in folders."""
    made, folders = Tree(), dict[bytes, dict[bytes, Item | bytes]]()
    for path, item in files.items():
        folder, slash, rest = path.partition(b"/")
        if slash:
            folders.setdefault(folder, {})[rest] = item
            continue
        content = item if isinstance(item, Item) else Item(item)
        if content.mode == SUBMODULE:
            made.add(path, content.mode, content.content)  # type: ignore[arg-type]
            continue
        blob = Blob.from_string(content.content)
        repository.object_store.add_object(blob)
        made.add(path, content.mode, blob.id)
    for folder, below in folders.items():
        made.add(folder, 0o040000, tree(repository, below))
    repository.object_store.add_object(made)
    return made.id


def annotate(repository: Repo, name: str, commit_id: str) -> None:
    """Point an annotated tag to a commit."""
    made = Tag()
    made.name = name.encode()
    made.object = (Commit, commit_id.encode())
    made.tagger, made.tag_time, made.tag_timezone = b"Ann <ann@example.com>", 1_700_000_000, 0
    made.message = b"release\n"
    repository.object_store.add_object(made)
    repository.refs[f"refs/tags/{name}".encode()] = made.id  # type: ignore[index]
