"""Downloads one commit without its history."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from dulwich.errors import ApplyDeltaError, ChecksumMismatch, ObjectFormatException
from dulwich.objects import ObjectID
from dulwich.repo import Repo

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.git.checkout import CheckedOut, check_out
from componentrun.git.failures import git_errors, no_such_commit, not_a_repository
from componentrun.git.transport import open_client

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dulwich.client import GitClient

    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.core.builds.source import GitUrl
    from componentrun.git.settings import GitSettings

__all__ = ["fetch"]


def fetch(
    url: GitUrl,
    commit: str,
    context_dir: str,
    folder: Path,
    login: HttpsLogin | SshLogin | None,
    settings: GitSettings,
) -> CheckedOut:
    """Write the files of a commit into an empty folder. Nothing of git itself is left there, and no login.

    Args:
        url: the repository.
        commit: hash of the commit.
        context_dir: the folder of the repository that is built, in normal form; empty: the whole repository.
        folder: an empty folder.
        login: how to log in.
        settings: limits and timeouts.

    Raises:
        BuildError: the repository can't be read, has no such commit or folder, is too large, or can't be an image.
        GitAwayError: the host can't answer now.
        OSError: a folder can't be written.
    """
    with tempfile.TemporaryDirectory(prefix="git-") as place, Repo.init_bare(place) as repository:
        with open_client(url, login, settings, settings.download_bytes) as (client, path):
            _download(client, path, url, commit, repository)
        if ObjectID(commit.encode()) not in repository.object_store:
            raise no_such_commit(url, commit)
        return check_out(repository.object_store, commit, context_dir, folder, url, settings)


def _download(client: GitClient, path: bytes, url: GitUrl, commit: str, repository: Repo) -> None:
    file, finish, abort = repository.object_store.add_pack()

    def wants(_refs: Mapping[bytes, bytes], depth: int | None = None) -> list[bytes]:  # noqa: ARG001 - dulwich's signature
        return [commit.encode()]

    try:
        with git_errors(url):
            client.fetch_pack(path, wants, repository.get_graph_walker(), file.write, depth=1)  # type: ignore[arg-type]  # dulwich names its own type of hashes
    except BuildError as error:
        abort()
        raise no_such_commit(url, commit) if error.problem is BuildProblem.NO_SUCH_COMMIT else error from error
    except BaseException:
        abort()
        raise
    try:
        finish()
    except (ApplyDeltaError, ChecksumMismatch, ObjectFormatException, KeyError, ValueError, AssertionError) as error:
        raise not_a_repository(url, "what it sent is damaged") from error
