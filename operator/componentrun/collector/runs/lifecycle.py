"""Life-cycle events of a run, derived from its status and from what its pod shows (`podphases`). Pure.

Every event has a key that stays the same however often these are read; the journal keeps the keys, so each event is
added once. The event about the result is the run's last, and is added when all lines are in. The operator has redacted
the status; the journal redacts again with the values that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import duration_text
from componentrun.api.componentrun import PhaseTime
from componentrun.collector.runs.podphases import OF_THE_POD
from componentrun.core.lifecycle.conditions import PUBLISHED, find
from componentrun.core.lifecycle.ending import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.api.channels import ImageResolution
    from componentrun.api.componentrun import Attempt, ComponentRunStatus
    from componentrun.collector.runs.facts import RunFacts
    from componentrun.storage.events.events import EventType

__all__ = ["SOURCE", "LifecycleEvent", "nanoseconds", "progress", "replaced", "result", "vanished"]

SOURCE: Final = "operator"
_RESULT_KEY: Final = "result"
WITHHELD: Final = (
    "the message is withheld: it may quote values that the run asked to redact and that are not known any more"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OF_THE_RUN: Final = frozenset({"Queued", "Suspended"})
_SENTENCES: Final = {
    "Queued": "the run was accepted",
    "Suspended": "the run is suspended",
    "Building": "the run waits for its image, which is being built",
    "Pending": "the pod was created and waits for a node, a volume or an image",
    "StagingIn": "input is being staged in",
    "Running": "the component is running",
    "StagingOut": "the component has ended; output is being staged out",
    "Publishing": "output is complete; tables are being published",
}
_TYPES: Final[dict[str | None, EventType]] = {"Success": "success", "Warning": "warn", "Error": "error"}


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One event about the run itself."""

    key: str
    time: int
    """Nanoseconds since 1970."""
    type: EventType
    message: str
    params: dict[str, Any] = field(default_factory=dict)
    attempt: int | None = None
    """The attempt that it is about; None if it is about the whole run."""
    former_key: str = ""
    """Key that an earlier release gave it; a checkpoint may have it."""


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds since 1970, without the rounding errors of floats."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def progress(run: RunFacts, *, with_words: bool = True) -> Iterator[LifecycleEvent]:
    """All events of the status except the result, in chronological order.

    Args:
        run: the run.
        with_words: include messages that may quote the component; not while masks of it are unknown.
    """
    events = [
        _phase(run.status, item, before)
        for before, item in pairwise((None, *_phases(run)))
        if item is not None and item.phase not in TERMINAL
    ]
    events += _published(run.status)
    events += _steps(run.status)
    events += [_attempt(item, with_words=with_words) for item in replaced(run.status)]
    stop = run.status.termination
    if stop is not None:
        message = f"the attempt is being stopped: {stop.message}"
        time, attempt = nanoseconds(stop.time), _attempt_at(run.status, stop.time)
        events.append(LifecycleEvent(f"termination@{time}", time, "warn", message, {"reason": stop.reason}, attempt))
    yield from sorted(events, key=lambda item: item.time)


def _phases(run: RunFacts) -> tuple[PhaseTime, ...]:
    """The phases, beginning with Queued: a run that is started at once has no such phase in its status."""
    phases = run.status.phases
    if not phases or phases[0].phase in _OF_THE_RUN or run.created is None:
        return phases
    return (PhaseTime(phase="Queued", start_time=min(run.created, phases[0].start_time)), *phases)


def replaced(status: ComponentRunStatus) -> tuple[Attempt, ...]:
    """Attempts that have ended and that are followed by another one, now or later."""
    followed = status.attempts if status.next_attempt_time is not None else status.attempts[:-1]
    return tuple(attempt for attempt in followed if attempt.completion_time is not None)


def _attempt_at(status: ComponentRunStatus, moment: datetime) -> int | None:
    """Number of the attempt that was running at this time, or had ended last."""
    return max((item.number for item in status.attempts if item.start_time <= moment), default=None)


def _phase(status: ComponentRunStatus, item: PhaseTime, before: PhaseTime | None) -> LifecycleEvent:
    params: dict[str, Any] = {"phase": item.phase}
    if before is not None:
        params |= {"ended": before.phase, "seconds": _seconds(before.start_time, item.start_time)}
    message = _SENTENCES.get(item.phase, item.phase)
    if item.phase == "Running" and status.image:
        params |= {"image": status.image} | ({"imageID": status.image_digest} if status.image_digest else {})
        message += f": {status.image_digest or status.image}"
        if (resolution := status.image_resolution) is not None:
            params |= _resolved(resolution)
            message += f" (channel `{resolution.channel}`" + (f", tag `{resolution.tag}`)" if resolution.tag else ")")
    if item.phase == "Building" and status.build is not None:
        params["build"] = status.build.name
        message += f": build `{status.build.name}`"
    time = nanoseconds(item.start_time)
    if item.phase == "Queued" and _attempt_at(status, item.start_time) is not None:
        message = "the run waits for its next attempt"
    attempt = None if item.phase in _OF_THE_RUN else _attempt_at(status, item.start_time)
    key = f"{item.phase}@{time}"
    if item.phase not in OF_THE_POD or attempt is None:
        return LifecycleEvent(key, time, "info", message, params, attempt)
    # An attempt has each of these once, and the pod and the status may give it different times.
    return LifecycleEvent(f"{item.phase} of attempt {attempt}", time, "info", message, params, attempt, key)


