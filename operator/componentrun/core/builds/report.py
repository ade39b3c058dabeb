"""What fetch and push report at their end, as a termination message."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Final

from componentrun.core.builds.exchange import STEP_REPORT_BYTES, StepReport
from componentrun.errors import ComponentRunError, TransientError
from componentrun.reasons import GUIDANCE, Reason
from componentrun.wire.documents import from_json, to_json

__all__ = ["failed", "read_report", "termination_message"]

_CUT: Final = " …"
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DEFECT_ADVICE: Final = "This is up to the platform team: look at the log of the step in the build's pod."


def failed(error: BaseException, seconds: float) -> StepReport:
    """The report of a step that ended with an error.

    Unexpected errors are reported by type only, because their text may contain a login.

    Args:
        error: what ended the step.
        seconds: how long the step took.
    """
    if isinstance(error, ComponentRunError):
        return StepReport(
            ok=False,
            seconds=round(seconds, 3),
            reason=error.reason,
            message=error.summary,
            advice=error.advice or GUIDANCE[error.reason].advice or None,
            is_transient=isinstance(error, TransientError),
        )
    reason, message, advice = _unexpected(error)
    return StepReport(ok=False, seconds=round(seconds, 3), reason=reason, message=message, advice=advice or None)


def _unexpected(error: BaseException) -> tuple[Reason, str, str]:
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        advice = GUIDANCE[Reason.BUILD_DISK_FULL].advice
        return Reason.BUILD_DISK_FULL, f"the disk of the build is full ({errno.errorcode[error.errno]})", advice
    if isinstance(error, MemoryError):
        advice = GUIDANCE[Reason.BUILD_OUT_OF_MEMORY].advice
        return Reason.BUILD_OUT_OF_MEMORY, "the step needs more memory than its limit", advice
    kind = type(error).__name__
    detail = f" ({errno.errorcode.get(error.errno or 0, 'no code')})" if isinstance(error, OSError) else ""
    return Reason.INTERNAL, f"a defect of ComponentRun: {kind}{detail}; the step's log says where", _DEFECT_ADVICE


def termination_message(report: StepReport) -> str:
    """The report as JSON that the kubelet does not truncate: long texts are cut."""
    message, advice = report.message or "", report.advice or ""
    while (message or advice) and len(to_json(report).encode("utf-8", "replace")) > STEP_REPORT_BYTES:
        # Characters have different sizes, and some are escaped, so the length can't be computed.
        if len(message) >= len(advice):
            message = message[: len(message) * 3 // 4]
            report = replace(report, message=message + _CUT)
        else:
            advice = advice[: len(advice) * 3 // 4]
            report = replace(report, advice=advice + _CUT)
    return to_json(report)


def read_report(message: str) -> StepReport | None:
    """The report in a termination message; None if it is not one, such as the end of a log."""
    try:
        return from_json(StepReport, message)
    except (ValueError, RecursionError):
        return None
