"""Names and types of imported components. Pure."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ID", "component_name", "type_from_id", "type_of", "vendor_of"]

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
"""An id of the original, such as `keboola.ex-aws-s3`."""
_PREFIXES: Final = {
    "app": "application", "ex": "extractor", "processor": "processor", "transformation": "transformation",
    "wr": "writer",
}  # fmt: skip
"""First words of ids, and the types that they stand for."""
_TYPES: Final = frozenset({"application", "extractor", "other", "processor", "service", "transformation", "writer"})


def component_name(id_: str) -> str:
    """The name of the object for an id. Most ids are valid names as they are.

    Capital letters become small ones, and every other character that a name must not have becomes `-`.
    """
    parts = (re.sub(r"[^a-z0-9-]+", "-", part).strip("-") for part in id_.lower().split("."))
    return ".".join(part for part in parts if part)


def vendor_of(id_: str) -> str:
    """The part of an id before the first dot; empty if it has none."""
    vendor, dot, _ = id_.partition(".")
    return vendor if dot else ""


def type_of(name: str) -> str | None:
    """The type of a Component with this type in an index; None if it has no counterpart."""
    return name if name in _TYPES else None


def type_from_id(id_: str) -> str:
    """The type that the id suggests, such as `extractor` for `vendor.ex-name`; `other` if it suggests none."""
    return _PREFIXES.get(id_.rpartition(".")[2].partition("-")[0], "other")
