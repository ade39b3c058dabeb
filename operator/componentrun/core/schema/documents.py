"""What a check is asked and answers. Plain dataclasses, because the check runs in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["MAX_SCHEMA_BYTES", "MOST_SHOWN", "CheckRequest", "CheckResult", "Mismatch", "Schema"]

MAX_SCHEMA_BYTES: Final = 256 * 2**10
"""Maximum size of a schema. The largest of the public component schemas have less than half of that."""
MOST_SHOWN: Final = 10
"""Maximum number of mismatches in a message."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One JSON Schema."""

    name: str
    """Its field, for messages: `spec.configuration.schema`."""
    text: str


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What is to be checked."""

    schemas: tuple[Schema, ...]
    """The document must match all of them."""
    document: dict[str, Any] | None = field(repr=False)
    """The parameters, including secrets; None: only the schemas are checked."""
    root: str = "parameters"
    """What the paths of mismatches begin with."""
    hidden: tuple[tuple[str, ...], ...] = ()
    """Paths of secrets, by keys. Values below keys that start with `#` are never shown either."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value that does not match a schema. Contains no secret."""

    path: str
    """`parameters.db.port`."""
    found: str
    """In words, e.g. "the number 3"."""
    expected: str
    """In words, e.g. "at least 10"."""

    def __str__(self) -> str:
        """Return it as part of a message."""
        return f"`{self.path}`: found {self.found}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer."""

    unusable: str = ""
    """Why a schema can't be used, beginning with its name; empty if all can be used."""
    mismatches: tuple[Mismatch, ...] = ()
    """The first `MOST_SHOWN` mismatches."""
    more: int = 0
    """Number of further mismatches."""
