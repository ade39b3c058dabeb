"""The name of a repository, normalised as container runtimes do: `ubuntu` is `docker.io/library/ubuntu`.

Rules: https://github.com/distribution/reference (`ParseNormalizedNamed`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from componentrun.errors import Reason, UserError

__all__ = ["DIGEST", "DOCKER_HUB", "Repository", "parse_repository"]

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


def _invalid(image: str, owner: str, why: str, advice: str) -> UserError:
    return UserError(f"{owner}: `{image}` is not the name of an image: {why}", Reason.INVALID_SPEC, advice=advice)
