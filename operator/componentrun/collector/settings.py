"""What the collector is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PREFIX", "LogFormat", "LogLevel", "Settings", "SettingsError", "from_environment"]

PREFIX: Final = "COMPONENTRUN_"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["json", "text"]

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_FORMATS: Final = ("json", "text")


class SettingsError(PlatformError):
    """One or more environment variables can't be used; the message has a line for each."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the collector."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty for all."""
    host: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
    """Address that /healthz, /readyz and /metrics are served on."""
    port: int = 8080
    """Port of the same."""
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "json"
    shard: int = 0
    """Which part of the runs this process follows; from 0."""
    shards: int = 1
    """Into how many parts the runs are divided, by their uid."""
    segment_seconds: float = 1.0
    """The most that an event waits for its segment."""
    drain_seconds: float = 45.0
    """How long after a run's end a container's log is tried to be read to its end before its rest is given up with an
    event. Less than the operator waits before it deletes the pod (`COMPONENTRUN_EVENTS_WAIT_SECONDS`, 60)."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are wrong; each is named with its value and what was expected.
    """
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "namespaces": ("NAMESPACES", _namespaces),
        "host": ("HOST", str),
        "port": ("PORT", _whole(0, 65535)),
        "log_level": ("LOG_LEVEL", _one_of(_LEVELS, str.upper)),
        "log_format": ("LOG_FORMAT", _one_of(_FORMATS, str.lower)),
        "shard": ("COLLECTOR_SHARD", _whole(0, 1023)),
        "shards": ("COLLECTOR_SHARDS", _whole(1, 1024)),
        "segment_seconds": ("COLLECTOR_SEGMENT_SECONDS", _seconds(0.05, 60)),
        "drain_seconds": ("COLLECTOR_DRAIN_SECONDS", _seconds(0, 86400)),
    }
    values, problems = {}, []
    for field, (name, parse) in readers.items():
        text = environment.get(PREFIX + name, "").strip()
        try:
            if text:
                values[field] = parse(text)
        except ValueError as error:
            problems.append(f"{PREFIX}{name} is `{text}`: expected {error}")
    settings = Settings(**values)
    if settings.shard >= settings.shards:
        problems.append(
            f"{PREFIX}COLLECTOR_SHARD is `{settings.shard}`: expected less than "
            f"{PREFIX}COLLECTOR_SHARDS ({settings.shards})"
        )
    if problems:
        raise SettingsError("the collector's settings can't be used:\n  " + "\n  ".join(problems))
    return settings


def _namespaces(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if not _NAMESPACE.fullmatch(word):
            raise ValueError(f"names of namespaces separated by commas; `{word}` can't be one")
    return words


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise ValueError(f"seconds from {low:g} to {high:g}")
        return value

    return parse


def _one_of(words: tuple[str, ...], fold: Callable[[str], str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if fold(text) not in words:
            raise ValueError("one of " + ", ".join(words))
        return fold(text)

    return parse
