"""Parses manifests of tables (`<file>.manifest`), in the old and the new form. Pure.

    old   {"columns": [...], "primary_key": [...], "metadata": [...], "column_metadata": {...}, ...}
    new   {"manifest_type": "out", "has_header", "schema": [{"name", "data_type", ...}], "table_metadata": {...}, ...}

Both forms may contain `destination`, `incremental`, `deduplication_strategy`, `write_always`, `delimiter`, `enclosure`,
`description` and the rows to delete. Unknown keys are refused (`manifestkeys`). Keys that would change the table are
refused if they are not supported, or if two of them contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from componentrun.agent.folder import shown
from componentrun.agent.stageout.manifestkeys import check_table_keys, input_keys
from componentrun.agent.stageout.manifestvalues import (
    kind_of,
    manifest_flag,
    manifest_names,
    manifest_object,
    without_gaps,
    wrong,
)
from componentrun.csv.columnfacts import DESCRIPTION_KEY, ColumnFacts, from_metadata, from_schema, read_metadata, texts
from componentrun.csv.columnnames import listed
from componentrun.csv.dialect import Dialect
from componentrun.csv.text import check_columns
from componentrun.sql.tables import check_where
from componentrun.wire.agents import Where

__all__ = ["Manifest", "parse_manifest"]

_FILTER: Final = frozenset({"where_filters", "column", "operator", "values_from_set"})
_NO_SINGLE_FILTER: Final = (
    "`delete_where` is not one filter with `column`, `operator` and `values_from_set`; nothing else is supported in "
    "this version"
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of either form. None means that the manifest does not set the value."""

    destination: str | None = None
    columns: tuple[str, ...] | None = None
    primary_key: tuple[str, ...] | None = None
    incremental: bool | None = None
    write_always: bool = False
    has_header: bool | None = None
    delete_where: Where | None = None
    delimiter: str | None = None
    enclosure: str | None = None
    """An empty string means that fields are not enclosed."""
    facts: tuple[ColumnFacts, ...] = ()
    """Facts about columns."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Metadata of the table as a whole."""
    warning: str | None = None
    """Warning about ignored keys that may matter."""
    insert: bool | None = None
    """Whether rows are added without replacing rows that have the same primary key."""


def parse_manifest(text: bytes, file: str) -> Manifest:
    """Parse a manifest.

    Args:
        text: content of the file.
        file: its name, for messages.

    Raises:
        UserError: (OutputInvalid) it is not a JSON object, a value has the wrong type, or something is unsupported.
    """
    name = shown(file)
    raw = manifest_object(text, name)
    check_table_keys(raw, name)
    delimiter, enclosure = _dialect(raw, name)
    columns, primary_key, facts = _schema(raw, name) if raw.get("schema") else _old_form(raw, name)
    if columns is not None:
        check_columns(columns, name)
    destination = raw.get("destination") or None
    if destination is not None and not isinstance(destination, str):
        raise wrong(name, f"`destination` is {kind_of(destination)}, expected a text")
    return Manifest(
        destination=destination,
        columns=columns,
        primary_key=primary_key,
        incremental=manifest_flag(raw, "incremental", name),
        write_always=bool(manifest_flag(raw, "write_always", name)),
        has_header=manifest_flag(raw, "has_header", name),
        delete_where=_delete_where(raw, name),
        delimiter=delimiter,
        enclosure=enclosure,
        facts=tuple(item for item in facts if item.says_something),
        metadata=_metadata(raw, name),
        warning=_passed_over(raw, name),
        insert=_insert(raw, name),
    )


def _insert(raw: dict[str, Any], name: str) -> bool | None:
    strategy = raw.get("deduplication_strategy") or None
    if strategy not in (None, "insert", "upsert"):
        raise wrong(name, f"`deduplication_strategy` is {strategy!r}; expected 'insert' or 'upsert'")
    return None if strategy is None else strategy == "insert"


