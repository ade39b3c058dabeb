"""Table ids to namespaces and names in an Iceberg catalog, and back: `out.c-main.bar` is table `bar` in `out_c_main`.

Both names consist of lowercase ASCII letters, digits and `_`, begin with a letter and end with a letter or a digit, so
that engines and catalogs accept them without quotes. Two ids never have the same names, whatever the prefixes
(decision 0054).

    in a bucket    `-` becomes `_`             c-main      c_main
    in a table     `_` stays                   daily_sales daily_sales
    all else       `_x`, its bytes in          Orders      x4f_rders
                   hexadecimal, `_`            my-table    my_x2d_table

`_` at either end of a name is left out: an escape at the beginning is `x4f_`, one at the end `_x4f`. Escaped are also a
digit at the beginning, a separator at either end, and what would read as an escape.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.errors import UserError
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from re import Match, Pattern

__all__ = ["MAX_NAME", "IcebergName", "bucket_of", "from_iceberg", "namespace_of", "to_iceberg"]

MAX_NAME: Final = 255
"""Characters of a namespace or a name that catalogs accept at most (Glue, S3 Tables, SeaweedFS)."""

_BUCKET_SEPARATOR: Final = "-"
_TABLE_SEPARATOR: Final = "_"
_MAX_ENCODED: Final = 216
"""Of a bucket or a table: leaves room for the prefix and the stage in a namespace."""
_ESCAPE_OR_SEPARATOR: Final = re.compile(r"(?:^|_)x((?:[0-9a-f]{2})+)(?:_|\Z)|_")
_ALPHABET: Final = re.compile(r"[a-z0-9_]+")
_NAMESPACE: Final = re.compile(r"(in|out)_(.+)")


class IcebergName(NamedTuple):
    """A table in a catalog."""

    namespace: str
    """Of one level."""
    name: str

    def __str__(self) -> str:
        """As engines write it."""
        return f"{self.namespace}.{self.name}"


def to_iceberg(prefix: str, table: TableId) -> IcebergName:
    """Where a table is in the catalog.

    Args:
        prefix: `CatalogSettings.namespace_prefix`.
        table: its id.
    """
    return IcebergName(_namespace(prefix, table.stage, table.bucket), _encode(table.table, _TABLE_SEPARATOR))


def from_iceberg(prefix: str, namespace: str, name: str) -> TableId | None:
    """The id of a table in the catalog; None if no id has these names, so that it is somebody else's table.

    Args:
        prefix: `CatalogSettings.namespace_prefix`.
        namespace: of one level; namespaces of several levels are never ours.
        name: of the table.
    """
    bucket = bucket_of(prefix, namespace)
    table = _decode(name, _TABLE_SEPARATOR)
    if bucket is None or table is None:
        return None
    try:
        return TableId.parse(f"{bucket}.{table}")
    except UserError:
        return None  # it decodes to characters that no id has


def namespace_of(prefix: str, bucket_id: str) -> str:
    """The namespace of a bucket's tables.

    Args:
        prefix: `CatalogSettings.namespace_prefix`.
        bucket_id: with its stage: `out.c-main`.
    """
    stage, _, bucket = bucket_id.partition(".")
    return _namespace(prefix, stage, bucket)


def bucket_of(prefix: str, namespace: str) -> str | None:
    """The bucket (`out.c-main`) whose tables are in a namespace; None if it is no bucket's."""
    found = _NAMESPACE.fullmatch(namespace.removeprefix(prefix)) if namespace.startswith(prefix) else None
    bucket = _decode(found[2], _BUCKET_SEPARATOR) if found is not None else None
    if found is None or bucket is None:
        return None
    try:
        return TableId.parse(f"{found[1]}.{bucket}.t").bucket_id
    except UserError:
        return None  # it decodes to characters that no bucket has


def _namespace(prefix: str, stage: str, bucket: str) -> str:
    return f"{prefix}{stage}_{_encode(bucket, _BUCKET_SEPARATOR)}"


def _must_escape(separator: str) -> Pattern[str]:
    """Which characters can't stand for themselves: those that are next to each other share an escape."""
    other = rf"[^a-z0-9{re.escape(separator)}]"
    escape = r"x(?:[0-9a-f]{2})+(?:[^a-z0-9]|\Z)"
    sep = re.escape(separator)
    return re.compile(rf"(?:{other}|^[0-9]|^{sep}|{sep}\Z|{sep}(?={escape})|^(?={escape})x)+")


_MUST_ESCAPE: Final = {separator: _must_escape(separator) for separator in (_BUCKET_SEPARATOR, _TABLE_SEPARATOR)}


def _encode(text: str, separator: str) -> str:
    def escape(found: Match[str]) -> str:
        before = "_" if found.start() else ""
        behind = "_" if found.end() < len(text) else ""
        return f"{before}x{_hex(found[0])}{behind}"

    encoded = _MUST_ESCAPE[separator].sub(escape, text).replace(separator, "_")
    return encoded if len(encoded) <= _MAX_ENCODED else f"x{_hex(text)}"


def _decode(encoded: str, separator: str) -> str | None:
    """The text that is encoded in this way; None if there is none."""

    def plain(found: Match[str]) -> str:
        return separator if found[1] is None else bytes.fromhex(found[1]).decode("latin-1")

    if not _ALPHABET.fullmatch(encoded):
        return None
    text = _ESCAPE_OR_SEPARATOR.sub(plain, encoded)
    return text if _encode(text, separator) == encoded else None


def _hex(text: str) -> str:
    return text.encode().hex()
