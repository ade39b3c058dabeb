"""Settings come from environment variables: read once, all wrong ones reported together.

A process reads its own with a `Reader` and the parsers below, and those that every process has with `read_process`.
A parser's error says what was expected.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast

from componentrun.api.common import duration_seconds
from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "DNS_LABEL",
    "PORT_NUMBER",
    "PREFIX",
    "LogFormat",
    "LogLevel",
    "ProcessSettings",
    "Reader",
    "SettingsError",
    "absolute_path",
    "read_process",
    "seconds",
    "service_account",
    "whole",
    "words",
]

PREFIX: Final = "COMPONENTRUN_"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["json", "text"]

Value = TypeVar("Value")

DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What a namespace or a container can be called."""
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_FORMATS: Final = ("json", "text")
_IPV6: Final = 6
_ACCOUNT: Final = "system:serviceaccount:"


class SettingsError(PlatformError):
    """One or more environment variables can't be used; the message has a line for each."""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What every process is told."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty for all."""
    host: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
    """Address that /healthz, /readyz and /metrics are served on; all of the family that the pod's first address is of,
    at which the kubelet and Prometheus ask."""
    port: int = 8080
    """Port of the same."""
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "json"
    ip_versions: tuple[int, ...] = (4,)
    """IP versions of the process's own pod, the one of its first address first."""


def read_process(reader: Reader) -> ProcessSettings:
    """What every process is told."""
    default = ProcessSettings()
    ip_versions = reader.read("POD_IPS", _ip_versions, default.ip_versions)
    everywhere = "::" if ip_versions[0] == _IPV6 else default.host
    return ProcessSettings(
        namespaces=reader.read("NAMESPACES", _namespaces, ()),
        host=reader.read("HOST", _address, everywhere),
        port=reader.read("PORT", PORT_NUMBER, default.port),
        log_level=cast("LogLevel", reader.read("LOG_LEVEL", _one_of(_LEVELS, str.upper), "INFO")),
        log_format=cast("LogFormat", reader.read("LOG_FORMAT", _one_of(_FORMATS, str.lower), "json")),
        ip_versions=ip_versions,
    )


class Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str], whose: str) -> None:
        """`whose` settings they are, for the message: `operator`."""
        self._environment = environment
        self._whose = whose
        self._problems: list[str] = []

    def read(self, name: str, parse: Callable[[str], Value], default: Value | None) -> Value:
        """The value of PREFIX + name; the default where it is unset or empty. None as default: it is required."""
        text = self._environment.get(PREFIX + name, "").strip()
        if text:
            try:
                return parse(text)
            except ValueError as error:
                self.wrong(name, text, str(error))
        elif default is None:
            self._problems.append(f"{PREFIX}{name} is not set")
        return cast("Value", default)  # a missing one is reported by check() before anybody sees it

    def wrong(self, name: str, found: str, expected: str) -> None:
        """Note that a variable can't be used."""
        self._problems.append(f"{PREFIX}{name} is `{found}`: expected {expected}")

    def check(self) -> None:
        """End the reading.

        Raises:
            SettingsError: variables are missing or wrong; each is named with its value and what was expected.
        """
        if self._problems:
            raise SettingsError(f"the {self._whose}'s settings can't be used:\n  " + "\n  ".join(self._problems))


def words(text: str) -> tuple[str, ...]:
    """What stands between commas, without spaces and empty parts."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


PORT_NUMBER: Final = whole(1, 65535)
"""A parser of ports."""


def seconds(low: float, high: float) -> Callable[[str], float]:
    """A parser of seconds, given as a number or as a duration such as `10m`."""

    def parse(text: str) -> float:
        try:
            value = float(text) if text[-1].isdigit() else float(duration_seconds(text))
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise ValueError(f"seconds from {low} to {high}, as a number or as a duration such as `90s` or `10m`")
        return value

    return parse


def service_account(text: str) -> str:
    """A parser of the user names of service accounts."""
    if not text.startswith(_ACCOUNT) or text.count(":") != _ACCOUNT.count(":") + 1:
        raise ValueError(f"the user name of a service account, `{_ACCOUNT}<namespace>:<name>`")
    return text


def absolute_path(text: str) -> str:
    """A parser of paths."""
    if not text.startswith("/"):
        raise ValueError("an absolute path such as `/var/log/pods`")
    return text


def _namespaces(text: str) -> tuple[str, ...]:
    for word in words(text):
        if not DNS_LABEL.fullmatch(word):
            raise ValueError(f"names of namespaces separated by commas; `{word}` can't be one")
    return words(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError("an IP address such as `0.0.0.0` or `::`") from error


def _ip_versions(text: str) -> tuple[int, ...]:
    try:
        found = tuple(dict.fromkeys(ipaddress.ip_address(word).version for word in words(text)))
    except ValueError as error:
        raise ValueError(f"addresses of the process's own pod separated by commas ({error})") from error
    if not found:
        raise ValueError("addresses of the process's own pod separated by commas")
    return found


def _one_of(known: tuple[str, ...], fold: Callable[[str], str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if fold(text) not in known:
            raise ValueError("one of " + ", ".join(known))
        return fold(text)

    return parse
