"""Map table ids to namespaces and names in an Iceberg catalog, and back.

For example, `out.c-main.bar` is the table `bar` in the namespace `out_c_main`.

Both names consist of lowercase ASCII letters, digits and `_`, begin with a letter and end with a letter or a digit, so
that engines and catalogs accept them without quotes. Two ids never have the same names, whatever the prefixes
(decision 0054).

    in a bucket    `-` becomes `_`             c-main      c_main
    in a table     `_` is unchanged            daily_sales daily_sales
    otherwise      `_x`, the bytes in          Orders      x4f_rders
                   hexadecimal, `_`            my-table    my_x2d_table

An escape omits its `_` at either end of a name: at the beginning it is `x4f_`, at the end `_x4f`. A digit at the
beginning, a separator at either end, and text that would read as an escape are escaped as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.errors import UserError
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from re import Match, Pattern

__all__ = ["MAX_NAME", "IcebergName", "bucket_of", "events_table", "from_iceberg", "namespace_of", "to_iceberg"]

MAX_NAME: Final = 255
"""Maximum number of characters of a namespace or a name in Glue, S3 Tables and SeaweedFS."""

_BUCKET_SEPARATOR: Final = "-"
_TABLE_SEPARATOR: Final = "_"
_MAX_ENCODED: Final = 216
"""Maximum number of characters of an encoded bucket or table; leaves room for a namespace's prefix and stage."""
_ESCAPE_OR_SEPARATOR: Final = re.compile(r"(?:^|_)x((?:[0-9a-f]{2})+)(?:_|\Z)|_")
_ALPHABET: Final = re.compile(r"[a-z0-9_]+")
_NAMESPACE: Final = re.compile(r"(in|out)_(.+)")
_OWN_NAMESPACE: Final = "componentrun"
"""Has no stage, so no bucket maps to it."""


class IcebergName(NamedTuple):
    """Namespace and name of a table in a catalog."""

    namespace: str
    """A namespace of one level."""
    name: str

    def __str__(self) -> str:
        """The name as query engines write it."""
        return f"{self.namespace}.{self.name}"


def to_iceberg(prefix: str, table: TableId) -> IcebergName:
    """Namespace and name of a table in the catalog.

    Args:
        prefix: `CatalogSettings.namespace_prefix`.
        table: id of the table.
    """
    return IcebergName(_namespace(prefix, table.stage, table.bucket), _encode(table.table, _TABLE_SEPARATOR))


def from_iceberg(prefix: str, namespace: str, name: str) -> TableId | None:
    """The id of a table in the catalog; None if no id maps to these names, so the table belongs to another program.

    Args:
        prefix: `CatalogSettings.namespace_prefix`.
        namespace: a namespace of one level; ComponentRun never uses namespaces of several levels.
        name: name of the table.
    """
    bucket = bucket_of(prefix, namespace)
    table = _decode(name, _TABLE_SEPARATOR)
    if bucket is None or table is None:
        return None
    try:
        return TableId.parse(f"{bucket}.{table}")
    except UserError:
        return None  # it decodes to characters that are not valid in an id


def namespace_of(prefix: str, bucket_id: str) -> str:
    """The namespace of a bucket's tables.

    Args:
        prefix: `CatalogSettings.namespace_prefix`.
        bucket_id: bucket with its stage, such as `out.c-main`.
    """
    stage, _, bucket = bucket_id.partition(".")
    return _namespace(prefix, stage, bucket)


def bucket_of(prefix: str, namespace: str) -> str | None:
    """The bucket (such as `out.c-main`) whose tables are in a namespace; None if no bucket maps to it."""
    match = _NAMESPACE.fullmatch(namespace.removeprefix(prefix)) if namespace.startswith(prefix) else None
    bucket = _decode(match[2], _BUCKET_SEPARATOR) if match is not None else None
    if match is None or bucket is None:
        return None
    try:
        return TableId.parse(f"{match[1]}.{bucket}.t").bucket_id
    except UserError:
        return None  # it decodes to characters that are not valid in a bucket


def events_table(prefix: str) -> IcebergName:
    """Namespace and name of the table with the events of runs. No table id maps to them.

    Args:
        prefix: `CatalogSettings.namespace_prefix`.
    """
    return IcebergName(f"{prefix}{_OWN_NAMESPACE}", "events")


def _namespace(prefix: str, stage: str, bucket: str) -> str:
    return f"{prefix}{stage}_{_encode(bucket, _BUCKET_SEPARATOR)}"


def _must_escape(separator: str) -> Pattern[str]:
    """A pattern of the characters that must be escaped. Adjacent characters share one escape."""
    characters = rf"[^a-z0-9{re.escape(separator)}]"
    escape = r"x(?:[0-9a-f]{2})+(?:[^a-z0-9]|\Z)"
    sep = re.escape(separator)
    return re.compile(rf"(?:{characters}|^[0-9]|^{sep}|{sep}\Z|{sep}(?={escape})|^(?={escape})x)+")


_MUST_ESCAPE: Final = {separator: _must_escape(separator) for separator in (_BUCKET_SEPARATOR, _TABLE_SEPARATOR)}


def _encode(text: str, separator: str) -> str:
    def escape(match: Match[str]) -> str:
        start_mark = "_" if match.start() else ""
        end_mark = "_" if match.end() < len(text) else ""
        return f"{start_mark}x{_hex(match[0])}{end_mark}"

    encoded = _MUST_ESCAPE[separator].sub(escape, text).replace(separator, "_")
    return encoded if len(encoded) <= _MAX_ENCODED else f"x{_hex(text)}"


def _decode(encoded: str, separator: str) -> str | None:
    """Decode a name; None if it is not the encoding of any text."""

    def plain(match: Match[str]) -> str:
        return separator if match[1] is None else bytes.fromhex(match[1]).decode("latin-1")

    if not _ALPHABET.fullmatch(encoded):
        return None
    text = _ESCAPE_OR_SEPARATOR.sub(plain, encoded)
    return text if _encode(text, separator) == encoded else None


def _hex(text: str) -> str:
    return text.encode().hex()
