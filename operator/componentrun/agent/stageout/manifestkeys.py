"""Checks the keys of manifests: unknown keys are refused, and the message suggests the nearest known one. Pure.

Otherwise a misspelled key would have no effect and nobody would notice: `primary_keys` sets no primary key.
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
"""Maximum characters of a key or a name in a message."""
_LIKE_BASE: Final = 0.75
_LONGEST_LIKE_BASE: Final = 5
"""Longer names are not compared with `base`, because they may be databases, like `sybase`."""


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


def input_keys(raw: dict[str, Any], name: str, kind: str) -> str | None:
    """Return a warning that names the keys of an input manifest; None if there are none.

    Args:
        raw: the manifest.
        name: the file, as messages call it.
        kind: `table` or `file`.
    """
    keys = [key for key in raw if key in _INPUT]
    if not keys:
        return None
    listed = ", ".join(f"`{key}`" for key in keys[:_MOST_TOLD])
    describe, were = ("describes", "was") if len(keys) == 1 else ("describe", "were")
    return (
        f"{name}: {listed} {describe} an input {kind} and {were} ignored. Remove them from the manifest of an "
        "output: the output's own name and the output mapping say where it goes."
    )


def _check_column(column: dict[str, Any], where: str) -> None:
    _check(column, _COLUMN, where)
    types = column.get("data_type")
    if not isinstance(types, dict):
        return
    # Types of any other database are accepted.
    unknown = [key for key in types if key != "base" and (key in _TYPE or _is_like_base(key))]
    if unknown:
        raise wrong(f"{where}: `data_type`", _told(unknown, _BASE))
    for backend, facts in types.items():
        if isinstance(facts, dict):
            _check(facts, _TYPE, f"{where}: `data_type.{backend}`")


def _check(raw: dict[str, Any], known: Collection[str], where: str, ignored: Collection[str] = ()) -> None:
    unknown = [key for key in raw if key not in known and key not in ignored]
    if unknown:
        raise wrong(where, _told(unknown, known))


def _told(unknown: list[str], known: Collection[str]) -> str:
    nearest = {key: _nearest(key[:_LONGEST], known) for key in unknown[:_MOST_TOLD]}
    listed = ", ".join(
        f"`{_cut(key)}`" + (f" (did you mean `{suggestion}`?)" if suggestion else "")
        for key, suggestion in nearest.items()
    )
    more = f" and {len(unknown) - _MOST_TOLD} more" if len(unknown) > _MOST_TOLD else ""
    # If each has a suggestion, the list of known keys is not needed.
    expected = "" if all(nearest.values()) else f"; expected {', '.join(f'`{key}`' for key in known)}"
    return f"unknown key{'s' if len(unknown) > 1 else ''} {listed}{more}{expected}"


def _cut(text: str) -> str:
    """Text of a manifest, shortened for a message."""
    return shown(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _nearest(key: str, known: Collection[str]) -> str | None:
    import difflib  # noqa: PLC0415 - needed only for error messages

    forms = {_letters(name): name for name in known}
    matches = difflib.get_close_matches(_letters(key), forms, n=1)
    return forms[matches[0]] if matches else None


def _is_like_base(key: str) -> bool:
    import difflib  # noqa: PLC0415 - likewise

    return len(key) <= _LONGEST_LIKE_BASE and difflib.SequenceMatcher(None, key, "base").ratio() >= _LIKE_BASE


def _letters(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "")


def _entries(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects in a list, each with its path for messages."""
    value = without_gaps(value)
    for number, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield where.format(number), item


def _items(value: Any) -> Iterator[tuple[object, Any]]:
    """The items of a dictionary or a list, each with its key or index."""
    yield from value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
