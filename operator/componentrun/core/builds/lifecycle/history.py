"""ComponentBuilds that have ended: which are kept, and which layers of dependencies later builds can use again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.dependencies.layer import DependencyLayer
from componentrun.core.builds.lifecycle.status import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.build.componentbuild import ComponentBuild

__all__ = ["KEPT", "KEPT_FOR", "outdated", "reusable_layers"]

KEPT: Final = 10
"""The last ComponentBuilds of a Component are kept, whatever their age."""
KEPT_FOR: Final = timedelta(days=7)
"""All others are deleted this long after their end. Their images stay."""
_MOST_LAYERS: Final = 32
"""Layers of dependencies that a build is told of."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def outdated(builds: Iterable[ComponentBuild], now: datetime) -> list[ComponentBuild]:
    """The ComponentBuilds to delete.

    Args:
        builds: all of one Component.
        now: the time.
    """
    return [
        build
        for build in _newest_first(builds)[KEPT:]
        if has_ended(build.status) and now - (build.status.completion_time or now) > KEPT_FOR
    ]


def reusable_layers(build: ComponentBuild, others: Iterable[ComponentBuild]) -> tuple[DependencyLayer, ...]:
    """Layers of dependencies that a build may use again, newest first.

    Only its first pod gets any: if the registry has deleted the layer, the next pod installs the dependencies. An image
    that is to be built after a time (`notBefore`) gets layers only that were installed after it.

    Args:
        build: the build, with its pod in its status.
        others: builds of the same Component.
    """
    if build.status.attempts > 1:
        return ()
    found: dict[str, DependencyLayer] = {}
    for other in _newest_first(others):
        layer = other.status.dependencies
        if (
            layer is not None
            and other.spec.target == build.spec.target
            and _is_new_enough(other, build.spec.not_before)
        ):
            found.setdefault(layer.key, DependencyLayer(layer.key, layer.digest, layer.size, layer.diff_id))
    return tuple(found.values())[:_MOST_LAYERS]


def _is_new_enough(other: ComponentBuild, not_before: datetime | None) -> bool:
    """Whether a build installed its dependencies after a time; None: at any time."""
    status = other.status
    if not_before is None:
        return True
    began, dependencies = status.start_time, status.dependencies
    was_installed = dependencies is not None and dependencies.state == "Installed"
    return was_installed and began is not None and began >= not_before


def _newest_first(builds: Iterable[ComponentBuild]) -> list[ComponentBuild]:
    return sorted(builds, key=lambda build: build.metadata.creation_timestamp or _LONG_AGO, reverse=True)
