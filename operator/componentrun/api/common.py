"""What all resources share: names, the base model, quantities, durations, conditions."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.alias_generators import to_camel

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "ApiModel",
    "Condition",
    "Duration",
    "Labels",
    "LocalName",
    "LongDuration",
    "ObjectMeta",
    "Policy",
    "Quantity",
    "SecretKeyRef",
    "StatusModel",
    "duration_seconds",
    "duration_text",
    "quantity_value",
]

GROUP: Final = "componentrun.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

_DURATION: Final = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_LONG_DURATION: Final = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_MOST_SECONDS: Final = 1000 * 365 * 24 * 3600
"""Of a duration: more can't be added to every time, nor taken from it, and nobody waits for the difference."""
_QUANTITY: Final = re.compile(r"^(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")
_FACTORS: Final = {
    None: 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip


class ApiModel(BaseModel):
    """Base of every API type: camelCase on the wire, frozen in memory, unknown fields ignored on reading.

    The API server refuses unknown fields in manifests (strict validation); ignoring them here lets two releases meet.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """The object as the API server stores it: camelCase, JSON types, unset fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(ApiModel):
    """Base of all parts of a status. Unknown fields are kept, because a newer release wrote them."""

    model_config = ConfigDict(extra="allow")


def _any_number(value: Any, check: ValidatorFunctionWrapHandler) -> str:
    """Accept any number, as the API server does: its pattern applies to strings only. The value is checked later."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{Decimal(str(value)):f}"
    return str(check(value))


Quantity = Annotated[
    str,
    Field(
        pattern=_QUANTITY.pattern,
        max_length=20,
        json_schema_extra={"x-kubernetes-int-or-string": True, "pattern": _QUANTITY.pattern},
    ),
    WrapValidator(_any_number),
]
"""A Kubernetes quantity: `500m`, `2`, `256Mi`."""

Duration = Annotated[str, Field(pattern=_DURATION.pattern, min_length=2, max_length=20)]
"""Hours, minutes and seconds in this order: `90s`, `15m`, `1h30m`."""

LongDuration = Annotated[str, Field(pattern=_LONG_DURATION.pattern, min_length=2, max_length=20)]
"""Days, hours, minutes and seconds in this order: `30d`, `12h`."""

LocalName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
"""Name of an object of the same namespace."""

Policy = Literal["Queue", "Forbid", "Replace", "Allow"]
"""What becomes of a run when others of its concurrency group are there before it."""

Labels = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]


def duration_seconds(text: str) -> int:
    """Seconds of a `Duration`; of one beyond a thousand years, those of a thousand years.

    Raises:
        ValueError: the text is no duration.
    """
    match = _DURATION.match(text)
    if not match or not any(match.groups()):
        raise ValueError(f"`{text}` is no duration: expected hours, minutes and seconds such as `90s`, `15m`, `1h30m`")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return min(hours * 3600 + minutes * 60 + seconds, _MOST_SECONDS)


def long_duration_seconds(text: str) -> int:
    """Seconds of a `LongDuration`; likewise.

    Raises:
        ValueError: the text is no such duration.
    """
    match = _LONG_DURATION.match(text)
    if not match or not any(match.groups()):
        raise ValueError(
            f"`{text}` is no duration: expected days, hours, minutes and seconds such as `30d`, `12h`, `90s`"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return min(((days * 24 + hours) * 60 + minutes) * 60 + seconds, _MOST_SECONDS)


def duration_text(value: timedelta | float) -> str:
    """A duration for people: `0.4s`, `3s`, `12s`, `3m05s`, `2h10m`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 10 and seconds != int(seconds):  # noqa: PLR2004 - below ten seconds a tenth matters to the reader
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def quantity_value(text: str) -> float:
    """The number behind a `Quantity` (CPU in cores, memory in bytes).

    Raises:
        ValueError: the text is no quantity.
    """
    match = _QUANTITY.match(text)
    if not match:
        raise ValueError(f"`{text}` is no quantity: expected a number with a unit such as `500m`, `2` or `256Mi`")
    return float(match[1]) * _FACTORS[match[2]]


class ObjectMeta(ApiModel):
    """The part of metadata that ComponentRun reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class SecretKeyRef(ApiModel):
    """One value of a Secret of the same namespace."""

    name: LocalName
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """Key in it."""


class Condition(StatusModel):
    """One aspect of the object's state, as the Kubernetes API conventions describe it."""

    type: Annotated[str, Field(max_length=316)]
    """What the condition is about, e.g. `Succeeded`."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds; Unknown while it is not decided."""
    reason: Annotated[str, Field(max_length=1024)]
    """One CamelCase word that scripts may match."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """A sentence for people."""
    last_transition_time: datetime
    """When the status changed last."""
    observed_generation: int = 0
    """The metadata.generation that this was decided for."""
