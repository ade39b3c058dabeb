"""Events as OpenTelemetry logs in the JSON encoding of OTLP. Pure.

One resource for each run, one log record for each event. 64-bit numbers are strings, as the encoding requires.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.collector.forward.message import Message

__all__ = ["CONTENT_TYPE", "PATH", "logs", "rejected"]

CONTENT_TYPE: Final = "application/json"
PATH: Final = "/v1/logs"
_SEVERITIES: Final = {"info": 9, "success": 9, "warn": 13, "error": 17}
_FRACTION: Final = re.compile(r"[.]([0-9]{1,9})")
_INTEGERS: Final = range(-(2**63), 2**63)


def logs(messages: Sequence[Message], now: float) -> bytes:
    """The body of a request.

    Args:
        messages: the events, grouped by run.
        now: seconds since 1970.
    """
    observed = str(int(now * 1e9))
    runs = [list(group) for _, group in groupby(messages, key=lambda message: message.event.run)]
    resources = [
        {
            "resource": {"attributes": _attributes(_resource(run[0]))},
            "scopeLogs": [{"scope": {"name": "componentrun"}, "logRecords": [_record(item, observed) for item in run]}],
        }
        for run in runs
    ]
    # Half a surrogate pair can't be encoded.
    return json.dumps({"resourceLogs": resources}, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def rejected(answer: bytes) -> int:
    """Number of records that a receiver reports as rejected in a successful answer."""
    try:
        return int(json.loads(answer)["partialSuccess"]["rejectedLogRecords"])
    except (ValueError, KeyError, TypeError):
        return 0  # it reports none


def _resource(message: Message) -> dict[str, Any]:
    event = message.event
    return {
        "service.name": event.component,
        "k8s.namespace.name": message.namespace,
        "componentrun.run.name": message.run_name,
        "componentrun.run.uid": event.run,
        "componentrun.configuration": event.configuration,
    }


def _record(message: Message, observed: str) -> dict[str, Any]:
    event = message.event
    attributes = {
        "log.record.uid": event.id,
        "componentrun.seq": event.seq,
        "componentrun.type": event.type,
        "componentrun.source": event.source,
        "componentrun.attempt": event.attempt,
        "componentrun.params": event.params or None,
        "componentrun.results": event.results,
    }
    return {
        "timeUnixNano": str(_nanoseconds(event.time)),
        "observedTimeUnixNano": observed,
        "severityNumber": _SEVERITIES[event.type],
        "severityText": event.type.upper(),
        "body": {"stringValue": event.message},
        "attributes": _attributes({name: value for name, value in attributes.items() if value is not None}),
    }


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": str(name), "value": _value(value)} for name, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and value in _INTEGERS:
        return {"intValue": str(value)}
    if isinstance(value, int | float):
        return {"doubleValue": float(value)} if abs(value) < 1e308 else {"stringValue": str(value)}  # noqa: PLR2004 - about the largest
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {} if value is None else {"stringValue": str(value)}


def _nanoseconds(time: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with up to nine fractional digits."""
    moment = datetime.fromisoformat(time)
    found = _FRACTION.search(time)
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + int(found[1].ljust(9, "0") if found else 0)
