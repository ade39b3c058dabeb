"""How a run ended: its result, and the error of a run that did not succeed. Pure.

ComponentRunError
├── RunFailedError           any run that did not succeed
│   ├── RunUserError         the author can fix it; also a UserError
│   ├── RunComponentError    the component failed
│   ├── RunLimitError        out of memory, time or disk
│   ├── RunStoppedError      somebody cancelled or replaced it
│   └── RunPlatformError     the platform team can fix it; also a PlatformError
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from componentrun.client.errors import BadRequestError
from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError, without_advice
from componentrun.reasons import LIMIT_REASONS, STOPPED_REASONS, USER_REASONS

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, Phase, TableStatus
    from componentrun.api.mapping.files import FilesStatus

__all__ = [
    "RunComponentError",
    "RunFailedError",
    "RunLimitError",
    "RunPlatformError",
    "RunResult",
    "RunStoppedError",
    "RunUserError",
    "error_of",
    "is_over",
    "result_of",
]

_FINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled"})
"""Same as `core.lifecycle.ending.TERMINAL`, whose module takes 0.1 s to load; a test compares them."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    run: str
    """Name of the run."""
    phase: Phase
    """`Succeeded`, `Failed` or `Cancelled`."""
    result: Literal["Success", "Warning", "Error"] | None
    """`Warning`: it succeeded, and `warnings` has something that a person should read."""
    reason: str
    """One word from docs/reference/reasons.md."""
    message: str
    """What happened."""
    advice: str
    """What to do about it; empty if there is nothing to do."""
    exit_code: int | None
    """Exit code of the component."""
    last_words: str
    """The end of what the component printed, if it failed."""
    result_message: str
    """Message that the component wrote to out/result.json."""
    input_tables: tuple[TableStatus, ...]
    """Tables that were read."""
    output_tables: tuple[TableStatus, ...]
    """Tables that were published."""
    output_files: FilesStatus | None
    """Files that were published."""
    warnings: tuple[str, ...]
    """Problems that did not fail the run."""
    start_time: datetime | None
    """When the first attempt started."""
    completion_time: datetime | None
    """When the run ended."""

    @property
    def succeeded(self) -> bool:
        """Whether the run succeeded."""
        return self.phase == "Succeeded"


class RunFailedError(ComponentRunError):
    """The run did not succeed.

    Attributes:
        result: how it ended.
    """

    def __init__(self, result: RunResult) -> None:
        """The error of this result."""
        message = f": {result.message}" if result.message else ""
        summary = f"ComponentRun `{result.run}` {result.phase.lower()} ({result.reason}){message}"
        reason = Reason(result.reason) if result.reason in set(Reason) else Reason.INTERNAL
        super().__init__(summary, reason, advice=result.advice)
        self.result = result


class RunUserError(RunFailedError, UserError):
    """The author of the run, its configuration or the component can fix it."""


class RunComponentError(RunFailedError):
    """The component failed with an error of its own."""


class RunLimitError(RunFailedError):
    """The run reached a limit of time, memory or disk."""


class RunStoppedError(RunFailedError):
    """The run was cancelled or replaced."""


class RunPlatformError(RunFailedError, PlatformError):
    """The platform team can fix it, or another run may succeed."""


_COMPONENT_REASONS: Final = frozenset({Reason.APPLICATION_ERROR, Reason.START_FAILED})


def is_over(run: ComponentRun) -> bool:
    """Whether the run has ended."""
    return run.status.phase in _FINAL


def result_of(run: ComponentRun) -> RunResult:
    """How the run ended.

    Raises:
        BadRequestError: it has not ended.
    """
    status = run.status
    if status.phase is None or not is_over(run):
        raise BadRequestError(
            f"ComponentRun `{run.metadata.name}` has no result yet: it is `{status.phase or 'Queued'}`",
            "Call `wait()` first.",
        )
    return RunResult(
        run=run.metadata.name,
        phase=status.phase,
        result=status.result,
        reason=status.reason or status.phase,
        message=without_advice(status.message or "", status.advice or ""),
        advice=status.advice or "",
        exit_code=status.exit_code,
        last_words=status.last_words or "",
        result_message=status.result_message or "",
        input_tables=status.input_tables or (),
        output_tables=status.output_tables or (),
        output_files=status.output_files,
        warnings=status.warnings or (),
        start_time=status.start_time,
        completion_time=status.completion_time,
    )


def error_of(result: RunResult) -> RunFailedError | None:
    """The error that the result stands for; None if the run succeeded."""
    if result.succeeded:
        return None
    kinds: tuple[tuple[frozenset[Reason], type[RunFailedError]], ...] = (
        (USER_REASONS, RunUserError),
        (LIMIT_REASONS, RunLimitError),
        (STOPPED_REASONS, RunStoppedError),
        (_COMPONENT_REASONS, RunComponentError),
    )
    kind = next((kind for reasons, kind in kinds if result.reason in reasons), RunPlatformError)
    return kind(result)
