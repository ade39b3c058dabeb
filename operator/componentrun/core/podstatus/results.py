"""What the containers of a finished pod say about themselves: the agents' results, the component's last words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.core.podstatus.printed import plain
from componentrun.errors import Reason
from componentrun.wire.agents import StageInResult, StageOutResult, from_json

if TYPE_CHECKING:
    from componentrun.core.lifecycle.observed import ContainerView

__all__ = [
    "CUT_MARK",
    "LOST",
    "MAX_LAST_WORDS",
    "SIGNAL_BASE",
    "START_ERRORS",
    "agent_reason",
    "counted",
    "ending",
    "excerpt",
    "last_words",
    "said_by",
    "shortened",
    "stage_in_result",
    "stage_out_result",
    "tail",
]

MAX_LAST_WORDS: Final = 4000
"""Characters. The kubelet keeps 2,048 bytes of a log; the collector, which reads all of it, tells more."""
MAX_RESULT_MESSAGE: Final = 2000
"""Characters of what a component says in `result.json`."""
START_ERRORS: Final = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
"""Reasons of a container that ended before its program began."""
LOST: Final = frozenset({"ContainerStatusUnknown", "Unknown"})
"""Reasons of a container that the kubelet found gone, after a reboot for instance: its exit code (137) is made up."""
_NO_LOG: Final = "Error on reading termination message from logs: "
"""What a kubelet tells in place of the last lines where the log is gone already (kuberuntime_container.go)."""
CUT_MARK: Final = "…"
"""Where something was cut; what follows may be the rest of a secret (see redaction)."""
_KUBELET_KEEPS: Final = 2040
"""Bytes; a message of this size (2,048, less a character that was cut) began earlier."""
_SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE",
    15: "SIGTERM",
}  # fmt: skip
SIGNAL_BASE: Final = 128
"""Added to a signal's number it is the exit code of what the signal has ended."""
MAX_EXCERPT: Final = 500
"""Characters of somebody else's message within a sentence of ours."""

_Result = TypeVar("_Result", StageInResult, StageOutResult)


def stage_in_result(container: ContainerView | None) -> StageInResult | None:
    """What stage-in left as its termination message; None where it left nothing that can be read."""
    return _read(StageInResult, container)


def stage_out_result(container: ContainerView | None) -> StageOutResult | None:
    """What stage-out left as its termination message; None where it left nothing that can be read."""
    return _read(StageOutResult, container)


def _read(kind: type[_Result], container: ContainerView | None) -> _Result | None:
    if container is None or container.state != "terminated":
        return None
    try:
        return from_json(kind, container.message)
    except (ValueError, RecursionError):
        return None


def agent_reason(text: str | None, otherwise: Reason) -> Reason:
    """The reason that an agent gave, where it is one of ours (an agent of another release may know others)."""
    try:
        return Reason(text or "")
    except ValueError:
        return otherwise


def ending(container: ContainerView) -> str:
    """`exit code 3`, or `exit code 139 (killed by SIGSEGV)`."""
    code = container.exit_code
    if code is None:
        return "an unknown exit code"
    number = container.signal or (code - SIGNAL_BASE if SIGNAL_BASE < code <= SIGNAL_BASE + 64 else 0)
    return f"exit code {code}" + (f" (killed by {_SIGNALS.get(number, f'signal {number}')})" if number else "")


def last_words(component: ContainerView | None) -> str | None:
    """The end of what a failed component printed; None where the kubelet kept nothing. Not redacted yet.

    Escape sequences are removed first: a secret with a colour in the middle would not be found.
    """
    if component is None or component.state != "terminated" or component.exit_code in {0, None}:
        return None
    if component.reason in START_ERRORS | LOST:
        return None  # what stands there is the runtime's message, or the kubelet's
    if component.message.startswith(_NO_LOG):
        return None
    was_cut = len(component.message.encode()) >= _KUBELET_KEEPS
    return tail(plain(component.message), MAX_LAST_WORDS, was_cut=was_cut) or None


def tail(text: str, limit: int, *, was_cut: bool = False) -> str:
    """The last whole lines that fit, or the end of the last line where not even that fits.

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
    """Somebody else's message as plain text, as long as a status may hold it."""
    text = plain(text)
    return text if len(text) <= MAX_RESULT_MESSAGE else text[: MAX_RESULT_MESSAGE - 1] + CUT_MARK


def counted(number: int, noun: str) -> str:
    """`1 table`, `2 tables`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def excerpt(text: str, limit: int = MAX_EXCERPT) -> str:
    """Somebody else's message as part of a sentence: one line, not too long, without its own full stop."""
    line = " ".join(text.split())
    line = line if len(line) <= limit else line[: limit - 1] + CUT_MARK
    return line.rstrip(".")


def said_by(container: ContainerView) -> str:
    """What a container left as its message, in brackets; nothing where it left none."""
    return f" (it said: {excerpt(container.message)})" if container.message.strip() else ""
