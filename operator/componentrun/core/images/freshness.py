"""When the image of a channel must have been built, although its input has not changed. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.durations import long_duration_seconds
from componentrun.api.names import FRESH_BUILD_PREFIX, FRESH_FORMAT
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.api.build.source import Build
    from componentrun.api.component import Component

__all__ = ["fresh_since", "max_age_of", "not_before"]

_LEAST_AGE: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def fresh_since(component: Component, channel: str) -> datetime | None:
    """The time of the last `componentrun build start --fresh` of a channel; None if there was none.

    It is an annotation and no part of the status: an object that is restored from a backup, or written by a GitOps
    tool, keeps it, and all runs that start at the same time see the same value.

    Raises:
        UserError: (InvalidSpec) the annotation has something else than a time.
    """
    name = FRESH_BUILD_PREFIX + channel
    text = component.metadata.annotations.get(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, FRESH_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise UserError(
            f"Component `{component.metadata.name}`: annotation `{name}` is `{text[:64]}`; expected a time such as "
            "`2026-01-31T12:00:00Z`",
            Reason.INVALID_SPEC,
            advice="Remove it, or have `componentrun build start --fresh` set it.",
        ) from error


def max_age_of(build: Build, owner: str) -> timedelta | None:
    """The maximum age of the image of a channel; None: any.

    Args:
        build: of the channel.
        owner: what has the field, for messages.

    Raises:
        UserError: (InvalidSpec) it is no duration, or too short.
    """
    if build.max_age is None:
        return None
    try:
        age = timedelta(seconds=long_duration_seconds(build.max_age))
    except ValueError as error:
        raise UserError(f"{owner}.maxAge: {error}", Reason.INVALID_SPEC) from error
    if age < _LEAST_AGE:
        raise UserError(
            f"{owner}.maxAge: found `{build.max_age}`; expected at least `1h`, because each image is built when it is "
            "older",
            Reason.INVALID_SPEC,
            advice="Correct it.",
        )
    return age


def not_before(fresh: datetime | None, max_age: timedelta | None, key: str, now: datetime) -> datetime | None:
    """The time after which an image must have been built to be used now; None: any image will do.

    With a maximum age, time is divided into periods of this length, and it is the beginning of the present one. So no
    image is older, and everybody who asks within a period computes the same time, without an agreement that would have
    to be stored. An image is built again up to one period after the last time, once it is needed.

    Args:
        fresh: time of the last `build start --fresh`, at which the periods begin; None if there was none.
        max_age: the maximum age; None: any.
        key: hexadecimal digits that differ between builds, so that their periods do not all begin at the same time.
        now: the time.
    """
    if max_age is None:
        return fresh
    seconds = int(max_age.total_seconds())
    start = fresh or _EPOCH + timedelta(seconds=int(key, 16) % seconds)
    return start + timedelta(seconds=max(int((now - start).total_seconds()) // seconds, 0) * seconds)
