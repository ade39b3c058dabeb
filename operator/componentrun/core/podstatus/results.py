"""Termination messages of a finished pod's containers: the agents' results, the component's last words."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.core.podstatus.printed import plain
from componentrun.core.podstatus.view import LOST, START_ERRORS
from componentrun.errors import Reason
from componentrun.wire.agents import StageInResult, StageOutResult, from_json
from componentrun.wire.chain import StepResult

if TYPE_CHECKING:
    from componentrun.core.podstatus.view import ContainerView

__all__ = [
    "CUT_MARK",
    "MAX_LAST_WORDS",
    "SIGNAL_BASE",
    "agent_reason",
    "capitalized",
    "counted",
    "ending",
    "excerpt",
    "last_words",
    "message_in_brackets",
    "shortened",
    "stage_in_result",
    "stage_out_result",
    "step_result",
    "tail",
]

MAX_LAST_WORDS: Final = 4000
"""Characters. The kubelet keeps 2,048 bytes of a log; the collector, which reads all of it, has more."""
MAX_RESULT_MESSAGE: Final = 2000
"""Maximum characters of the message in `result.json`."""
_NO_LOG: Final = "Error on reading termination message from logs: "
"""Message of a kubelet that no longer has the log (kuberuntime_container.go)."""
CUT_MARK: Final = "…"
"""Marks a cut. The text after it may be the rest of a secret (see redaction)."""
_KUBELET_KEEPS: Final = 2040
"""Bytes. A message of at least this size (2,048, less a character that was cut) is missing its beginning."""
_SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE",
    15: "SIGTERM",
}  # fmt: skip
SIGNAL_BASE: Final = 128
"""Exit code of a process that a signal ended, less the number of the signal."""
MAX_EXCERPT: Final = 500
"""Maximum characters of a foreign message within a sentence."""
_MOST_RESULTS: Final = 512
"""Maximum number of parsed results of each agent that are kept: later changes of a pod report the same messages."""

_Result = TypeVar("_Result", StageInResult, StageOutResult, StepResult)


def stage_in_result(container: ContainerView) -> StageInResult | None:
    """The result in stage-in's termination message; None if it has not ended or left nothing that can be read."""
    return _read_stage_in(container.message) if container.has_ended else None


def stage_out_result(container: ContainerView) -> StageOutResult | None:
    """The result in stage-out's termination message; None if it has not ended or left nothing that can be read."""
    return _read_stage_out(container.message) if container.has_ended else None


def step_result(container: ContainerView) -> StepResult | None:
    """The result in the message of an agent between two steps; None if it has not ended or left none."""
    return _read_step(container.message) if container.has_ended else None


@lru_cache(maxsize=_MOST_RESULTS)
def _read_step(message: str) -> StepResult | None:
    return _read(StepResult, message)


@lru_cache(maxsize=_MOST_RESULTS)
def _read_stage_in(message: str) -> StageInResult | None:
    return _read(StageInResult, message)


@lru_cache(maxsize=_MOST_RESULTS)
def _read_stage_out(message: str) -> StageOutResult | None:
    return _read(StageOutResult, message)


def _read(kind: type[_Result], message: str) -> _Result | None:
    try:
        return from_json(kind, message)
    except (ValueError, RecursionError):
        return None


def agent_reason(text: str | None, otherwise: Reason) -> Reason:
    """The reason that an agent gave; the given one if it is unknown, as from an agent of another release."""
    try:
        return Reason(text or "")
    except ValueError:
        return otherwise


def capitalized(text: str) -> str:
    """The text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def ending(container: ContainerView) -> str:
    """`exit code 3`, or `exit code 139 (killed by SIGSEGV)`."""
    code = container.exit_code
    if code is None:
        return "an unknown exit code"
    number = container.signal or (code - SIGNAL_BASE if SIGNAL_BASE < code <= SIGNAL_BASE + 64 else 0)
    return f"exit code {code}" + (f" (killed by {_SIGNALS.get(number, f'signal {number}')})" if number else "")


def last_words(component: ContainerView) -> str | None:
    """The end of what a failed component printed; None if the kubelet kept nothing. Not redacted yet.

    Escape sequences are removed first: a secret with a colour in the middle would not be found.
    """
    if not component.has_failed or component.exit_code is None:
        return None
    if component.reason in START_ERRORS | LOST:
        return None  # the message is the runtime's or the kubelet's
    if component.message.startswith(_NO_LOG):
        return None
    was_cut = len(component.message.encode()) >= _KUBELET_KEEPS or component.is_cut
    words = tail(plain(component.message), MAX_LAST_WORDS, was_cut=was_cut) or None
    return f"{words}{CUT_MARK}" if words and component.is_cut else words


def tail(text: str, limit: int, *, was_cut: bool = False) -> str:
    """The last whole lines that fit, or the end of the last line if it does not fit.

    Args:
        text: any text.
        limit: characters, besides the mark that says that something is missing before.
        was_cut: whether the beginning of the text is missing already, so that its first line may not be whole.
    """
    text = text.strip()
    if len(text) <= limit and not was_cut:
        return text
    cut = text[-limit:]
    _, newline, rest = cut.partition("\n")
    return f"{CUT_MARK}\n{rest.strip()}" if newline else CUT_MARK + cut


def shortened(text: str) -> str:
    """A foreign message as plain text, cut to the length that a status may hold."""
    text = plain(text)
    return text if len(text) <= MAX_RESULT_MESSAGE else text[: MAX_RESULT_MESSAGE - 1] + CUT_MARK


def counted(number: int, noun: str) -> str:
    """`1 table`, `2 tables`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def excerpt(text: str, limit: int = MAX_EXCERPT) -> str:
    """A foreign message as part of a sentence: one line, cut, without its full stop."""
    line = " ".join(text.split())
    line = line if len(line) <= limit else line[: limit - 1] + CUT_MARK
    return line.rstrip(".")


def message_in_brackets(container: ContainerView) -> str:
    """A container's termination message in brackets; empty if it left none."""
    return f" (it said: {excerpt(container.message)})" if container.message.strip() else ""