def _dialect(raw: dict[str, Any], name: str) -> tuple[str | None, str | None]:
    delimiter, enclosure = raw.get("delimiter") or None, raw.get("enclosure")
    for key, value in (("delimiter", delimiter), ("enclosure", enclosure)):
        if value is not None and not isinstance(value, str):
            raise wrong(name, f"`{key}` is {kind_of(value)}, expected a text")
    try:
        Dialect(delimiter or ",", '"' if enclosure is None else enclosure).check()
    except ValueError as error:
        raise wrong(name, str(error)) from error
    return delimiter, enclosure


def _passed_over(raw: dict[str, Any], name: str) -> str | None:
    """Warn about ignored keys. Old manifests may set `escaped_by`, often for files that contain no escaped values."""
    warnings = [input_keys(raw, name, "table")]
    if raw.get("escaped_by"):
        warnings.append(
            f"{name}: its `escaped_by` was ignored: nothing is escaped here; an enclosure inside a value is doubled."
        )
    return " ".join(warning for warning in warnings if warning) or None


def _metadata(raw: dict[str, Any], name: str) -> dict[str, str]:
    """Metadata of the table: a list of `key` and `value`, an object, a description, or several of these."""
    metadata: dict[str, str] = {}
    description = raw.get("description") or None
    if isinstance(description, dict | list):
        raise wrong(name, f"`description` is {kind_of(description)}, expected a text")
    try:
        # PHP writes an empty object as an empty list.
        metadata |= read_metadata(without_gaps(raw.get("metadata")) or [])
        table = raw.get("table_metadata") or {}
        if not isinstance(table, dict):
            raise wrong(name, f"`table_metadata` is {kind_of(table)}, expected an object")
        metadata |= texts(table, "table_metadata")
        metadata |= texts({DESCRIPTION_KEY: description}, "description")
    except ValueError as error:
        raise wrong(name, f"`metadata`: {error}") from error
    return metadata


def _delete_where(raw: dict[str, Any], name: str) -> Where | None:
    if raw.get("delete_where_column") and raw.get("delete_where"):
        raise wrong(
            name, "both `delete_where_column` and `delete_where` say which rows to delete; expected one of them"
        )
    raw = _single_filter(raw, name)
    column = raw.get("delete_where_column")
    if not column:
        return None
    if raw.get("delete_where_values") is None:
        raise wrong(
            name,
            "`delete_where_column` is there, but `delete_where_values` is not; expected a list of values to delete",
        )
    values = without_gaps(raw.get("delete_where_values"))
    if not isinstance(column, str):
        raise wrong(name, f"`delete_where_column` is {kind_of(column)}, expected the name of a column")
    if not isinstance(values, list):
        raise wrong(name, f"`delete_where_values` is {kind_of(values)}, expected a list of values")
    for i, value in enumerate(values):
        # Tables spell booleans differently: `true`, `True` or `1`.
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise wrong(name, f"`delete_where_values[{i}]` is {kind_of(value)}, expected a text or a number")
    operator = raw.get("delete_where_operator") or "eq"
    # A tuple, not a set: the value may be a list, which is not hashable.
    if operator not in ("eq", "ne"):
        raise wrong(name, f"`delete_where_operator` is {operator!r}; expected 'eq' or 'ne'")
    where = Where(column, operator, tuple(str(item) for item in values))
    try:
        check_where(where)
    except ValueError as error:
        raise wrong(name, f"`delete_where_values`: {error}") from error
    return where


