"""Repositories on real servers: https with a password behind TLS, and ssh with a key and known hosts."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from componentrun.core.builds.errors import BuildError, BuildProblem, GitAwayError
from componentrun.core.builds.login import HttpsLogin
from componentrun.core.builds.source import FoundCommit, parse_git_url
from componentrun.git.fetch import fetch
from componentrun.git.refs import look_up
from componentrun.git.settings import GitSettings
from dev.cluster.host.ports import free_port
from tests.integration.builder.gitservers import LOGIN, PASSWORD, HttpsServer, SshServer, ssh_server
from tests.integration.builder.repositories import (
    LINK,
    PROGRAM,
    SUBMODULE,
    Item,
    annotate,
    commit,
    new_repository,
)
from tests.integration.registry.realregistry import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from dulwich.repo import Repo

    from componentrun.git.checkout import CheckedOut

FILES: Mapping[bytes, Item | bytes] = {
    b"main.py": b"print(1)\n",
    b"run.sh": Item(b"#!/bin/sh\n", PROGRAM),
    b"lib/util.py": b"x = 1\n",
    "lib/ä.txt".encode(): b"",
    b"lib/link": Item(b"../main.py", LINK),
}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repo:
    return new_repository(tmp_path / "srv" / "app.git")


@pytest.fixture
def server(tmp_path: Path, repository: Repo) -> Iterator[HttpsServer]:
    with HttpsServer(Authority.create(tmp_path), repository).running() as running:
        yield running


@pytest.fixture
async def ssh() -> AsyncIterator[SshServer]:
    async with ssh_server() as running:
        yield running


def found(server: HttpsServer, ref: str, login: HttpsLogin | None = LOGIN) -> FoundCommit:
    return look_up(parse_git_url(server.url, "url"), ref, login, server.settings)


def fetched(server: HttpsServer, revision: str, folder: Path, context_dir: str = "", **limits: int) -> CheckedOut:
    folder.mkdir()
    settings = replace(server.settings, **limits)  # type: ignore[arg-type]
    return fetch(parse_git_url(server.url, "url"), revision, context_dir, folder, LOGIN, settings)


def refused(
    server: HttpsServer, files: Mapping[bytes, Item | bytes], folder: Path, limits: Mapping[str, int] | None = None
) -> BuildError:
    """The error for a commit with these files. Nothing is written outside of the folder."""
    revision = commit(server.repository, files)
    before = sorted(folder.parent.iterdir())
    with pytest.raises(BuildError) as caught:
        fetched(server, revision, folder, **(limits or {}))
    assert sorted(path for path in folder.parent.iterdir() if path != folder) == before
    assert PASSWORD not in caught.value.message
    assert caught.value.advice
    return caught.value


def test_a_branch_and_a_tag_mean_a_commit(server: HttpsServer) -> None:
    first = commit(server.repository, FILES)
    second = commit(server.repository, {b"a": b"2"}, "refs/heads/feature/x", first)
    annotate(server.repository, "v1", first)
    server.repository.refs[b"refs/tags/light"] = second.encode()  # type: ignore[index, assignment]
    assert found(server, "main") == FoundCommit(first, "refs/heads/main")
    assert found(server, "feature/x") == FoundCommit(second, "refs/heads/feature/x")
    assert found(server, "v1") == FoundCommit(first, "refs/tags/v1")
    assert found(server, "light") == FoundCommit(second, "refs/tags/light")
    server.repository.refs.set_symbolic_ref(b"HEAD", b"refs/heads/main")  # type: ignore[arg-type]
    assert found(server, "") == FoundCommit(first, "HEAD")


def test_a_commit_is_looked_up_without_a_request(server: HttpsServer) -> None:
    assert found(server, "a" * 40) == FoundCommit("a" * 40, "")
    assert server.seen == []


@pytest.mark.parametrize(
    ("ref", "problem"), [("relaese", BuildProblem.NO_SUCH_REF), ("both", BuildProblem.AMBIGUOUS_REF)]
)
def test_a_ref_that_means_no_commit_is_an_error(server: HttpsServer, ref: str, problem: BuildProblem) -> None:
    commit(server.repository, FILES, "refs/heads/release")
    commit(server.repository, FILES, "refs/heads/both")
    commit(server.repository, FILES, "refs/tags/both")
    with pytest.raises(BuildError) as caught:
        found(server, ref)
    assert caught.value.problem is problem
    assert ("Did you mean `release`" in caught.value.advice) == (ref == "relaese")


def test_an_empty_repository_is_named(server: HttpsServer) -> None:
    with pytest.raises(BuildError) as caught:
        found(server, "main")
    assert caught.value.problem is BuildProblem.EMPTY_REPOSITORY


def test_the_files_of_a_commit_are_written_without_git(server: HttpsServer, tmp_path: Path) -> None:
    commit(server.repository, {b"old": b"x" * 1000}, "refs/heads/old")
    revision = commit(server.repository, FILES)
    folder = tmp_path / "code"
    done = fetched(server, revision, folder)
    assert done.files == ("lib/link", "lib/util.py", "lib/ä.txt", "main.py", "run.sh")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == sorted([*done.files, "lib"])
    assert (folder / "lib" / "link").read_text() == "print(1)\n"
    modes = {path: stat.S_IMODE((folder / path).stat().st_mode) for path in ("main.py", "run.sh")}
    assert modes == {"main.py": 0o644, "run.sh": 0o755}


def test_the_history_is_not_downloaded(server: HttpsServer, tmp_path: Path) -> None:
    parent = commit(server.repository, {b"big": random_bytes(300_000)})
    revision = commit(server.repository, FILES, parent=parent)
    assert fetched(server, revision, tmp_path / "code", download_bytes=100_000).files


def random_bytes(size: int) -> bytes:
    """Bytes that can't be compressed, the same at each call."""
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(size // 32))


def test_a_folder_of_the_repository_is_the_root(server: HttpsServer, tmp_path: Path) -> None:
    revision = commit(server.repository, {b"a/b/main.py": b"1", b"a/other": b"2", b"c": Item(b"/etc", LINK)})
    assert fetched(server, revision, tmp_path / "code", "a/b").files == ("main.py",)
    for missing in ("a/x", "c", "a/other"):
        with pytest.raises(BuildError) as caught:
            fetched(server, revision, tmp_path / missing.replace("/", "-"), missing)
        assert caught.value.problem is BuildProblem.NO_SUCH_FOLDER


BAD: list[tuple[Mapping[bytes, Item | bytes], BuildProblem, str]] = [
    ({b"sub": Item(b"b" * 40, SUBMODULE)}, BuildProblem.SUBMODULE, "`sub`"),
    ({b"data/model.bin": LFS}, BuildProblem.LFS_POINTER, "`data/model.bin`"),
    ({b"x/evil": Item(b"../../etc/passwd", LINK)}, BuildProblem.LINK_LEAVES_FOLDER, "`x/evil`"),
    ({b"evil": Item(b"/etc", LINK)}, BuildProblem.LINK_LEAVES_FOLDER, "`evil`"),
    ({b"caf\xe9": b""}, BuildProblem.UNUSABLE_NAME, "caf"),
    ({b"x/.git/config": b""}, BuildProblem.UNUSABLE_NAME, ".git"),
    ({b"../evil": b""}, BuildProblem.UNUSABLE_NAME, "'..'"),
    ({b".wh.main.py": b""}, BuildProblem.UNUSABLE_NAME, ".wh.main.py"),
]


@pytest.mark.parametrize(("files", "problem", "named"), BAD, ids=[str(item[0]) for item in BAD])
def test_what_can_not_be_part_of_an_image_is_named(
    server: HttpsServer, tmp_path: Path, files: Mapping[bytes, Item | bytes], problem: BuildProblem, named: str
) -> None:
    error = refused(server, files, tmp_path / "code")
    assert (error.problem, named in error.summary) == (problem, True)


@pytest.mark.parametrize(
    ("limits", "found_text"),
    [
        ({"download_bytes": 10_000}, "what the host sends exceeds 10000 bytes"),
        ({"file_bytes": 10_000}, "file `a/big` exceeds 10000 bytes"),
        ({"tree_bytes": 60_000}, "the size of all files exceeds 60000 bytes"),
        ({"files": 1}, "its number of files and folders exceeds 1"),
    ],
)
def test_a_repository_that_is_too_large_is_refused(
    server: HttpsServer, tmp_path: Path, limits: dict[str, int], found_text: str
) -> None:
    content = {b"a/big": random_bytes(64_000), b"b": b"x" * 100}
    error = refused(server, content, tmp_path / "code", limits)
    assert (error.problem, found_text in error.summary) == (BuildProblem.TOO_LARGE, True)


@pytest.mark.parametrize("login", [None, HttpsLogin("ann", "wrong-guess"), HttpsLogin("bob", PASSWORD)])
def test_a_login_that_is_refused_is_named_and_not_printed(server: HttpsServer, login: HttpsLogin | None) -> None:
    commit(server.repository, FILES)
    with pytest.raises(BuildError) as caught:
        found(server, "main", login)
    assert caught.value.problem is BuildProblem.LOGIN_REFUSED
    assert "wrong-guess" not in caught.value.message
    assert PASSWORD not in caught.value.message


def test_a_public_repository_needs_no_login(tmp_path: Path, repository: Repo) -> None:
    revision = commit(repository, FILES)
    with HttpsServer(Authority.create(tmp_path), repository, password="").running() as public:
        assert found(public, "main", None).commit == revision


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (("404 Not Found", [], b""), BuildProblem.NO_SUCH_REPOSITORY),
        (("403 Forbidden", [], b""), BuildProblem.LOGIN_REFUSED),
        (("200 OK", [("Content-Type", "text/html")], b"<html>log in</html>"), BuildProblem.NOT_A_REPOSITORY),
        (
            ("200 OK", [("Content-Type", "text/plain")], b"a" * 40 + b"\trefs/heads/main\n"),
            BuildProblem.NOT_A_REPOSITORY,
        ),
        (
            ("200 OK", [("Content-Type", "application/x-git-upload-pack-advertisement")], b"zzzz"),
            BuildProblem.NOT_A_REPOSITORY,
        ),
        (
            ("302 Found", [("Location", "http://127.0.0.1:9/info/refs?service=git-upload-pack")], b""),
            BuildProblem.NOT_A_REPOSITORY,
        ),
        (("410 Gone", [], b""), BuildProblem.NOT_A_REPOSITORY),
    ],
)
def test_other_answers_than_a_repository_are_named(
    server: HttpsServer, answer: tuple[str, list[tuple[str, str]], bytes], problem: BuildProblem
) -> None:
    server.answer = lambda _path: answer
    with pytest.raises(BuildError) as caught:
        found(server, "main")
    assert caught.value.problem is problem


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"])
def test_a_host_that_is_busy_may_be_asked_again(server: HttpsServer, status: str) -> None:
    server.answer = lambda _path: (status, [], b"")
    with pytest.raises(GitAwayError, match=status[:3]):
        found(server, "main")


