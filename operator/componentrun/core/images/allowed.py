"""Registries that images may come from, as the operator's setting says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.core.images.reference import DOCKER_HUB, Repository, parse_repository
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_allowed", "normal_prefix"]


def normal_prefix(text: str) -> str:
    """The full form of an allowed registry: a host, or a host with the first parts of a path.

    A text without a host belongs to Docker Hub: `library` is `docker.io/library`.

    Raises:
        UserError: it is neither.
    """
    trimmed = text.strip("/")
    host, slash, _ = trimmed.partition("/")
    if not slash and (any(mark in host for mark in ".:[") or host == "localhost"):
        return parse_repository(f"{host}/any", "operator.allowedRegistries").host
    # A path of one part would get the prefix `library/`.
    has_host = slash and (any(mark in host for mark in ".:[") or host == "localhost")
    repository = parse_repository(trimmed if has_host else f"{DOCKER_HUB}/{trimmed}/any", "operator.allowedRegistries")
    if has_host:
        path = repository.path if repository.host != DOCKER_HUB else trimmed.partition("/")[2]
        return f"{repository.host}/{path}"
    return repository.name.removesuffix("/any")


def check_allowed(repository: Repository, allowed: Sequence[str]) -> None:
    """Refuse an image from another registry. Prefixes match whole parts: `host/team` does not allow `host/teams/app`.

    Args:
        repository: where the image comes from.
        allowed: prefixes in the form of `normal_prefix`; empty: all registries are allowed.

    Raises:
        UserError: (ImageNotAllowed) no prefix matches.
    """
    if not allowed or any(f"{repository.name}/".startswith(f"{prefix}/") for prefix in allowed):
        return
    raise UserError(
        f"image `{repository.name}` is not allowed: expected one below {', '.join(f'`{item}`' for item in allowed)}",
        Reason.IMAGE_NOT_ALLOWED,
    )
