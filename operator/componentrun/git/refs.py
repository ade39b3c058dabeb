"""Which commit a branch or tag means now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.core.builds.source import COMMIT, FoundCommit, choose_commit, ref_candidates
from componentrun.git.failures import git_errors
from componentrun.git.transport import open_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulwich.client import GitClient

    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.core.builds.source import GitUrl
    from componentrun.git.settings import GitSettings

__all__ = ["look_up"]


def look_up(url: GitUrl, ref: str, login: HttpsLogin | SshLogin | None, settings: GitSettings) -> FoundCommit:
    """The commit that a ref means. A commit is returned without a request.

    Raises:
        BuildError: there is no such ref or repository, or it may not be read.
        GitAwayError: the host can't answer now.
    """
    if COMMIT.fullmatch(ref):
        return FoundCommit(ref, "")
    candidates = ref_candidates(ref)
    with open_client(url, login, settings, settings.refs_bytes) as (client, path):
        refs = _refs(client, path, url, candidates)
        if not any(name in refs for name in candidates):
            # All names tell an empty repository from a name that is missing, and similar names are suggested.
            refs = _refs(client, path, url, None)
    return choose_commit(refs, ref, url)


def _refs(client: GitClient, path: bytes, url: GitUrl, prefixes: Sequence[str] | None) -> dict[str, str]:
    with git_errors(url):
        result = client.get_refs(path, ref_prefix=None if prefixes is None else [name.encode() for name in prefixes])
    # Names that are not UTF-8 can't be asked for.
    return {
        name.decode(errors="replace"): commit.decode() for name, commit in result.refs.items() if commit is not None
    }
