"""Runs a long-lived process: reads its settings, sets up logging, returns its exit code."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from componentrun.errors import ComponentRunError
from componentrun.process import logs
from componentrun.process.settings import ProcessSettings, SettingsError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from componentrun.process.settings import LogFormat, LogLevel

__all__ = ["BAD_SETTINGS", "FAILED", "launch", "listen_to_signals"]

log = logging.getLogger(__name__)

FAILED: Final = 1
"""Exit code: a fatal error, which is the last log line."""
BAD_SETTINGS: Final = 2
"""Exit code: invalid environment variables, which are named on stderr."""


Settings = TypeVar("Settings", bound=ProcessSettings)


def launch(
    make_settings: type[Settings],
    work: Callable[[Settings], Coroutine[Any, Any, None]],
    *,
    set_up_logs: Callable[[LogLevel, LogFormat], None] = logs.set_up,
) -> int:
    """Run a process and return its exit code.

    Args:
        make_settings: the class of its settings, which the environment sets.
        work: runs until a signal arrives.
        set_up_logs: called before `work`.
    """
    try:
        settings = load(make_settings)
    except SettingsError as error:
        sys.stderr.write(f"error: {error.message}\n")  # logging is set up by the settings
        return BAD_SETTINGS
    set_up_logs(settings.log_level, settings.log_format)
    try:
        asyncio.run(work(settings))
    except ComponentRunError as error:
        log.critical("%s", error.message)
        return FAILED
    return 0


def listen_to_signals(told_to_end: asyncio.Event) -> None:
    """Set this event on SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
