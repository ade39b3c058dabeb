"""Which events: the options of `events`, and what they mean."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from componentrun.api.durations import long_duration_seconds
from componentrun.cli.errors import BadRequestError

if TYPE_CHECKING:
    from componentrun.client.storage.store import Store
    from componentrun.storage.events.query import EventQuery

__all__ = [
    "Component",
    "Configuration",
    "Export",
    "Grep",
    "MaxId",
    "Question",
    "Since",
    "SinceId",
    "Source",
    "Types",
    "Until",
    "moment",
]

_TYPES: Final = ("info", "success", "warn", "error")

Component = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only events of runs of this Component, or of this image.")
]
Configuration = Annotated[
    str | None, typer.Option(metavar="ID", help="Only events of runs of this configuration. Requires `--component`.")
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only events newer than this: an age (`90s`, `1h30m`, `7d`) or a time (`2026-01-31T12:00:00Z`).",
    ),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only events older than this: an age or a time.")]
Types = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="TYPES",
        help="Only events of these types, separated by commas: `info`, `success`, `warn`, `error`.",
    ),
]
Grep = Annotated[
    str | None, typer.Option("--grep", metavar="RE", help="Only events whose message matches this regular expression.")
]
Source = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only events of this source: `component`, `component/gelf`, `stage-in`, `stage-out`, `operator`, or a "
        "processor's container, such as `before-1`.",
    ),
]
SinceId = Annotated[
    str | None, typer.Option("--since-id", metavar="ID", help="Only events after the one with this id.")
]
MaxId = Annotated[str | None, typer.Option("--max-id", metavar="ID", help="Only events before the one with this id.")]


Export = Annotated[
    Path | None,
    typer.Option(
        "--export", metavar="FILE", help="Write matching events, or the last NUMBER of them, to a Parquet file."
    ),
]


@dataclass(frozen=True)
class Question:
    """What was asked for, as it was typed."""

    component: str | None = None
    configuration: str | None = None
    since: str | None = None
    until: str | None = None
    types: str | None = None
    grep: str | None = None
    source: str | None = None
    since_id: str | None = None
    max_id: str | None = None

    def query(self, store: "Store", now: datetime) -> "EventQuery":
        """What it means.

        Raises:
            UserError: an option is not what is expected, or there is no event with one of the ids.
        """
        from componentrun.storage.events.query import EventQuery  # noqa: PLC0415 - loads the models

        return EventQuery(
            component=self.component,
            configuration=self.configuration,
            since=moment("--since", self.since, now),
            until=moment("--until", self.until, now),
            types=_types(self.types),
            pattern=_pattern(self.grep),
            source=self.source,
            after=None if self.since_id is None else store.event(self.since_id),
            before=None if self.max_id is None else store.event(self.max_id),
        )


def moment(option: str, text: str | None, now: datetime) -> datetime | None:
    """The time that an option stands for; None if it is not given.

    Raises:
        UserError: it is neither an age nor a time.
    """
    if text is None:
        return None
    try:
        return now - timedelta(seconds=long_duration_seconds(text))
    except (ValueError, OverflowError):
        pass  # then it is a time
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequestError(
            f"{option} is `{text}`; expected how long ago, or a time",
            "For example: `90s`, `1h30m`, `7d`, or `2026-01-31T12:00:00Z`.",
        ) from error
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _types(text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset()
    types = frozenset(part.strip() for part in text.split(","))
    if unknown := sorted(types - set(_TYPES)):
        raise BadRequestError(
            f"--type has `{unknown[0]}`; expected {', '.join(_TYPES)}", "For example: `--type warn,error`."
        )
    return types


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadRequestError(
            f"--grep is `{text}`, which is not a regular expression: {error}",
            "To match one of `.*[]()+?` itself, write `\\` before it.",
        ) from error
