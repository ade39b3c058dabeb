"""URLs of repositories, and which commit a branch or tag means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.request.similar import similar_names

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "COMMIT", "PEELED", "FoundCommit", "GitUrl", "check_context_dir", "check_ref", "choose_commit", "parse_git_url",
    "ref_candidates",
]  # fmt: skip

COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""A commit by its whole hash, SHA-1 or SHA-256."""
PEELED: Final = "^{}"
"""Suffix with which a server announces the commit of an annotated tag."""
_HEADS: Final = "refs/heads/"
_TAGS: Final = "refs/tags/"
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\]")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_PATH: Final = re.compile(r"[A-Za-z0-9._~+/@%-]+")
_SCP: Final = re.compile(r"(?P<user>[^@/:]+)@(?P<host>[^/:]+):(?P<path>[^/].*)")
_HOME: Final = "/~/"
"""Beginning of a path that is relative to the home folder of the SSH user, in a URL."""
_MOST_CHARACTERS: Final = 1024
_REF_REFUSED: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/.-]|/\.|[/.]$|\.lock(?:/|$)")
"""What git refuses in names of refs (git-check-ref-format), and names that begin with `-`."""
_MOST_SIMILAR: Final = 3
_PORTS: Final = {"https": 443, "ssh": 22}
_EXAMPLE: Final = "Write it as `https://git.example.com/team/app.git` or `ssh://git@git.example.com/team/app.git`."


