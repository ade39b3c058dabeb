"""Types that all resources share: the base model, names, quantities, durations, conditions."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.alias_generators import to_camel

from componentrun.api.durations import (
    DURATION,
    LONG_DURATION,
    RETENTION,
    duration_seconds,
    duration_text,
    long_duration_seconds,
    retention_seconds,
)
from componentrun.api.names import API_VERSION, GROUP, VERSION

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
    "Retention",
    "SecretKeyRef",
    "StatusModel",
    "duration_seconds",
    "duration_text",
    "long_duration_seconds",
    "quantity_value",
    "retention_seconds",
]

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

Duration = Annotated[str, Field(pattern=DURATION.pattern, min_length=2, max_length=20)]
"""Hours, minutes and seconds in this order: `90s`, `15m`, `1h30m`."""

LongDuration = Annotated[str, Field(pattern=LONG_DURATION.pattern, min_length=2, max_length=20)]
"""Days, hours, minutes and seconds in this order: `30d`, `12h`."""

Retention = Annotated[str, Field(pattern=RETENTION.pattern, min_length=2, max_length=20)]
"""A `LongDuration`, or `forever`."""

LocalName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
"""Name of an object of the same namespace."""

Policy = Literal["Queue", "Forbid", "Replace", "Allow"]
"""What a run does if other runs of its concurrency group exist."""

Labels = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]


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
    """Key in the Secret."""


class Condition(StatusModel):
    """One aspect of the object's state, as the Kubernetes API conventions describe it."""

    type: Annotated[str, Field(max_length=316)]
    """What the condition is about, e.g. `Succeeded`."""
    status: Literal["True", "False", "Unknown"]
    """Status of the condition. `Unknown` while it is not decided."""
    reason: Annotated[str, Field(max_length=1024)]
    """One CamelCase word that scripts may match."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Description for people."""
    last_transition_time: datetime
    """When the status last changed."""
    observed_generation: int = 0
    """The `metadata.generation` that the condition describes."""
