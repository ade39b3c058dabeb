"""What a failed run's status holds of its component's output, and how much of it.

A status is kept small, since there may be a million of them. The message of a user error has at most MAX_MESSAGE
characters and appears twice, in `status.message` and in the condition Succeeded. The last words have at most
MAX_LAST_WORDS characters; they are in `status.lastWords`, and in `status.events.lastWords` if the node had not kept
them: 16,000 characters in all. An attempt has only the beginning of its message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.core.lifecycle import conditions
from componentrun.core.podstatus.errortext import user_error_message
from componentrun.core.podstatus.results import CUT_MARK
from componentrun.core.podstatus.view import program_title
from componentrun.errors import Reason, with_advice

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus

__all__ = [
    "MAX_ATTEMPT_MESSAGE",
    "attempt_message",
    "failed_container",
    "failed_step",
    "needs_last_words",
    "run_message",
    "with_words",
]

MAX_ATTEMPT_MESSAGE: Final = 500
"""Characters of an attempt's message."""


def needs_last_words(status: ComponentRunStatus) -> bool:
    """Whether a run failed and its node did not say what its component had printed, or the end of it only.

    A kubelet that evicts a pod for its disk usage removes the containers before it reports their end (seen), and one
    that is away reports nothing. It keeps no lines of a component that ended with 0 after a child was killed or its pod
    was deleted, and sometimes reports another exit code without lines (seen). Then only the collector has them.
    """
    return status.phase == "Failed" and (status.last_words is None or status.last_words.startswith(CUT_MARK))


def with_words(run: ComponentRun, status: ComponentRunStatus, words: str, now: datetime) -> ComponentRunStatus:
    """The status with more of what the component printed than its node had kept.

    The message of a user error is made of these words, so that the cause at their beginning is not missing.
    """
    status = status.model_copy(update={"last_words": words})
    if status.reason != Reason.USER_ERROR:
        return status
    message = user_error_message(words, failed_step(status))
    changed = conditions.with_condition(
        status.conditions, conditions.SUCCEEDED, "False", Reason.USER_ERROR, message,
        generation=run.metadata.generation, now=now,
    )  # fmt: skip
    last = status.attempts[-1].model_copy(update={"message": attempt_message(message)})
    update = {"message": message, "conditions": changed, "attempts": (*status.attempts[:-1], last)}
    return status.model_copy(update=update)


def attempt_message(summary: str, advice: str = "") -> str:
    """An attempt's message: cut, as there may be many attempts, and the run has the whole. Advice is kept whole."""
    message = with_advice(summary, advice)
    if len(message) <= MAX_ATTEMPT_MESSAGE:
        return message
    room = MAX_ATTEMPT_MESSAGE - len(advice) - 2
    if not advice or room < MAX_ATTEMPT_MESSAGE // 2:
        return message[: MAX_ATTEMPT_MESSAGE - 1] + CUT_MARK
    return with_advice(summary[:room] + CUT_MARK, advice)


def failed_container(status: ComponentRunStatus) -> str:
    """The container of the program that failed: of a processor if its exit code is not 0, or else of the component."""
    return next((step.name for step in status.steps or () if step.exit_code), names.COMPONENT)


def failed_step(status: ComponentRunStatus) -> str:
    """The program that failed, for messages."""
    name = failed_container(status)
    return program_title(name, next((step.component for step in status.steps or () if step.name == name), ""))


def run_message(message: str, reason: Reason, words: str | None, who: str) -> str:
    """The whole message of a run, of whose last attempt this is the message.

    Args:
        message: of the attempt.
        reason: of the attempt's end.
        words: the component's last ones, which the message of a user error is made of.
        who: what failed, see `failed_step`.
    """
    if reason is Reason.USER_ERROR and len(message) == MAX_ATTEMPT_MESSAGE and words is not None:
        return user_error_message(words, who)
    return message
