"""Logins of git hosts, as Secrets of Kubernetes have them.

The keys are those of the Secret types `kubernetes.io/basic-auth` and `kubernetes.io/ssh-auth`. The host's own keys
(`known_hosts`) are required for SSH: without them, whoever is between would get the connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.errors import BuildError, BuildProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.core.builds.source import GitUrl

__all__ = ["LOGIN_KEYS", "HttpsLogin", "SshLogin", "read_login"]

_USERNAME: Final = "username"
_PASSWORD: Final = "password"  # noqa: S105 - the name of a key
_PRIVATE_KEY: Final = "ssh-privatekey"
_KNOWN_HOSTS: Final = "known_hosts"
LOGIN_KEYS: Final = (_USERNAME, _PASSWORD, _PRIVATE_KEY, _KNOWN_HOSTS)
"""Keys of a Secret that a login is made of. The Secret may have others, which no container of a build gets."""


@dataclass(frozen=True, slots=True)
class HttpsLogin:
    """A user name and a password or token."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SshLogin:
    """A private key, and the keys of hosts."""

    private_key: str = field(repr=False)
    known_hosts: str


def read_login(url: GitUrl, secret: Mapping[str, bytes], owner: str) -> HttpsLogin | SshLogin | None:
    """The login for a repository.

    Args:
        url: the repository.
        secret: the content of the Secret; empty if none is named.
        owner: name of the Secret, for messages.

    Returns:
        None if the repository is to be read without a login.

    Raises:
        BuildError: the Secret does not have what this kind of URL needs.
    """
    if url.scheme == "https":
        if not secret:
            return None
        return HttpsLogin(_text(secret, _USERNAME, owner, url), _text(secret, _PASSWORD, owner, url))
    key = _text(secret, _PRIVATE_KEY, owner, url)
    # ssh refuses a key without a line break at its end, which editors and `--from-literal` lose.
    return SshLogin(key.rstrip("\n") + "\n", _text(secret, _KNOWN_HOSTS, owner, url))


def _text(secret: Mapping[str, bytes], key: str, owner: str, url: GitUrl) -> str:
    try:
        text = secret[key].decode()
    except KeyError:
        found = f"has {', '.join(f'`{name}`' for name in sorted(secret))}" if secret else "is not given"
        raise _unusable(owner, url, f"key `{key}` is missing; the Secret {found}") from None
    except UnicodeDecodeError:
        raise _unusable(owner, url, f"key `{key}` is not text") from None
    # A line break at the end is that of `echo` and of editors.
    value = text if key in {_PRIVATE_KEY, _KNOWN_HOSTS} else text.rstrip("\r\n")
    if not value.strip() or (key in {_USERNAME, _PASSWORD} and not value.isprintable()):
        raise _unusable(owner, url, f"key `{key}` is empty, or has control characters")
    return value


def _unusable(owner: str, url: GitUrl, why: str) -> BuildError:
    expected = f"`{_USERNAME}` and `{_PASSWORD}`" if url.scheme == "https" else f"`{_PRIVATE_KEY}` and `{_KNOWN_HOSTS}`"
    advice = f"A repository whose URL begins with `{url.scheme}://` needs {expected} in the Secret."
    if url.scheme == "ssh":
        advice += f" `ssh-keyscan -p {url.port} {url.host}` prints the lines for `{_KNOWN_HOSTS}`."
        advice += " Compare them with what the host publishes."
    return BuildError(BuildProblem.INVALID_LOGIN, f"{owner} can't be used for `{url.text}`: {why}", advice)