def _single_filter(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """Convert the newer `delete_where`, a list of lists of filters, to the older keys."""
    filters = raw.get("delete_where")
    if not filters:
        return raw
    try:
        ((outer, (inner,)),) = [(item, item["where_filters"]) for item in filters]
        column, values = inner["column"], inner["values_from_set"]
        # Other keys (`changed_since`, `values_from_workspace`) narrow the filter, so they can't be ignored.
        unsupported = sorted(key for key in {**outer, **inner} if (outer | inner)[key] and key not in _FILTER)
    except (TypeError, KeyError, ValueError) as error:
        raise wrong(name, _NO_SINGLE_FILTER) from error
    if unsupported:
        raise wrong(name, f"{_NO_SINGLE_FILTER}: found `{unsupported[0]}`")
    return {
        "delete_where_column": column,
        "delete_where_values": values,
        "delete_where_operator": inner.get("operator"),
    }


_Told = tuple[tuple[str, ...] | None, tuple[str, ...] | None, list[ColumnFacts]]
"""Columns, primary key, and facts about columns."""


def _old_form(raw: dict[str, Any], name: str) -> _Told:
    columns = manifest_names(raw, "columns", name)
    # Old components write `[""]` or `[]` for "none". For columns that means that the file has a header line.
    if columns in {(), ("",)}:
        columns = None
    facts = []
    for column, metadata in _column_metadata(raw, columns, name).items():
        try:
            facts.append(from_metadata(column, without_gaps(metadata) or []))
        except ValueError as error:
            raise wrong(name, f"`column_metadata` of `{column}`: {error}") from error
    return columns, _primary_key(raw, name), facts


def _column_metadata(raw: dict[str, Any], columns: tuple[str, ...] | None, name: str) -> dict[str, Any]:
    """Metadata of columns by their names."""
    metadata = raw.get("column_metadata") or {}
    if isinstance(metadata, dict):
        return _by_name(metadata, columns or ())
    # PHP writes an object with the keys 0, 1, 2, ... as a list. Others write one list for each column, in order.
    if not isinstance(metadata, list) or not all(isinstance(item, list) for item in metadata):
        raise wrong(name, f"`column_metadata` is {kind_of(metadata)}, expected an object of lists, or a list of lists")
    if columns is None:
        raise wrong(
            name,
            "`column_metadata` is a list, in the order of `columns`, which are not there; expected an object of lists, "
            "or `columns`",
        )
    if len(metadata) > len(columns):
        raise wrong(
            name, f"`column_metadata` is a list of {len(metadata)}, `columns` has {len(columns)}; expected no more"
        )
    return dict(zip(columns, metadata, strict=False))


def _by_name(metadata: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """Replace positions of columns by their names: PHP writes a list with gaps as an object with positions as keys."""
    places = [str(place) for place in range(len(columns))]
    if set(metadata) <= set(places) and not set(metadata) & set(columns):
        return {columns[int(key)]: entries for key, entries in metadata.items()}
    return metadata


def _schema(raw: dict[str, Any], name: str) -> _Told:
    schema = without_gaps(raw["schema"])
    if not isinstance(schema, list):
        raise wrong(name, f"`schema` is {kind_of(schema)}, expected a list of columns")
    facts, key = [], []
    for i, item in enumerate(schema):
        column_name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(column_name, str | int) or isinstance(column_name, bool):
            raise wrong(name, f"`schema[{i}]` is no column; expected an object with a `name`")
        column = item | {"name": str(column_name)}
        try:
            facts.append(from_schema(column))
        except ValueError as error:
            raise wrong(name, f"`schema[{i}]` (`{column['name']}`): {error}") from error
        if manifest_flag(column, "primary_key", f"{name}: `schema[{i}]`"):
            key.append(column["name"])
    names = tuple(item.name for item in facts)
    _check_agreed(raw, name, names, tuple(key))
    return names, tuple(key) or _primary_key(raw, name), facts


def _check_agreed(raw: dict[str, Any], name: str, columns: tuple[str, ...], key: tuple[str, ...]) -> None:
    """Refuse keys of the old form that contradict the schema."""
    if raw.get("column_metadata"):
        raise wrong(name, "both `schema` and `column_metadata` tell of columns; expected one of them")
    old = manifest_names(raw, "columns", name)
    if old not in {None, (), ("",), columns}:
        raise wrong(
            name, f"`schema` has the columns {listed(columns)}, `columns` says {listed(old or ())}; expected one"
        )
    old_key = _primary_key(raw, name)
    if key and old_key and set(old_key) != set(key):
        raise wrong(
            name, f"`schema` has the primary key {listed(key)}, `primary_key` says {listed(old_key)}; expected one"
        )


def _primary_key(raw: dict[str, Any], name: str) -> tuple[str, ...] | None:
    names = manifest_names(raw, "primary_key", name)
    return None if names is None else tuple(dict.fromkeys(key for key in names if key))
