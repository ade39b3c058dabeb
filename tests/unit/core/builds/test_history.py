"""The last builds of a Component are kept, and all that have ended within a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from componentrun.core.builds.lifecycle.history import KEPT, KEPT_FOR, outdated
from tests.unit.core.builds.test_status import CANCELLED, build, failed

if TYPE_CHECKING:
    from componentrun.api.build.componentbuild import ComponentBuild

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)


def ended(number: int, age: timedelta) -> ComponentBuild:
    """A build that was created, and ended, this long ago."""
    made = build()
    metadata = made.metadata.model_copy(update={"name": f"build-{number}", "creation_timestamp": NOW - age})
    return made.model_copy(update={"metadata": metadata, "status": failed(made, CANCELLED, NOW - age)})


def names(builds: list[ComponentBuild]) -> set[str]:
    return {item.metadata.name for item in builds}


def test_the_newest_are_kept_whatever_their_age() -> None:
    builds = [ended(number, timedelta(days=100 + number)) for number in range(KEPT + 2)]
    assert names(outdated(builds, NOW)) == {f"build-{KEPT}", f"build-{KEPT + 1}"}


def test_all_of_the_last_week_are_kept() -> None:
    builds = [ended(number, timedelta(hours=number)) for number in range(3 * KEPT)]
    assert outdated(builds, NOW) == []
    builds.append(ended(99, KEPT_FOR + timedelta(seconds=1)))
    assert names(outdated(builds, NOW)) == {"build-99"}


def test_a_build_in_progress_is_kept() -> None:
    builds = [ended(number, timedelta(days=100)) for number in range(KEPT)]
    old = ended(99, timedelta(days=200))
    builds.append(old.model_copy(update={"status": build().status}))
    assert outdated(builds, NOW) == []
