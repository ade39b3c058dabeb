"""What a component says about a table it wrote: `<file>.manifest`, in its old form and its new one. Pure.

    old   {"columns": [...], "primary_key": [...], "metadata": [...], "column_metadata": {...}, ...}
    new   {"manifest_type": "out", "has_header", "schema": [{"name", "data_type", ...}], "table_metadata": {...}, ...}

Both may say `destination`, `incremental`, `deduplication_strategy`, `write_always`, `delimiter`, `enclosure`,
`description` and which rows to delete. Keys that nobody knows are refused (`manifestkeys`), and so is what would change
the table and can't be done, or is said twice in different ways.
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
    """A manifest, in whichever form it came. None: it does not say."""

    destination: str | None = None
    columns: tuple[str, ...] | None = None
    primary_key: tuple[str, ...] | None = None
    incremental: bool | None = None
    write_always: bool = False
    has_header: bool | None = None
    delete_where: Where | None = None
    delimiter: str | None = None
    enclosure: str | None = None
    """Empty: fields are not enclosed."""
    facts: tuple[ColumnFacts, ...] = ()
    """Columns of which it says something."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What it says of the table as a whole."""
    warning: str | None = None
    """What of it was passed over that may matter."""
    insert: bool | None = None
    """Whether its rows replace none that agree in the primary key."""


def parse_manifest(text: bytes, file: str) -> Manifest:
    """Read a manifest.

    Args:
        text: content of the file.
        file: its name, for messages.

    Raises:
        UserError: (OutputInvalid) it is no JSON object, a value is of the wrong kind, or it asks for too much.
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
    """Manifests of the first years may say `escaped_by`; many of their files hold nothing that is escaped."""
    warnings = [input_keys(raw, name, "table")]
    if raw.get("escaped_by"):
        warnings.append(
            f"{name}: its `escaped_by` was passed over: nothing is escaped here; an enclosure inside a value is "
            "doubled."
        )
    return " ".join(warning for warning in warnings if warning) or None


def _metadata(raw: dict[str, Any], name: str) -> dict[str, str]:
    """Of the table: a list of `key` and `value`, an object, a description, or several of these."""
    told: dict[str, str] = {}
    description = raw.get("description") or None
    if isinstance(description, dict | list):
        raise wrong(name, f"`description` is {kind_of(description)}, expected a text")
    try:
        # PHP writes an empty object as an empty list.
        told |= read_metadata(without_gaps(raw.get("metadata")) or [])
        table = raw.get("table_metadata") or {}
        if not isinstance(table, dict):
            raise wrong(name, f"`table_metadata` is {kind_of(table)}, expected an object")
        told |= texts(table, "table_metadata")
        told |= texts({DESCRIPTION_KEY: description}, "description")
    except ValueError as error:
        raise wrong(name, f"`metadata`: {error}") from error
    return told


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
        # What true is as text depends on who wrote the table: `true`, `True` or `1`.
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise wrong(name, f"`delete_where_values[{i}]` is {kind_of(value)}, expected a text or a number")
    operator = raw.get("delete_where_operator") or "eq"
    # What stands there may be a list, for which no set can be asked.
    if operator not in ("eq", "ne"):
        raise wrong(name, f"`delete_where_operator` is {operator!r}; expected 'eq' or 'ne'")
    where = Where(column, operator, tuple(str(item) for item in values))
    try:
        check_where(where)
    except ValueError as error:
        raise wrong(name, f"`delete_where_values`: {error}") from error
    return where


def _single_filter(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """The newer `delete_where`, a list of lists of filters, in the words of the older keys."""
    wanted = raw.get("delete_where")
    if not wanted:
        return raw
    try:
        ((whole, (only,)),) = [(item, item["where_filters"]) for item in wanted]
        column, values = only["column"], only["values_from_set"]
        # Whatever else is said (`changed_since`, `values_from_workspace`) names fewer rows, so it can't be passed over.
        further = sorted(key for key in {**whole, **only} if (whole | only)[key] and key not in _FILTER)
    except (TypeError, KeyError, ValueError) as error:
        raise wrong(name, _NO_SINGLE_FILTER) from error
    if further:
        raise wrong(name, f"{_NO_SINGLE_FILTER}: found `{further[0]}`")
    return {
        "delete_where_column": column,
        "delete_where_values": values,
        "delete_where_operator": only.get("operator"),
    }


_Told = tuple[tuple[str, ...] | None, tuple[str, ...] | None, list[ColumnFacts]]
"""Columns, primary key, and what is said of columns."""


def _old_form(raw: dict[str, Any], name: str) -> _Told:
    columns = manifest_names(raw, "columns", name)
    # `[""]` and `[]` are how old components say "none"; for columns that means the file brings its header.
    if columns in {(), ("",)}:
        columns = None
    facts = []
    for column, told in _column_metadata(raw, columns, name).items():
        try:
            facts.append(from_metadata(column, without_gaps(told) or []))
        except ValueError as error:
            raise wrong(name, f"`column_metadata` of `{column}`: {error}") from error
    return columns, _primary_key(raw, name), facts


def _column_metadata(raw: dict[str, Any], columns: tuple[str, ...] | None, name: str) -> dict[str, Any]:
    """What is told of columns, by their names."""
    metadata = raw.get("column_metadata") or {}
    if isinstance(metadata, dict):
        return _by_name(metadata, columns or ())
    # PHP writes an object whose keys are 0, 1, 2, ... as a list; others write the lists in the order of the columns.
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
    """The same with the names of columns instead of their places: so PHP writes a list with gaps."""
    places = [str(place) for place in range(len(columns))]
    if set(metadata) <= set(places) and not set(metadata) & set(columns):
        return {columns[int(key)]: told for key, told in metadata.items()}
    return metadata


def _schema(raw: dict[str, Any], name: str) -> _Told:
    schema = without_gaps(raw["schema"])
    if not isinstance(schema, list):
        raise wrong(name, f"`schema` is {kind_of(schema)}, expected a list of columns")
    facts, key = [], []
    for i, item in enumerate(schema):
        told = item.get("name") if isinstance(item, dict) else None
        if not isinstance(told, str | int) or isinstance(told, bool):
            raise wrong(name, f"`schema[{i}]` is no column; expected an object with a `name`")
        column = item | {"name": str(told)}
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
    """Refuse keys of the old form that say something else than the schema."""
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
