"""From the environment to the exit code of a process that works until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from componentrun.errors import ComponentRunError
from componentrun.process import logs
from componentrun.process.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from componentrun.process.settings import LogFormat, LogLevel, ProcessSettings

__all__ = ["BAD_SETTINGS", "FAILED", "launch", "listen_to_signals"]

log = logging.getLogger(__name__)

FAILED: Final = 1
"""Exit code: it can't work, or not any more; the last log line says why."""
BAD_SETTINGS: Final = 2
"""Exit code: its environment variables can't be used; stderr says which."""


class HasProcessSettings(Protocol):
    """Settings of any process."""

    @property
    def process(self) -> ProcessSettings:
        """What every process is told."""


Settings = TypeVar("Settings", bound=HasProcessSettings)


def launch(
    read: Callable[[Mapping[str, str]], Settings],
    work: Callable[[Settings], Coroutine[Any, Any, None]],
    *,
    set_up_logs: Callable[[LogLevel, LogFormat], None] = logs.set_up,
) -> int:
    """Run a process to its end; its exit code.

    Args:
        read: makes its settings of the environment.
        work: what it does until a signal comes.
        set_up_logs: called before the work begins.
    """
    try:
        settings = read(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"error: {error.message}\n")  # how to log is one of the settings
        return BAD_SETTINGS
    set_up_logs(settings.process.log_level, settings.process.log_format)
    try:
        asyncio.run(work(settings))
    except ComponentRunError as error:
        log.critical("%s", error.message)
        return FAILED
    return 0


def listen_to_signals(told_to_end: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set this event."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
