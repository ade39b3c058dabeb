"""What git's own server gives over https: commits that no branch has any more, long histories, folders of a commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.source import FoundCommit, parse_git_url
from componentrun.git.fetch import fetch
from componentrun.git.refs import look_up
from tests.integration.builder.gitservers import LOGIN, GitItself, HttpsServer
from tests.integration.builder.repositories import LINK, Item, annotate, commit, new_repository
from tests.integration.registry.realregistry import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.git.checkout import CheckedOut

MOST_BYTES = 20_000
"""What a commit with a small file may cost, whatever was before it."""
AS_IT_IS = ("-c", "core.compression=0", "-c", "core.bigFileThreshold=1m")
"""Options with which git neither compresses large files nor compares them."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "app.git"


@pytest.fixture
def git(folder: Path) -> GitItself:
    return GitItself(folder)


@pytest.fixture
def server(tmp_path: Path, folder: Path, git: GitItself) -> Iterator[HttpsServer]:
    with HttpsServer(Authority.create(tmp_path), new_repository(folder), chain=git).running() as running:
        yield running


def found(server: HttpsServer, ref: str) -> FoundCommit:
    return look_up(parse_git_url(server.url, "url"), ref, LOGIN, server.settings)


def fetched(server: HttpsServer, revision: str, folder: Path, context_dir: str = "") -> CheckedOut:
    folder.mkdir()
    return fetch(parse_git_url(server.url, "url"), revision, context_dir, folder, LOGIN, server.settings)


def run_git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_branches_tags_and_commits_are_read(server: HttpsServer, tmp_path: Path) -> None:
    first = commit(server.repository, {b"main.py": b"1"})
    second = commit(server.repository, {b"main.py": b"2"}, parent=first)
    annotate(server.repository, "v1", first)
    assert found(server, "main") == FoundCommit(second, "refs/heads/main")
    assert found(server, "v1") == FoundCommit(first, "refs/tags/v1")
    assert fetched(server, first, tmp_path / "code").files == ("main.py",), "it is not the head of a branch"


def test_one_name_of_a_branch_and_a_tag_means_neither(server: HttpsServer) -> None:
    branch = commit(server.repository, {b"main.py": b"1"}, "refs/heads/v1")
    tag = commit(server.repository, {b"main.py": b"2"}, "refs/tags/v1")
    with pytest.raises(BuildError, match="has both a branch and a tag `v1`") as caught:
        found(server, "v1")
    assert "`refs/heads/v1` or `refs/tags/v1`" in caught.value.advice
    assert (found(server, "refs/heads/v1").commit, found(server, "refs/tags/v1").commit) == (branch, tag)


def test_a_commit_is_read_after_a_forced_push_until_the_server_has_deleted_it(
    server: HttpsServer, folder: Path, tmp_path: Path
) -> None:
    commit(server.repository, {b"main.py": b"old"})
    revision = found(server, "main").commit
    commit(server.repository, {b"main.py": b"new"})
    assert found(server, "main").commit != revision
    assert fetched(server, revision, tmp_path / "before").size == len(b"old")
    run_git(folder, "gc", "--quiet", "--prune=now")
    with pytest.raises(BuildError, match=f"does not give commit `{revision}`") as caught:
        fetched(server, revision, tmp_path / "after")
    assert caught.value.problem is BuildProblem.NO_SUCH_COMMIT
    assert "forced push" in caught.value.advice
    assert list((tmp_path / "after").iterdir()) == []


def test_a_commit_of_an_empty_repository_is_named(server: HttpsServer, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has no branches and no tags"):
        found(server, "main")
    with pytest.raises(BuildError, match="does not give commit") as caught:
        fetched(server, "a" * 40, tmp_path / "code")
    assert caught.value.problem is BuildProblem.NO_SUCH_COMMIT


@pytest.mark.long
def test_two_hundred_megabytes_of_history_are_not_sent(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="history-", dir=memory if memory.is_dir() else tmp_path) as place:
        folder = Path(place) / "app.git"
        git, repository = GitItself(folder), new_repository(folder)
        run_git(folder, *AS_IT_IS, "fast-import", "--quiet", stdin=long_history(20, 10_000_000))
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > 200_000_000
        with HttpsServer(Authority.create(tmp_path), repository, chain=git).running() as server:
            revision = found(server, "main").commit
            assert fetched(server, revision, tmp_path / "code").files == ("main.py",)
        assert git.sent_bytes < MOST_BYTES


def long_history(commits: int, size: int) -> bytes:
    """Commits that replace a file by another random one, and a last one that deletes it, for `git fast-import`."""
    who = b"committer Ann <ann@example.com> 1700000000 +0000\ndata 1\nx\n"
    parts = []
    for _ in range(commits):
        parts.append(b"commit refs/heads/main\n" + who + b"M 644 inline large\ndata %d\n" % size)
        parts += [os.urandom(size), b"\n"]
    parts.append(b"commit refs/heads/main\n" + who + b"D large\nM 644 inline main.py\ndata 1\n1\n")
    return b"".join(parts)


@pytest.mark.parametrize("target", [b"../../shared", b"../../../etc/passwd", b"/etc/passwd"])
def test_a_link_out_of_the_folder_that_is_built_is_refused(server: HttpsServer, tmp_path: Path, target: bytes) -> None:
    files: dict[bytes, Item | bytes] = {b"shared": b"1", b"app/main.py": b"1", b"app/below/link": Item(target, LINK)}
    revision = commit(server.repository, files)
    with pytest.raises(
        BuildError, match=f"link `below/link` leads to '{target.decode()}', out of the folder"
    ) as caught:
        fetched(server, revision, tmp_path / "code", "app")
    assert caught.value.problem is BuildProblem.LINK_LEAVES_FOLDER


def test_a_commit_without_files_is_a_folder_without_files(server: HttpsServer, tmp_path: Path) -> None:
    assert fetched(server, commit(server.repository, {}), tmp_path / "code").files == ()