def test_a_host_that_does_not_listen_may_be_asked_again() -> None:
    url = parse_git_url(f"https://127.0.0.1:{free_port()}/a", "url")
    with pytest.raises(GitAwayError, match="Connection refused"):
        look_up(url, "main", None, GitSettings())


def test_a_certificate_that_is_not_trusted_is_named(server: HttpsServer) -> None:
    with pytest.raises(GitAwayError, match="self-signed certificate") as caught:
        look_up(parse_git_url(server.url, "url"), "main", LOGIN, GitSettings())
    assert caught.value.problem is BuildProblem.UNTRUSTED_HOST
    assert server.seen == []


def test_a_redirect_to_another_host_is_refused(server: HttpsServer) -> None:
    """Otherwise a host that the platform allows could have the operator connect to any other."""
    commit(server.repository, FILES)
    with HttpsServer(server.authority, server.repository).running() as other:
        target = f"{other.url}/info/refs?service=git-upload-pack&token=secret"
        server.answer = lambda _path: ("302 Found", [("Location", target)], b"")
        with pytest.raises(BuildError, match=f"redirects to another host or port, `127.0.0.1:{other.port}`") as caught:
            found(server, "main")
        assert caught.value.problem is BuildProblem.NOT_A_REPOSITORY
        assert "`url`" in caught.value.advice
        assert "secret" not in caught.value.message
        assert other.seen == []


