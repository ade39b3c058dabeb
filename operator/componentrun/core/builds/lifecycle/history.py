"""Which ComponentBuilds that have ended are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.lifecycle.status import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.build.componentbuild import ComponentBuild

__all__ = ["KEPT", "KEPT_FOR", "outdated"]

KEPT: Final = 10
"""The last ComponentBuilds of a Component are kept, whatever their age."""
KEPT_FOR: Final = timedelta(days=7)
"""All others are deleted this long after their end. Their images stay."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def outdated(builds: Iterable[ComponentBuild], now: datetime) -> list[ComponentBuild]:
    """The ComponentBuilds to delete.

    Args:
        builds: all of one Component.
        now: the time.
    """
    newest_first = sorted(builds, key=lambda build: build.metadata.creation_timestamp or _LONG_AGO, reverse=True)
    return [
        build
        for build in newest_first[KEPT:]
        if has_ended(build.status) and now - (build.status.completion_time or now) > KEPT_FOR
    ]
