"""Settings of processes: environment variables that the chart sets, read once, with all errors reported together.

Each field of a class derived from `ProcessSettings` is one variable: `log_level` is COMPONENTRUN_LOG_LEVEL. The name
ends with the unit, the type says what the variable may hold, and `Chart` names the value of the chart that sets it.
No setting is a credential. Credentials come from Secrets, or from files whose paths are settings.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from componentrun.api.common import duration_seconds
from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = [
    "DNS_LABEL",
    "PREFIX",
    "AbsolutePath",
    "Chart",
    "Cidr",
    "DnsLabel",
    "Expected",
    "LogFormat",
    "LogLevel",
    "Port",
    "ProcessSettings",
    "Seconds",
    "ServiceAccount",
    "SettingsError",
    "Words",
    "chart_value",
    "conflict",
    "load",
    "variables",
]

PREFIX: Final = "COMPONENTRUN_"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["json", "text"]

_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
DNS_LABEL: Final = re.compile(_LABEL)
"""What a namespace or a container can be called."""
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]*@")
_CONFLICT: Final = "conflict"


class SettingsError(PlatformError):
    """One or more environment variables are missing or invalid; the message has a line for each."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The value of the chart that sets a variable, for example `operator.workers`."""

    value: str
    """`*` stands for the section of the process."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a variable may hold, for the message about one that does not."""

    text: str


def conflict(expected: str) -> PydanticCustomError:
    """The error of a validator whose variable contradicts another one."""
    return PydanticCustomError(_CONFLICT, "{expected}", {"expected": expected})


def _split(value: Any) -> Any:
    return tuple(word for word in map(str.strip, value.split(",")) if word) if isinstance(value, str) else value


def _seconds(value: Any) -> Any:
    is_duration = isinstance(value, str) and not value.strip()[-1:].isdigit()
    return duration_seconds(value.strip()) if is_duration else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Words = (NoDecode, BeforeValidator(_split))
"""Metadata of tuples that are written as words separated by commas: `Annotated[tuple[str, ...], *Words]`."""
Seconds = Annotated[
    float, BeforeValidator(_seconds), Expected("a duration such as `90s` or `10m`, or a number of seconds,")
]
Port = Annotated[int, Field(ge=0, le=65535)]
"""0: any free port."""
DnsLabel = Annotated[str, StringConstraints(pattern=f"^{_LABEL}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern="^/"), Expected("an absolute path such as `/var/log/pods`")]
ServiceAccount = Annotated[
    str,
    StringConstraints(pattern="^system:serviceaccount:[^:]+:[^:]+$"),
    Expected("the user name of a service account, `system:serviceaccount:<namespace>:<name>`"),
]
Address = Annotated[str, AfterValidator(lambda text: str(ipaddress.ip_address(text)))]
Cidr = Annotated[str, AfterValidator(lambda text: str(ipaddress.ip_network(text)))]


class ProcessSettings(BaseSettings):
    """Settings of every process. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)
    owner: ClassVar[str] = "the process"
    """Whose settings they are, for messages."""
    section: ClassVar[str] = ""
    """The section of the chart's values that is about this process."""

    namespaces: Annotated[
        tuple[DnsLabel, ...], *Words, Expected("names of namespaces separated by commas"), Chart("namespaces")
    ] = ()
    """Namespaces to watch; empty for all."""
    pod_ips: Annotated[
        tuple[Address, ...], *Words, Expected("addresses of the process's own pod separated by commas")
    ] = ()
    """Addresses of the process's own pod."""
    host: Annotated[Address | None, Expected("an IP address such as `0.0.0.0` or `::`")] = None
    """Address that /healthz, /readyz and /metrics are served on; see `listen_address` for the default."""
    port: Port = 8080
    """Port that they are served on."""
    log_level: Annotated[LogLevel, BeforeValidator(_upper), Chart("*.logLevel")] = "INFO"
    log_format: Annotated[LogFormat, BeforeValidator(_lower), Chart("*.logFormat")] = "json"

    @property
    def ip_versions(self) -> tuple[int, ...]:
        """IP versions of the process's own pod, that of its first address first; IPv4 if its addresses are not set."""
        return tuple(dict.fromkeys(ipaddress.ip_address(address).version for address in self.pod_ips)) or (4,)

    @property
    def listen_address(self) -> str:
        """Where to listen: `host`, or all addresses of the family that the kubelet and Prometheus connect over."""
        if self.host is not None:
            return self.host
        return "::" if self.ip_versions[0] == 6 else "0.0.0.0"  # noqa: PLR2004, S104 - IPv6; probes come from outside


Settings = TypeVar("Settings", bound=ProcessSettings)


def load(settings: type[Settings]) -> Settings:
    """Settings from the environment of this process.

    Raises:
        SettingsError: variables are missing or invalid; the message has a line for each, with the variable, the chart
            value that sets it, what was found and what was expected.
    """
    try:
        return settings()
    except ValidationError as error:
        problems = dict.fromkeys(_problem(settings, details) for details in error.errors())
        summary = f"the settings of {settings.owner} can't be used:"
        raise SettingsError("\n  ".join([summary, *problems])) from error


def variables(settings: type[ProcessSettings]) -> dict[str, FieldInfo]:
    """Fields by the environment variables that set them."""
    return {PREFIX + name.upper(): field for name, field in settings.model_fields.items()}


def chart_value(settings: type[ProcessSettings], field: FieldInfo) -> str | None:
    """The chart value that sets a field, for example `operator.workers`; None if no single value does."""
    return next((item.value.replace("*", settings.section) for item in field.metadata if isinstance(item, Chart)), None)


def _problem(settings: type[ProcessSettings], details: ErrorDetails) -> str:
    name = str(details["loc"][0])
    field = settings.model_fields[name]
    value = chart_value(settings, field)
    subject = PREFIX + name.upper() + (f" (chart value `{value}`)" if value else "")
    if details["type"] == "missing" or details["input"] in {"", None}:
        return f"{subject} is not set: expected {_expected(field, details)}"
    found = _USER_INFO.sub("***@", str(details["input"]))
    return f"{subject} is `{found}`: expected {_expected(field, details)}"


def _expected(field: FieldInfo, details: ErrorDetails) -> str:
    if details["type"] == _CONFLICT:
        return details["msg"]
    low = next((item.ge for item in field.metadata if hasattr(item, "ge")), None)
    high = next((item.le for item in field.metadata if hasattr(item, "le")), None)
    kind = next((item.text for item in field.metadata if isinstance(item, Expected)), None)
    if low is not None:
        return f"{kind or 'a whole number'} from {low} to {high}"
    return kind or details["msg"].removeprefix("Input should be ").replace("'", "`")
