"""Termination messages that the kubelet does not truncate, and exit codes."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Final

from componentrun.contract import EXIT_APPLICATION_ERROR, EXIT_SUCCESS, EXIT_USER_ERROR
from componentrun.errors import ComponentRunError, Reason, UserError
from componentrun.wire.agents import StageInResult, StageOutResult, to_json
from componentrun.wire.chain import TERMINATION_BYTES, TERMINATION_VARIABLE, StepResult

__all__ = ["TERMINATION_BYTES", "exit_code", "failed", "termination_message"]

_CUT: Final = " …"
_ADVICE_SHARE: Final = 4
"""Part of the termination message that advice may take if the message would be cut otherwise."""
_USER_REASONS: Final = frozenset(
    {Reason.OUTPUT_INVALID, Reason.OUTPUT_MISSING, Reason.DISK_FULL, Reason.INVALID_SPEC, Reason.INPUT_INVALID}
)


def failed(
    kind: type[StageInResult | StageOutResult | StepResult], error: BaseException, seconds: float
) -> StageInResult | StageOutResult | StepResult:
    """The result of an agent that ended with an error.

    Unexpected errors are reported by type only, because their text may contain a signed URL.
    """
    if isinstance(error, ComponentRunError):
        advice = error.advice or None
        return kind(ok=False, seconds=round(seconds, 3), reason=error.reason, message=error.message, advice=advice)
    message = f"a defect of ComponentRun: {type(error).__name__}; the agent's own log says where"
    return kind(ok=False, seconds=round(seconds, 3), reason=Reason.INTERNAL, message=message)


def exit_code(result: StageInResult | StageOutResult | StepResult, error: BaseException | None = None) -> int:
    """0: success; 1: the author of the run can fix it; 2: the operators of the platform can fix it."""
    if result.ok:
        return EXIT_SUCCESS
    user = isinstance(error, UserError) if error is not None else result.reason in _USER_REASONS
    return EXIT_USER_ERROR if user else EXIT_APPLICATION_ERROR


def termination_message(result: StageInResult | StageOutResult | StepResult) -> str:
    """The result as JSON that fits: without lists and state, and if necessary without warnings and with cut texts."""
    if isinstance(result, StageOutResult):
        result = dataclasses.replace(result, tables=(), files=(), state=None)
        if not _fits(result):
            result = dataclasses.replace(result, warnings=())
        result = _cut(result, "said")
    share = _limit() // _ADVICE_SHARE
    if not _fits(result) and len(result.advice or "") > share:
        result = dataclasses.replace(result, advice=(result.advice or "")[:share] + _CUT)
    return to_json(_cut(_cut(result, "message"), "advice"))


def _cut(result: Any, name: str) -> Any:
    """The result with one of its texts truncated until it fits."""
    text = getattr(result, name) or ""
    length = len(text)
    while not _fits(result) and length > 0:
        # Characters have different sizes, and some are escaped, so the length can't be computed.
        length = min(length - 1, length * 3 // 4)
        result = dataclasses.replace(result, **{name: text[:length] + _CUT})
    return result


def _fits(result: StageInResult | StageOutResult | StepResult) -> bool:
    return len(to_json(result).encode("utf-8", "surrogatepass")) <= _limit()


def _limit() -> int:
    """Maximum size of the termination message in bytes."""
    return int(os.environ.get(TERMINATION_VARIABLE, TERMINATION_BYTES))
