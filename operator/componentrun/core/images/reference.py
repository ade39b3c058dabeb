"""The name of a repository, normalised as container runtimes do: `ubuntu` is `docker.io/library/ubuntu`.

Rules: https://github.com/distribution/reference (`ParseNormalizedNamed`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from componentrun.errors import Reason, UserError

__all__ = ["DIGEST", "DOCKER_HUB", "Repository", "parse_reference", "parse_repository"]

DOCKER_HUB: Final = "docker.io"
"""Registry of names without one."""
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
"""A digest that the operator can verify."""
_DOCKER_HUB_NAMES: Final = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_OFFICIAL: Final = "library"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]+\])(?::[0-9]{{1,5}})?")
_PATH_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH: Final = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*")
_MOST_CHARACTERS: Final = 255
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE_ID: Final = re.compile(r"(?:sha(?:256|384|512):)?[0-9a-f]{64,128}")
"""Container runtimes take these for the id of an image that lies on the node, whatever registry it came from."""
_ANY_DIGEST: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry."""

    host: str
    """Host of the registry in lower case, with the port if the name has one."""
    path: str
    """Path below the host, such as `library/ubuntu`."""

    @property
    def name(self) -> str:
        """Full name, such as `docker.io/library/ubuntu`."""
        return f"{self.host}/{self.path}"

    def at(self, digest: str) -> str:
        """Reference of the image with this digest."""
        return f"{self.name}@{digest}"


def parse_repository(image: str, owner: str) -> Repository:
    """Normalise the name of an image without tag and digest.

    Args:
        image: the name, such as `registry.example.com:5000/team/app`.
        owner: what contains the name, for messages, such as `spec.image`.

    Raises:
        UserError: (InvalidSpec) it is no name of a repository.
    """
    first, slash, rest = image.partition("/")
    has_host = slash and (any(mark in first for mark in ".:[") or first == "localhost" or first != first.lower())
    if not image.isascii():
        # In lower case, some other characters are ASCII letters, such as the sign for kelvin.
        raise _invalid(image, owner, "it has characters that are not ASCII", "Remove them.")
    host, path = (first.lower(), rest) if has_host else (DOCKER_HUB, image)
    if host in _DOCKER_HUB_NAMES:
        host = DOCKER_HUB
        path = path if "/" in path else f"{_OFFICIAL}/{path}"
    if not _HOST.fullmatch(host):
        raise _invalid(image, owner, f"`{first}` is no host name", "Write it as `registry.example.com:5000/team/app`.")
    if path != path.lower():
        raise _invalid(image, owner, "it has capital letters", f"Use lower case: `{image.lower()}`.")
    if "@" in path or ":" in path:
        raise _invalid(image, owner, "it has a tag or a digest", "Remove it.")
    if not _PATH.fullmatch(path) or len(host) + len(path) > _MOST_CHARACTERS:
        raise _invalid(
            image,
            owner,
            f"expected at most {_MOST_CHARACTERS} lower case letters and digits, separated by `.`, `_`, `-` and `/`",
            "Correct the name.",
        )
    return Repository(host, path)


def parse_reference(image: str, owner: str) -> Repository:
    """The repository of an image that may have a tag, a digest or both.

    Args:
        image: the reference, such as `registry.example.com:5000/team/app:1.2`.
        owner: what contains the reference, for messages, such as `spec.image`.

    Raises:
        UserError: (InvalidSpec) it is no reference of an image.
    """
    name, at, digest = image.partition("@")
    if _IMAGE_ID.fullmatch(name):
        raise _invalid(image, owner, "it is the id of an image on a node", "Write it as `registry.example.com/app`.")
    if at and not _ANY_DIGEST.fullmatch(digest):
        raise _invalid(image, owner, f"`{digest}` is no digest", "Write it as `sha256:` and 64 hexadecimal digits.")
    parents, slash, last = name.rpartition("/")
    app, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _invalid(image, owner, f"`{tag}` is no tag", "Write it as `registry.example.com/team/app:1.2`.")
    return parse_repository(f"{parents}{slash}{app}", owner)


def _invalid(image: str, owner: str, why: str, advice: str) -> UserError:
    return UserError(f"{owner}: `{image}` is not the name of an image: {why}", Reason.INVALID_SPEC, advice=advice)
