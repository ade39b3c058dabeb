"""A build by its name, or by the beginning of its name, because the name is a long hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.cli.errors import BadRequestError, NotFoundError
from componentrun.process.kubernetes.resources import BUILDS

if TYPE_CHECKING:
    from componentrun.cli.session import Session
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["find_build", "newest_first"]

_PREFIX: Final = "build-"
_MOST_NAMED: Final = 3


def find_build(session: Session, name: str) -> JsonObject:
    """The build with this name. The beginning of a name is enough if there is only one such build.

    Args:
        session: of the command.
        name: the name, or its beginning, with or without `build-`.

    Raises:
        NotFoundError: there is no such build.
        BadRequestError: several builds have names that begin with this.
    """
    beginning = name if name.startswith(_PREFIX) else _PREFIX + name
    found = [raw for raw in session.cluster.list(BUILDS) if str(raw["metadata"]["name"]).startswith(beginning)]
    exact = [raw for raw in found if raw["metadata"]["name"] == beginning]
    if exact:
        return exact[0]
    if not found:
        raise NotFoundError(
            f"there is no ComponentBuild `{name}` in namespace `{session.cluster.namespace}`",
            "`componentrun build list` lists those that exist; `--namespace NAME` looks in another namespace.",
        )
    if len(found) > 1:
        names = ", ".join(f"`{raw['metadata']['name']}`" for raw in newest_first(found)[:_MOST_NAMED])
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise BadRequestError(f"`{name}` is the beginning of several builds: {names}{more}", "Give more of the name.")
    return found[0]


def newest_first(builds: list[JsonObject]) -> list[JsonObject]:
    """Builds in the order of their creation, the newest first."""
    return sorted(builds, key=lambda raw: (raw["metadata"]["creationTimestamp"], raw["metadata"]["name"]), reverse=True)