def _resolved(resolution: ImageResolution | None) -> dict[str, Any]:
    """How the digest of an image was found; empty if its node resolved the tag."""
    if resolution is None:
        return {}
    return _present({"channel": resolution.channel, "tag": resolution.tag, "resolved": resolution.source})


def _steps(status: ComponentRunStatus) -> Iterator[LifecycleEvent]:
    """An event about the end of each step of the last attempt, if the run has processors."""
    for step in status.steps or ():
        if step.start_time is None or step.completion_time is None or step.exit_code is None:
            continue
        seconds, attempt = _seconds(step.start_time, step.completion_time), status.attempts[-1].number
        params = _present(
            {
                "step": step.name,
                "component": step.component,
                "image": step.image,
                "imageID": step.image_digest,
                "exitCode": step.exit_code,
                "seconds": seconds,
                **_resolved(step.image_resolution),
            }
        )
        message = f"step {step.name} ({step.component}) ended with exit code {step.exit_code}"
        key, time = f"step {step.name} of attempt {attempt}", nanoseconds(step.completion_time)
        yield LifecycleEvent(key, time, "warn" if step.exit_code else "info", message, params, attempt)


def _published(status: ComponentRunStatus) -> Iterator[LifecycleEvent]:
    """The event about published output. The result reports what could not be published."""
    condition = find(status.conditions, PUBLISHED)
    if condition is None or condition.status != "True":
        return
    begun = max((item.start_time for item in status.phases if item.phase == "Publishing"), default=None)
    time = status.completion_time or condition.last_transition_time
    params = _present(
        {
            "ended": "Publishing" if begun is not None else None,
            "seconds": _seconds(begun, time) if begun is not None else None,
            "tables": _tables(status.output_tables),
            "files": status.output_files and status.output_files.to_dict(),
        }
    )
    attempt = _attempt_at(status, time)
    yield LifecycleEvent("published", nanoseconds(time), "info", f"published: {condition.message}", params, attempt)


def _durations(status: ComponentRunStatus) -> dict[str, float] | None:
    """Seconds that the run spent in each phase, over all attempts."""
    spent: dict[str, float] = {}
    for item, behind in pairwise(status.phases):
        spent[item.phase] = round(spent.get(item.phase, 0.0) + _seconds(item.start_time, behind.start_time), 3)
    return spent or None


def _seconds(begin: datetime, end: datetime) -> float:
    return round((end - begin).total_seconds(), 3)


def _attempt(item: Attempt, *, with_words: bool) -> LifecycleEvent:
    end = item.completion_time or item.start_time
    params = _present(
        {
            "attempt": item.number,
            "pod": item.pod,
            "reason": item.reason,
            "exitCode": item.exit_code,
            "seconds": _seconds(item.start_time, end),
        }
    )
    words = item.message if with_words else item.message and WITHHELD
    message = f"attempt {item.number} ended: {words or item.reason or 'no reason is known'}"
    time = nanoseconds(end)
    return LifecycleEvent(f"attempt {item.number}", time, "warn", message, params, item.number)


def result(run: RunFacts, *, with_words: bool = True) -> LifecycleEvent:
    """The event about the run's end: reason, message, duration. Arguments as of `progress`."""
    status = run.status
    end = status.completion_time or datetime.now(UTC)
    begin = status.start_time or (status.phases[0].start_time if status.phases else end)
    seconds = _seconds(begin, end)
    params = _present(
        {
            "phase": status.phase,
            "result": status.result,
            "reason": status.reason,
            "advice": status.advice if with_words else None,
            "exitCode": status.exit_code,
            "seconds": seconds,
            "phases": _durations(status),
            "inputTables": _tables(status.input_tables),
            "outputTables": _tables(status.output_tables),
            "inputFiles": status.input_files and status.input_files.to_dict(),
            "outputFiles": status.output_files and status.output_files.to_dict(),
            "warnings": list(status.warnings or ()) or None if with_words else None,
        }
    )
    words = status.message if with_words else WITHHELD
    reason = f": {words}" if status.message else ""
    message = f"{status.phase or 'ended'} after {duration_text(seconds)}{reason}"
    kind = _TYPES.get(status.result, "success" if status.phase == "Succeeded" else "error")
    return LifecycleEvent(_RESULT_KEY, nanoseconds(end), kind, message, params)


def vanished(run: RunFacts) -> LifecycleEvent:
    """The last event of a run that was deleted before the operator wrote how it ended."""
    now = nanoseconds(datetime.now(UTC))
    return LifecycleEvent(
        _RESULT_KEY, now, "warn", "the run was deleted before its end was known", _present({"phase": run.status.phase})
    )


def _tables(tables: Any) -> list[dict[str, Any]] | None:
    return [item.to_dict() for item in tables] if tables else None


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
