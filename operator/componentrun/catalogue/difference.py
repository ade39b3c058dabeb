"""What differs between two sets of Components, field by field. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api.names import CATALOGUE_DIGEST_ANNOTATION, CATALOGUE_LABEL
from componentrun.catalogue.defaults import with_defaults
from componentrun.contract import SECRET_KEY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from componentrun.catalogue.entry import JsonObject

__all__ = ["MISSING", "EntryChange", "FieldChange", "compare", "contains", "field_changes", "same", "shown"]

Key = tuple[str, str]
"""Kind and name."""
MISSING: Final = object()
"""Value of a field that is not set."""
_HIDDEN: Final = "(hidden)"
_SHOWN: Final = 100
_KUBECTL: Final = "kubectl.kubernetes.io/last-applied-configuration"
_OURS: Final = frozenset({CATALOGUE_DIGEST_ANNOTATION, CATALOGUE_LABEL, _KUBECTL})
"""Labels and annotations that say nothing about the component."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs."""

    path: str
    """E.g. `spec.tag`."""
    old: Any
    new: Any

    def __str__(self) -> str:
        """One line, with long values cut."""
        return f"{self.path}: {shown(self.old)} -> {shown(self.new)}"


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One Component that differs."""

    action: Literal["added", "changed", "removed"]
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    """What differs in a changed one."""


def compare(old: Mapping[Key, JsonObject], new: Mapping[Key, JsonObject]) -> tuple[EntryChange, ...]:
    """What has to change in `old` to get `new`, ordered by kind and name."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            changes.append(EntryChange("added", *key))
        elif key not in new:
            changes.append(EntryChange("removed", *key))
        elif fields := field_changes(old[key], new[key]):
            changes.append(EntryChange("changed", *key, fields))
    return tuple(changes)


def field_changes(old: JsonObject, new: JsonObject) -> tuple[FieldChange, ...]:
    """Fields of labels, annotations and `spec` that differ between two objects. Lists are compared as a whole.

    A field that has its default and one that is not set are the same: the API server adds defaults.
    """
    changes: list[FieldChange] = []
    for part in ("labels", "annotations"):
        changes += _changes(_without_ours(old, part), _without_ours(new, part), f"metadata.{part}", is_secret=False)
    before, after = with_defaults(old.get("spec") or {}), with_defaults(new.get("spec") or {})
    changes += _changes(before, after, "spec", is_secret=False)
    return tuple(changes)


def contains(actual: Any, expected: Any) -> bool:
    """Whether a value from an API server has all that was applied. It may have more: defaults, fields of others."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(contains(item, wanted) for item, wanted in zip(actual, expected, strict=True))
        )
    return same(actual, expected)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal. `1` and `1.0` are, because Kubernetes writes both as `1`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        has_float = isinstance(one, float) or isinstance(other, float)
        return one == other or (has_float and _as_float(one) == _as_float(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(item, found) for item, found in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _as_float(number: float) -> float:
    """The number as the API server keeps it if it has more digits than a whole number of 64 bits."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def shown(value: Any) -> str:
    """A value in one line, cut if it is long."""
    if value is MISSING:
        return "(none)"
    text = value if value == _HIDDEN else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _without_ours(manifest: JsonObject, part: str) -> JsonObject:
    items = (manifest.get("metadata") or {}).get(part) or {}
    return {key: value for key, value in items.items() if key not in _OURS}


def _changes(old: Any, new: Any, path: str, *, is_secret: bool) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            before, after = old.get(key, MISSING), new.get(key, MISSING)
            yield from _changes(
                before, after, f"{path}.{key}", is_secret=is_secret or key.startswith(SECRET_KEY_PREFIX)
            )
    elif (documents := _documents(old, new)) is not None:
        before, after = documents
        changes = list(_changes(before, after, path, is_secret=is_secret))
        yield from changes or [FieldChange(path, "its text", "another text with the same meaning")]
    elif old is MISSING or new is MISSING or not same(old, new):
        yield FieldChange(path, _hidden(old, is_secret=is_secret), _hidden(new, is_secret=is_secret))


def _documents(old: Any, new: Any) -> tuple[JsonObject, JsonObject] | None:
    """Two different texts that are JSON objects, such as schemas, parsed; None for anything else."""
    if not isinstance(old, str) or not isinstance(new, str) or old == new:
        return None
    before, after = _document(old), _document(new)
    return None if before is None or after is None else (before, after)


def _document(text: str) -> JsonObject | None:
    """A text that is a JSON object, parsed; None for any other text."""
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _hidden(value: Any, *, is_secret: bool) -> Any:
    """The value with what is below `#` keys hidden. References to Secrets are no secrets, but are hidden as well."""
    if value is MISSING:
        return value
    if is_secret:
        return _HIDDEN
    if isinstance(value, str) and (document := _document(value)) is not None:
        return json.dumps(_hidden(document, is_secret=False), ensure_ascii=False)
    if isinstance(value, dict):
        return {key: _hidden(item, is_secret=key.startswith(SECRET_KEY_PREFIX)) for key, item in value.items()}
    return [_hidden(item, is_secret=False) for item in value] if isinstance(value, list) else value