@dataclass(frozen=True, slots=True)
class GitUrl:
    """The address of a repository, without a password."""

    scheme: Literal["https", "ssh"]
    host: str
    """Host in lower case; an IPv6 address is in brackets."""
    port: int
    user: str
    """User of the SSH server; empty for https."""
    path: str
    """Path on the host. It begins with `/`, unless the URL has the short form `user@host:path`."""

    @property
    def authority(self) -> str:
        """Host, with the port unless it is that of the scheme."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def text(self) -> str:
        """The normal form."""
        user = f"{self.user}@" if self.user else ""
        path = self.path if self.path.startswith("/") else f"{_HOME}{self.path}"
        return f"{self.scheme}://{user}{self.authority}{path}"


def parse_git_url(url: str, owner: str) -> GitUrl:
    """Parse the address of a repository.

    Args:
        url: `https://…`, `ssh://…` or the short form `user@host:path`.
        owner: what contains the URL, for messages, such as `channels[0].build.source.git.url`.

    Raises:
        BuildError: it is not such an address, or it contains a password.
    """
    if len(url) > _MOST_CHARACTERS or not url.isascii() or not url.isprintable():
        raise _invalid_url(owner, f"it has other characters than printable ASCII, or more than {_MOST_CHARACTERS}")
    short = None if "://" in url else _SCP.fullmatch(url)
    if short is not None:
        return _checked(owner, "ssh", short["host"], _PORTS["ssh"], short["user"], short["path"])
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid_url(owner, "it can't be parsed") from None
    if parts.scheme not in {"https", "ssh"}:
        raise _invalid_url(owner, f"its scheme is `{parts.scheme}`; expected `https` or `ssh`")
    if parts.password is not None or (parts.scheme == "https" and parts.username is not None):
        raise BuildError(
            BuildProblem.INVALID_URL,
            f"{owner}: the URL contains a user or a password",
            "Remove them from the URL, change the password, because it was stored in plain text, and name a Secret in "
            "`secretRef`.",
        )
    if parts.query or parts.fragment:
        raise _invalid_url(owner, "it has a query or a fragment")
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    scheme: Literal["https", "ssh"] = "https" if parts.scheme == "https" else "ssh"
    return _checked(owner, scheme, host, port or _PORTS[scheme], parts.username or "", parts.path)


def _checked(owner: str, scheme: Literal["https", "ssh"], host: str, port: int, user: str, path: str) -> GitUrl:
    if not _HOST.fullmatch(host.lower()):
        raise _invalid_url(owner, "it has no usable host")
    if scheme == "ssh" and path.startswith(_HOME):
        # The normal form of `user@host:path`. Common git hosts know the path without this prefix only.
        path = path.removeprefix(_HOME).lstrip("/")
    if scheme == "ssh" and not _USER.fullmatch(user):
        raise _invalid_url(owner, "it names no usable user of the SSH server")
    parts = path.split("/")
    if not path.strip("/") or path.startswith("-") or ".." in parts or not _PATH.fullmatch(path):
        raise _invalid_url(owner, "its path is empty, or has characters other than letters, digits and `._~+/@%-`")
    return GitUrl(scheme, host.lower(), port, user, path.rstrip("/"))


def _invalid_url(owner: str, why: str) -> BuildError:
    # The URL is not repeated: one that can't be parsed may contain a password.
    return BuildError(BuildProblem.INVALID_URL, f"{owner}: not the address of a git repository: {why}", _EXAMPLE)


def check_ref(ref: str, owner: str) -> None:
    """Refuse what can't be the name of a branch or tag. An empty one means the default branch.

    Raises:
        BuildError: git does not allow such a name.
    """
    if ref and (_REF_REFUSED.search(ref) or ref == "@" or len(ref) > _MOST_CHARACTERS):
        raise BuildError(
            BuildProblem.INVALID_REF,
            f"{owner}: {ref[:_MOST_CHARACTERS]!r} can't be the name of a branch, tag or commit",
            "Name a branch, a tag, or a commit by its whole hash.",
        )


def check_context_dir(folder: str, owner: str) -> str:
    """The normal form of a folder of a repository: without `./` and `/` at its end; empty for the whole repository.

    Raises:
        BuildError: it is absolute, or leaves the repository.
    """
    parts = [part for part in folder.split("/") if part not in {"", "."}]
    if folder.startswith("/") or ".." in parts or not folder.isprintable() or "\\" in folder:
        raise BuildError(
            BuildProblem.INVALID_CONTEXT,
            f"{owner}: {folder!r} is not a folder of the repository",
            "Write it relative to the root of the repository, without `..`, such as `components/orders`.",
        )
    return "/".join(parts)


@dataclass(frozen=True, slots=True)
class FoundCommit:
    """The commit that a ref means."""

    commit: str
    ref: str
    """Full name, such as `refs/heads/main`; `HEAD` for the default branch; empty if the commit was given."""


def ref_candidates(ref: str) -> tuple[str, ...]:
    """Full names that a ref may mean. Servers are asked for names with these prefixes only."""
    if not ref:
        return ("HEAD",)
    if ref.startswith("refs/"):
        return (ref,)
    return (_HEADS + ref, _TAGS + ref)


def choose_commit(refs: Mapping[str, str], ref: str, url: GitUrl) -> FoundCommit:
    """The commit that a ref means.

    Args:
        refs: hashes by full name, as the server announces them; commits of annotated tags have the suffix `^{}`.
        ref: a branch, a tag, a full name, or a commit; empty: the default branch.
        url: the repository, for messages.

    Raises:
        BuildError: the repository is empty, it has no such ref, or a branch and a tag have this name.
    """
    if COMMIT.fullmatch(ref):
        return FoundCommit(ref, "")
    if not refs:
        raise BuildError(
            BuildProblem.EMPTY_REPOSITORY, f"repository `{url.text}` has no branches and no tags", "Push a commit."
        )
    found = [name for name in ref_candidates(ref) if name in refs]
    if not found:
        raise _no_such_ref(refs, ref, url)
    if len(found) > 1:
        raise BuildError(
            BuildProblem.AMBIGUOUS_REF,
            f"repository `{url.text}` has both a branch and a tag `{ref}`",
            f"Write `{found[0]}` or `{found[1]}`.",
        )
    return FoundCommit(refs.get(found[0] + PEELED, refs[found[0]]), found[0])


def _no_such_ref(refs: Mapping[str, str], ref: str, url: GitUrl) -> BuildError:
    if not ref:
        return BuildError(
            BuildProblem.NO_SUCH_REF, f"repository `{url.text}` has no default branch", "Name a branch in `ref`."
        )
    names = [name.removeprefix(_HEADS).removeprefix(_TAGS) for name in refs if name.startswith((_HEADS, _TAGS))]
    similar = similar_names(ref, [name for name in names if not name.endswith(PEELED)], _MOST_SIMILAR)
    hint = f" Did you mean {' or '.join(f'`{name}`' for name in similar)}?" if similar else ""
    return BuildError(
        BuildProblem.NO_SUCH_REF,
        f"repository `{url.text}` has no branch and no tag `{ref}`",
        f"Push it, or correct `ref`.{hint} A commit is named by its whole hash.",
    )
