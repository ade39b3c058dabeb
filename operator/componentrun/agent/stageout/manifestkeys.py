"""Checks the keys of manifests: unknown keys are refused, and the message suggests the nearest known one. Pure.

Otherwise a misspelt key would have no effect and nobody would notice: `primary_keys` sets no primary key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.agent.folder import shown
from componentrun.agent.stageout.manifestvalues import without_gaps, wrong

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["check_file_keys", "check_table_keys", "input_keys"]

_TABLE: Final = (
    "destination", "incremental", "deduplication_strategy", "primary_key", "columns", "has_header", "schema",
    "delimiter", "enclosure", "write_always", "delete_where_column", "delete_where_operator", "delete_where_values",
    "delete_where", "metadata", "column_metadata", "table_metadata", "description", "manifest_type",
    "distribution_key", "unload_strategy", "tags", "escaped_by",
)  # fmt: skip
_FILE: Final = ("tags", "is_public", "is_permanent", "is_encrypted", "notify")
_INPUT: Final = frozenset({
    "id", "uri", "name", "created", "last_change_date", "last_import_date", "rows_count", "data_size_bytes", "is_alias",
    "attributes", "indexed_columns", "source_table", "size_bytes", "max_age_days", "is_sliced", "s3", "abs", "gcs",
})  # fmt: skip
"""Keys of input manifests, which components copy to their outputs. They have no meaning for an output."""
_COLUMN: Final = ("name", "data_type", "nullable", "primary_key", "distribution_key", "description", "metadata")
_TYPE: Final = ("type", "length", "default")
_BASE: Final = ("base",)
_ENTRY: Final = ("key", "value")
_INPUT_ENTRY: Final = frozenset({"id", "provider", "timestamp"})
_DELETE: Final = ("where_filters", "changed_since", "changed_until")
_FILTER: Final = ("column", "operator", "values_from_set", "values_from_workspace", "values_from_storage")

_MOST_TOLD: Final = 10
_LONGEST: Final = 80
"""Characters of a key or a name in a message."""
_LIKE_BASE: Final = 0.75
_LONGEST_LIKE_BASE: Final = 5
"""`sybase` is a database."""


def check_table_keys(raw: dict[str, Any], name: str) -> None:
    """Refuse unknown keys of a table's manifest, at any depth.

    Args:
        raw: the manifest. Values of the wrong type are ignored here.
        name: the file, as messages call it.

    Raises:
        UserError: (OutputInvalid) names each unknown key and the nearest known one.
    """
    _check(raw, _TABLE, name, _INPUT)
    for where, entry in _entries(raw.get("metadata"), "`metadata[{}]`"):
        _check(entry, _ENTRY, f"{name}: {where}", _INPUT_ENTRY)
    for column, metadata in _items(raw.get("column_metadata")):
        for where, entry in _entries(metadata, "`[{}]`"):
            _check(entry, _ENTRY, f"{name}: `column_metadata` of `{column}`: {where}", _INPUT_ENTRY)
    for where, column in _entries(raw.get("schema"), "`schema[{}]`"):
        _check_column(column, f"{name}: {where} (`{_cut(str(column.get('name')))}`)")
    for where, part in _entries(raw.get("delete_where"), "`delete_where[{}]`"):
        _check(part, _DELETE, f"{name}: {where}")
        for inner, item in _entries(part.get("where_filters"), f"{where[:-1]}.where_filters[{{}}]`"):
            _check(item, _FILTER, f"{name}: {inner}")


def check_file_keys(raw: dict[str, Any], name: str) -> None:
    """Refuse unknown keys of a file's manifest. Arguments and errors are those of `check_table_keys`."""
    _check(raw, _FILE, name, _INPUT)


def input_keys(raw: dict[str, Any], name: str, what: str) -> str | None:
    """Return a warning that names the keys of an input manifest; None if there are none.

    Args:
        raw: the manifest.
        name: the file, as messages call it.
        what: `table` or `file`.
    """
    found = [key for key in raw if key in _INPUT]
    if not found:
        return None
    told = ", ".join(f"`{key}`" for key in found[:_MOST_TOLD])
    describe, were = ("describes", "was") if len(found) == 1 else ("describe", "were")
    return (
        f"{name}: {told} {describe} an input {what} and {were} ignored. Remove them from the manifest of an "
        "output: the output's own name and the output mapping say where it goes."
    )


def _check_column(column: dict[str, Any], where: str) -> None:
    _check(column, _COLUMN, where)
    types = column.get("data_type")
    if not isinstance(types, dict):
        return
    # Types of any other database are accepted.
    strange = [key for key in types if key != "base" and (key in _TYPE or _is_like_base(key))]
    if strange:
        raise wrong(f"{where}: `data_type`", _told(strange, _BASE))
    for backend, facts in types.items():
        if isinstance(facts, dict):
            _check(facts, _TYPE, f"{where}: `data_type.{backend}`")


def _check(raw: dict[str, Any], known: Collection[str], where: str, also: Collection[str] = ()) -> None:
    strange = [key for key in raw if key not in known and key not in also]
    if strange:
        raise wrong(where, _told(strange, known))


def _told(strange: list[str], known: Collection[str]) -> str:
    nearest = {key: _nearest(key[:_LONGEST], known) for key in strange[:_MOST_TOLD]}
    told = ", ".join(f"`{_cut(key)}`" + (f" (did you mean `{near}`?)" if near else "") for key, near in nearest.items())
    more = f" and {len(strange) - _MOST_TOLD} more" if len(strange) > _MOST_TOLD else ""
    # If each has a suggestion, the list of known keys is not needed.
    expected = "" if all(nearest.values()) else f"; expected {', '.join(f'`{key}`' for key in known)}"
    return f"unknown key{'s' if len(strange) > 1 else ''} {told}{more}{expected}"


def _cut(text: str) -> str:
    """Text of a manifest as a message may hold it."""
    return shown(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _nearest(key: str, known: Collection[str]) -> str | None:
    import difflib  # noqa: PLC0415 - only those who have to say what is wrong need it

    forms = {_letters(name): name for name in known}
    found = difflib.get_close_matches(_letters(key), forms, n=1)
    return forms[found[0]] if found else None


def _is_like_base(key: str) -> bool:
    import difflib  # noqa: PLC0415 - likewise

    return len(key) <= _LONGEST_LIKE_BASE and difflib.SequenceMatcher(None, key, "base").ratio() >= _LIKE_BASE


def _letters(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "")


def _entries(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects in a list with their places."""
    value = without_gaps(value)
    for number, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield where.format(number), item


def _items(value: Any) -> Iterator[tuple[object, Any]]:
    """What a dictionary or a list holds, by its key or place."""
    yield from value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