def test_a_redirect_within_the_host_is_followed(server: HttpsServer) -> None:
    revision = commit(server.repository, FILES)
    url = parse_git_url(server.url.replace("/team/", "/old/"), "url")
    target = "/team/app.git/info/refs?service=git-upload-pack"
    server.answer = lambda asked: ("301 Moved Permanently", [("Location", target)], b"") if "/old/" in asked else None
    assert look_up(url, "main", LOGIN, server.settings).commit == revision


async def test_ssh_reads_with_a_key(ssh: SshServer, repository: Repo, tmp_path: Path) -> None:
    revision = commit(repository, FILES)
    annotate(repository, "v1", revision)
    url = parse_git_url(ssh.url(tmp_path / "srv" / "app.git"), "url")
    assert await asyncio.to_thread(look_up, url, "main", ssh.login, GitSettings()) == FoundCommit(
        revision, "refs/heads/main"
    )
    assert (await asyncio.to_thread(look_up, url, "v1", ssh.login, GitSettings())).commit == revision
    folder = tmp_path / "code"
    folder.mkdir()
    done = await asyncio.to_thread(fetch, url, revision, "", folder, ssh.login, GitSettings())
    assert done.files == ("lib/link", "lib/util.py", "lib/ä.txt", "main.py", "run.sh")


