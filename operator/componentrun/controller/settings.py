"""What the operator is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast

from componentrun.api.common import duration_seconds, quantity_value
from componentrun.controller.lease import LeaseSettings
from componentrun.core.networkpolicy import IPV4_ONLY
from componentrun.core.observed import Limits
from componentrun.core.podsettings import PodSettings
from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PREFIX", "LogFormat", "LogLevel", "Settings", "SettingsError", "from_environment"]

PREFIX: Final = "COMPONENTRUN_"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["json", "text"]

Value = TypeVar("Value")

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_FORMATS: Final = ("json", "text")
_MAX_PORT: Final = 65535
_MAX_WORKERS: Final = 512
_MAX_UPLOAD_SECONDS: Final = 24 * 3600
_MAX_LIMIT_SECONDS: Final = 7 * 24 * 3600


class SettingsError(PlatformError):
    """One or more environment variables can't be used; the message has a line for each."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the operator."""

    agent_image: str
    """Image of stage-in and stage-out, with tag or digest."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty for all."""
    name: str = ""
    """Only runs whose label `componentrun.dev/operator` says so are this operator's; empty: those without the label."""
    lease: LeaseSettings | None = None
    """The Lease that says which of several operators works; None: this one is alone."""
    host: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
    """Address that /healthz, /readyz and /metrics are served on."""
    port: int = 8080
    """Port of the same."""
    limits: Limits = field(default_factory=Limits)
    """How long to wait for what."""
    dns_cidrs: tuple[str, ...] = ()
    """Where pods may send DNS queries to besides the cluster's own DNS pods (node-local caches)."""
    ip_versions: frozenset[int] = IPV4_ONLY
    """IP versions of the cluster's pods, read off the addresses of the operator's own pod."""
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "json"
    pod: PodSettings = field(default_factory=PodSettings)
    """What holds for every pod."""
    workers: int = 32
    """Runs that are worked on at the same time; each one mostly waits for the API server or the store."""
    resync_seconds: float = 300
    """How often everything is listed, to mend what a watch missed."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are missing or wrong; each is named with its value and what was expected.
    """
    reader = _Reader(environment)
    settings = Settings(
        agent_image=reader.read("AGENT_IMAGE", _image, None),
        namespaces=reader.read("NAMESPACES", _namespaces, ()),
        name=reader.read("OPERATOR_NAME", _name, ""),
        lease=_lease(reader),
        host=reader.read("HOST", _address, "0.0.0.0"),  # noqa: S104 - see Settings.host
        port=reader.read("PORT", _whole(1, _MAX_PORT), 8080),
        limits=_limits(reader),
        pod=_pod(reader),
        dns_cidrs=reader.read("DNS_CIDRS", _cidrs, ()),
        ip_versions=reader.read("POD_IPS", _ip_versions, IPV4_ONLY),
        log_level=cast("LogLevel", reader.read("LOG_LEVEL", _one_of(_LEVELS, str.upper), "INFO")),
        log_format=cast("LogFormat", reader.read("LOG_FORMAT", _one_of(_FORMATS, str.lower), "json")),
        workers=reader.read("WORKERS", _whole(1, _MAX_WORKERS), 32),
        resync_seconds=reader.read("RESYNC_SECONDS", _seconds(1, _MAX_LIMIT_SECONDS), 300.0),
    )
    reader.check()
    return settings


def _limits(reader: _Reader) -> Limits:
    """Every field of `Limits` has a variable: `pending` is COMPONENTRUN_PENDING_SECONDS."""
    values = {
        item.name: reader.read(f"{item.name.upper()}_SECONDS", _seconds(0, _MAX_LIMIT_SECONDS), float(item.default))
        for item in fields(Limits)
        if isinstance(item.default, int | float)
    }
    return Limits(**values)


def _lease(reader: _Reader) -> LeaseSettings | None:
    """A Lease where COMPONENTRUN_LEASE names one, as `namespace/name`."""
    namespace, _, name = reader.read("LEASE", _namespace_and_name, "").partition("/")
    seconds = reader.read("LEASE_SECONDS", _seconds(6, 600), 15.0)
    return LeaseSettings(namespace, name, seconds) if name else None


def _pod(reader: _Reader) -> PodSettings:
    default = PodSettings()
    return PodSettings(
        upload_seconds=int(reader.read("UPLOAD_SECONDS", _seconds(2, _MAX_UPLOAD_SECONDS), 600.0)),
        stage_in_seconds=int(reader.read("STAGE_IN_SECONDS", _seconds(1, _MAX_LIMIT_SECONDS), 3600.0)),
        agent_cpu_request=reader.read("AGENT_CPU_REQUEST", _quantity, default.agent_cpu_request),
        agent_memory_request=reader.read("AGENT_MEMORY_REQUEST", _quantity, default.agent_memory_request),
        agent_memory_limit=reader.read("AGENT_MEMORY_LIMIT", _quantity, default.agent_memory_limit),
        stack_id=reader.read("STACK_ID", _image, default.stack_id),
        agent_pull_secrets=reader.read("AGENT_PULL_SECRETS", _words, ()),
    )


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[str] = []

    def read(self, name: str, parse: Callable[[str], Value], default: Value | None) -> Value:
        """The value of PREFIX + name; the default where it is unset or empty. None as default: it is required."""
        text = self._environment.get(PREFIX + name, "").strip()
        if text:
            try:
                return parse(text)
            except ValueError as error:
                self._problems.append(f"{PREFIX}{name} is `{text}`: expected {error}")
        elif default is None:
            self._problems.append(f"{PREFIX}{name} is not set")
        return cast("Value", default)  # a missing one is reported by check() before anybody sees it

    def check(self) -> None:
        """Raise what was collected."""
        if self._problems:
            raise SettingsError("the operator's settings can't be used:\n  " + "\n  ".join(self._problems))


def _image(text: str) -> str:
    if any(character.isspace() for character in text):
        raise ValueError("an image reference such as `registry.example.com/componentrun/agent:0.1.0`")
    return text


def _quantity(text: str) -> str:
    quantity_value(text)
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError("an IP address such as `0.0.0.0` or `::`") from error


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _namespaces(text: str) -> tuple[str, ...]:
    for word in _words(text):
        if not _NAMESPACE.fullmatch(word):
            raise ValueError(f"names of namespaces separated by commas; `{word}` can't be one")
    return _words(text)


def _name(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise ValueError("a label value of lower case letters, digits and `-`, such as `canary`")
    return text


def _namespace_and_name(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 2 or not all(_NAMESPACE.fullmatch(part) for part in parts):  # noqa: PLR2004 - namespace, name
        raise ValueError("the Lease as `namespace/name`")
    return text


def _cidrs(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(word)) for word in _words(text))
    except ValueError as error:
        raise ValueError(f"address blocks such as `169.254.20.10/32` separated by commas ({error})") from error


def _ip_versions(text: str) -> frozenset[int]:
    try:
        return frozenset(ipaddress.ip_address(word).version for word in _words(text))
    except ValueError as error:
        raise ValueError(f"addresses of the operator's pod separated by commas ({error})") from error


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    """Seconds as a number, or a duration such as `10m`."""

    def parse(text: str) -> float:
        try:
            value = float(text) if text[-1].isdigit() else float(duration_seconds(text))
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise ValueError(f"seconds from {low} to {high}, as a number or as a duration such as `90s` or `10m`")
        return value

    return parse


def _one_of(words: tuple[str, ...], fold: Callable[[str], str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if fold(text) not in words:
            raise ValueError("one of " + ", ".join(words))
        return fold(text)

    return parse
