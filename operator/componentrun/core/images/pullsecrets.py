"""Credentials of pull secrets, matched to repositories as the kubelet does.

The kubelet's rules (pkg/credentialprovider): the entries with the longest keys come first; a key is a host, whose parts
may be globs, with an optional path, which is a prefix of the image's path; ports must be equal; `/v1/` and `/v2/` in
front of a path are dropped; images of Docker Hub also match the key `index.docker.io`.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from componentrun.core.images.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.core.images.reference import Repository

__all__ = ["Login", "PullSecret", "logins_for", "read_pull_secret"]

_DOCKER_HUB_KEY: Final = "index.docker.io"
_TYPES: Final = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}
"""Key of each type of Secret."""
_HELPERS: Final = ("credsStore", "credHelpers")
"""Fields of a docker configuration that name programs which know the logins, instead of the logins."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password."""

    username: str
    password: str = field(repr=False)
    secret: str
    """Name of the Secret, for messages."""


@dataclass(frozen=True, slots=True)
class PullSecret:
    """The usable content of a Secret."""

    name: str
    logins: Mapping[str, Login]
    """By host, or host and path."""
    problem: str = ""
    """Why nothing, or only a part, can be used: without a value of the Secret."""


def read_pull_secret(name: str, secret: Mapping[str, Any] | None) -> PullSecret:
    """Read a Secret that the API server returned. As the kubelet does, ignore what can't be used.

    Args:
        name: its name.
        secret: the object; None if it does not exist.
    """
    if secret is None:
        return PullSecret(name, {}, f"Secret `{name}` does not exist")
    kind = str(secret.get("type"))
    key = _TYPES.get(kind)
    if key is None:
        return PullSecret(name, {}, f"Secret `{name}` has type `{kind}`; expected `kubernetes.io/dockerconfigjson`")
    try:
        content = json.loads(base64.b64decode((secret.get("data") or {})[key], validate=True))
        helpers = [f"`{field}`" for field in _HELPERS if key == ".dockerconfigjson" and content.get(field)]
        if helpers and content.get("auths") is None:
            return PullSecret(name, {}, _refers_to_helpers(name, helpers))
        entries = content["auths"] if key == ".dockerconfigjson" else content
        logins = {_normal_key(str(url)): _login(name, entry) for url, entry in entries.items()}
    except (KeyError, ValueError, AttributeError, TypeError):  # binascii.Error and JSONDecodeError are ValueErrors
        return PullSecret(name, {}, f"key `{key}` of Secret `{name}` is not a docker configuration")
    usable = {url: login for url, login in logins.items() if login is not None}
    problem = "" if len(usable) == len(logins) else f"Secret `{name}` has entries without a user name and password"
    return PullSecret(name, usable, _refers_to_helpers(name, helpers) if helpers else problem)


def _refers_to_helpers(name: str, fields: list[str]) -> str:
    return (
        f"Secret `{name}` leaves its logins to programs of the machine that wrote it ({' and '.join(fields)}), which "
        "can't be used: expected user name and password in `auths`, as `kubectl create secret docker-registry` and "
        "`podman login` write them"
    )


def _login(secret: str, entry: Mapping[str, Any]) -> Login | None:
    if entry.get("auth"):
        try:
            text = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        name, colon, rest = text.partition(":")
        return Login(name, rest.rstrip("\0"), secret) if colon else None
    username, password = entry.get("username"), entry.get("password")
    return Login(str(username), str(password), secret) if username and password is not None else None


def _normal_key(url: str) -> str:
    parts = urlsplit(url if url.startswith(("https://", "http://")) else f"https://{url}")
    path = parts.path[3:] if parts.path.startswith(("/v1/", "/v2/")) else parts.path
    return parts.netloc + ("" if path == "/" else path)


def logins_for(repository: Repository, secrets: Iterable[PullSecret]) -> tuple[Login, ...]:
    """The credentials to try for a repository, best match first, each once."""
    entries = [(key, login) for secret in secrets for key, login in secret.logins.items()]
    ordered = sorted(entries, key=lambda entry: entry[0], reverse=True)
    found = [login for key, login in ordered if _matches(key, repository)]
    if not found and repository.host == DOCKER_HUB:
        found = [login for key, login in ordered if key == _DOCKER_HUB_KEY]
    return tuple({(login.username, login.password): login for login in reversed(found)}.values())[::-1]


def _matches(key: str, repository: Repository) -> bool:
    host, slash, path = key.partition("/")
    pattern, pattern_port = _split_port(host)
    target, target_port = _split_port(repository.host)
    parts, target_parts = pattern.split("."), target.split(".")
    return (
        pattern_port == target_port
        and len(parts) == len(target_parts)
        and all(fnmatchcase(wanted, glob) for glob, wanted in zip(parts, target_parts, strict=True))
        and f"/{repository.path}".startswith(slash + path)
    )


def _split_port(host: str) -> tuple[str, str]:
    head, colon, port = host.rpartition(":")
    return (head, port) if colon and port.isdigit() else (host, "")
