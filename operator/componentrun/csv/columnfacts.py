"""Properties of a column besides its name, mainly its type, in the terms of the component interface.

Values are text, whatever the type is. Properties come from an output mapping or a manifest, are stored with the table,
and are written to the manifests of components that read it. Imports only the standard library, because agents use it.

Components use two forms of the same properties:

    schema            [{"name", "data_type": {"base": {"type", "length", "default"}, ...}, "nullable", ...}]
    column metadata   {column: [{"key": "KBC.datatype.basetype", "value": "INTEGER"}, ...]}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = [
    "BASE_TYPES",
    "DESCRIPTION_KEY",
    "BaseType",
    "ColumnFacts",
    "from_metadata",
    "from_schema",
    "metadata_list",
    "read_metadata",
    "texts",
]

BaseType = Literal["STRING", "INTEGER", "NUMERIC", "FLOAT", "BOOLEAN", "DATE", "TIMESTAMP"]
BASE_TYPES: Final = ("STRING", "INTEGER", "NUMERIC", "FLOAT", "BOOLEAN", "DATE", "TIMESTAMP")

DESCRIPTION_KEY: Final = "KBC.description"
"""Key of a description among the metadata of a table or a column."""
_TYPE_KEY: Final = "KBC.datatype.basetype"
_LENGTH_KEY: Final = "KBC.datatype.length"
_DEFAULT_KEY: Final = "KBC.datatype.default"
_NULLABLE_KEY: Final = "KBC.datatype.nullable"
_BASE: Final = "base"
_YES: Final = {"1": True, "true": True, "0": False, "false": False, "": False}


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Properties of one column. None: not specified."""

    name: str
    type: str | None = None
    """One of `BASE_TYPES`."""
    length: str | None = None
    """Length as the source writes it: `255`, `38,9`."""
    default: str | None = None
    nullable: bool | None = None
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    """Other properties to store with the column."""
    backends: dict[str, dict[str, str]] = field(default_factory=dict)
    """Types in particular databases (`snowflake`), passed on unchanged: `type`, `length`, `default`."""

    @property
    def says_something(self) -> bool:
        """Whether anything but the name is specified."""
        return self != ColumnFacts(self.name)

    def schema_entry(self, *, primary_key: bool) -> dict[str, Any]:
        """The column as an entry of `schema`, with defaults for what is not specified."""
        base = _present({"type": self.type or "STRING", "length": self.length, "default": self.default})
        entry = {
            "name": self.name,
            "data_type": {_BASE: base, **self.backends},
            "nullable": self.nullable is not False,
            "primary_key": primary_key,
            "description": self.description,
            "metadata": self.metadata or None,
        }
        return _present(entry)

    def metadata_entries(self) -> list[dict[str, Any]]:
        """The column as entries of `column_metadata`; empty if nothing is specified."""
        entries = {
            _TYPE_KEY: self.type,
            # The established format: an empty text for false.
            _NULLABLE_KEY: None if self.nullable is None else "1" if self.nullable else "",
            _LENGTH_KEY: self.length,
            _DEFAULT_KEY: self.default,
            DESCRIPTION_KEY: self.description,
        }
        return metadata_list(_present(entries) | self.metadata)


def metadata_list(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Metadata in the old form of manifests: a list of `key` and `value`."""
    return [{"key": key, "value": value} for key, value in metadata.items()]


def from_schema(raw: dict[str, Any]) -> ColumnFacts:
    """Parse an entry of `schema`.

    Raises:
        ValueError: a value has the wrong type, or the column's type is unknown; the message names the key.
    """
    types = _object(raw, "data_type")
    for backend in types:
        _object(types, backend)
    base = types.get(_BASE) or {}
    return ColumnFacts(
        name=raw["name"],
        type=_base_type(base.get("type"), "data_type.base.type"),
        length=_text(base.get("length"), "data_type.base.length") or None,
        default=_text(base.get("default"), "data_type.base.default"),
        nullable=_flag(raw.get("nullable"), "nullable"),
        description=_text(raw.get("description"), "description") or None,
        metadata=texts(_object(raw, "metadata"), "metadata"),
        backends={key: texts(value or {}, f"data_type.{key}") for key, value in types.items() if key != _BASE},
    )


def from_metadata(name: str, raw: Any) -> ColumnFacts:
    """Parse a column's list of `key` and `value`.

    Sources of metadata do not validate it, so an unknown type (`VARCHAR`) is not an error: it is kept as metadata, and
    the column has no type.

    Raises:
        ValueError: it is not such a list.
    """
    entries = read_metadata(raw)
    base = entries.get(_TYPE_KEY, "").upper()
    if base in {"", *BASE_TYPES}:
        entries.pop(_TYPE_KEY, None)
    nullable = entries.get(_NULLABLE_KEY)
    if nullable is not None and nullable.lower() in _YES:
        entries.pop(_NULLABLE_KEY)
    return ColumnFacts(
        name=name,
        type=base if base in BASE_TYPES else None,
        length=entries.pop(_LENGTH_KEY, None) or None,
        default=entries.pop(_DEFAULT_KEY, None),
        nullable=None if nullable is None else _YES.get(nullable.lower()),
        description=entries.pop(DESCRIPTION_KEY, None) or None,
        metadata=entries,
    )


def read_metadata(raw: Any) -> dict[str, str]:
    """Convert a list of `key` and `value` to a dictionary of texts.

    Raises:
        ValueError: it is not such a list.
    """
    if not isinstance(raw, list):
        raise ValueError("expected a list of objects with `key` and `value`")  # noqa: TRY004 - wrong data
    values: dict[str, Any] = {}
    for item in raw:
        if not isinstance(item, dict) or not isinstance(item.get("key"), str):
            raise ValueError("expected a list of objects with `key` and `value`")  # noqa: TRY004 - wrong data
        values[item["key"]] = item.get("value")
    return texts(values, "value")


def texts(raw: dict[str, Any], path: str) -> dict[str, str]:
    """Convert the values of a dictionary to text; null values are omitted.

    Raises:
        ValueError: a value is a list or an object.
    """
    result = {key: _text(value, f"{path}.{key}") for key, value in raw.items()}
    return {key: value for key, value in result.items() if value is not None}


def _object(raw: dict[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    # PHP writes an empty object as an empty list.
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"`{key}` is no object")  # noqa: TRY004 - wrong data
    return value


def _base_type(value: Any, path: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or value.upper() not in BASE_TYPES:
        raise ValueError(f"`{path}` is {value!r}; expected one of {', '.join(BASE_TYPES)}")
    return value.upper()


def _text(value: Any, path: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise ValueError(f"`{path}` is {'a list' if isinstance(value, list) else 'an object'}, expected a text")


def _flag(value: Any, path: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value in {0, 1}:
        return bool(value)
    raise ValueError(f"`{path}` is {value!r}, expected true or false")


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
