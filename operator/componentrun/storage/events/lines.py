"""Encodes events as lines of a block, and decodes them. Pure.

A line contains only what differs from event to event. The block's header contains what all events of a run have in
common (`storage.events.blocks`), and empty fields are left out:

    {"seq":41,"time":"2026-11-24T08:00:05.250000001Z","type":"info","message":"...","source":"component","attempt":1}
"""

from __future__ import annotations

import json
from datetime import datetime
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

from componentrun.storage.events.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.events.events import EventRun

__all__ = ["LineWriter", "event_line", "event_of", "json_line", "place_of"]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_FIELDS: Final = ("seq", "time", "type", "message", "params", "results", "source", "attempt")
_OWN: Final = frozenset(_FIELDS)


def json_line(item: dict[str, Any]) -> bytes:
    """Return a JSON object as a line."""
    # Half of a surrogate pair can't be UTF-8, but is valid JSON as an escape.
    return _ENCODER.encode(item).encode(errors="backslashreplace") + b"\n"


def event_line(event: Event, place: datetime | None = None) -> bytes:
    """Return the line of an event.

    Args:
        event: the event.
        place: its position in time, if a reader can't compute it.
    """
    fields = {name: value for name in _FIELDS if (value := getattr(event, name)) is not None}
    if not event.params:
        del fields["params"]
    if place is not None:
        fields["place"] = place.isoformat()
    return json_line(fields)


def event_of(raw: dict[str, Any], run: EventRun) -> Event:
    """Return the event of a parsed line.

    Raises:
        KeyError, TypeError: a field is missing.
    """
    fields = {name: value for name, value in raw.items() if name in _OWN}
    return Event(
        id=f"{run.uid}-{raw['seq']}", run=run.uid, component=run.component, configuration=run.configuration, **fields
    )


def place_of(raw: dict[str, Any]) -> datetime | None:
    """Return the stored position in time of a parsed line."""
    return datetime.fromisoformat(raw["place"]) if "place" in raw else None


class LineWriter:
    """Encodes the lines of one run's events.

    Produces the same text as `event_line`, without creating events, because a collector does this for every line of
    every log and would spend most of its time in a generic encoder.
    """

    def __init__(self) -> None:
        """Prepare."""
        self._ends: dict[tuple[str, int | None], str] = {}

    def one(
        self, seq: int, time: str, kind: str, message: str, params: dict[str, Any], source: str, attempt: int | None
    ) -> str:
        """Return the line of one event."""
        data = f',"params":{_ENCODER.encode(params)}' if params else ""
        tail = self._ends.get((source, attempt)) or self._end(source, attempt)
        return f'{{"seq":{seq},"time":"{time}","type":"{kind}","message":{encode_basestring(message)}{data}{tail}'

    def plain(self, seq: int, times: Sequence[str], messages: Sequence[str], source: str, attempt: int | None) -> str:
        """Return the lines of many events of type `info` without params, starting with this number."""
        tail = self._end(source, attempt)
        return "".join(
            [
                f'{{"seq":{at},"time":"{time}","type":"info","message":{encode_basestring(message)}{tail}'
                for at, (time, message) in enumerate(zip(times, messages, strict=True), seq)
            ]
        )

    def _end(self, source: str, attempt: int | None) -> str:
        about = "" if attempt is None else f',"attempt":{attempt}'
        return self._ends.setdefault((source, attempt), f',"source":{encode_basestring(source)}{about}}}\n')