async def test_a_commit_is_read_after_its_branch_has_moved(ssh: SshServer, repository: Repo, tmp_path: Path) -> None:
    first = commit(repository, FILES)
    commit(repository, {b"other": b""}, parent=first)
    folder = tmp_path / "code"
    folder.mkdir()
    url = parse_git_url(ssh.url(tmp_path / "srv" / "app.git"), "url")
    done = await asyncio.to_thread(fetch, url, first, "", folder, ssh.login, GitSettings())
    assert "main.py" in done.files


async def test_a_commit_that_is_gone_is_named(ssh: SshServer, repository: Repo, tmp_path: Path) -> None:
    commit(repository, FILES)
    folder = tmp_path / "code"
    folder.mkdir()
    url = parse_git_url(ssh.url(tmp_path / "srv" / "app.git"), "url")
    with pytest.raises(BuildError, match="a" * 40) as caught:
        await asyncio.to_thread(fetch, url, "a" * 40, "", folder, ssh.login, GitSettings())
    assert caught.value.problem is BuildProblem.NO_SUCH_COMMIT
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("login", "path", "problem"),
    [
        ("other_host", "srv/app.git", BuildProblem.UNTRUSTED_HOST),
        ("other_key", "srv/app.git", BuildProblem.LOGIN_REFUSED),
        ("login", "srv/no.git", BuildProblem.NO_SUCH_REPOSITORY),
    ],
)
async def test_what_ssh_refuses_is_named(
    ssh: SshServer, repository: Repo, tmp_path: Path, login: str, path: str, problem: BuildProblem
) -> None:
    commit(repository, FILES)
    url = parse_git_url(ssh.url(tmp_path / path), "url")
    with pytest.raises(BuildError) as caught:
        await asyncio.to_thread(look_up, url, "main", getattr(ssh, login), GitSettings())
    assert caught.value.problem is problem
    assert "PRIVATE KEY" not in caught.value.message


async def test_a_private_key_that_can_not_be_read_is_named(ssh: SshServer, tmp_path: Path) -> None:
    url = parse_git_url(ssh.url(tmp_path), "url")
    broken = replace(
        ssh.login, private_key="-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    with pytest.raises(BuildError) as caught:
        await asyncio.to_thread(look_up, url, "main", broken, GitSettings())
    assert caught.value.problem is BuildProblem.INVALID_LOGIN


async def test_an_ssh_server_that_does_not_listen_may_be_asked_again(ssh: SshServer) -> None:
    url = parse_git_url(f"ssh://git@127.0.0.1:{free_port()}/a", "url")
    with pytest.raises(GitAwayError, match="Connection refused"):
        await asyncio.to_thread(look_up, url, "main", ssh.login, GitSettings())
