"""Server-side apply: who owns which fields, and what an apply changes.

Fields are paths of keys. Lists are owned as a whole, as those of custom resources without list types are. The fake
keeps owners beside the objects and does not show `metadata.managedFields`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from tests.fakekube.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.fakekube.kinds import Kind

APPLY_PATCH: Final = "application/apply-patch+yaml"
_MISSING: Final = object()
_NOT_OWNED: Final = frozenset({("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")})

Path = tuple[str, ...]
Owners = dict[str, set[Path]]
"""Managers of an object, and the fields of each."""


def fields_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """Fields of an object that an apply owns."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from fields_of(item, (*path, key))
    elif path and path not in _NOT_OWNED:
        yield path


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[Path]:
    """Fields that another kind of write has set."""
    return {path for path in fields_of(after) if value_at(before, path) != value_at(after, path)}


def value_at(obj: Any, path: Path) -> Any:
    """The value at a path."""
    for key in path:
        obj = obj.get(key, _MISSING) if isinstance(obj, dict) else _MISSING
    return obj


def applied(
    kind: Kind, there: Mapping[str, Any], body: Mapping[str, Any], owners: Owners, manager: str, *, is_forced: bool
) -> dict[str, Any]:
    """The object after an apply. Updates the owners.

    Raises:
        Refused: another manager owns a field with another value, and the apply is not forced.
    """
    wanted = set(fields_of(dict(body)))
    conflicts = {
        (other, path)
        for other, paths in owners.items()
        for path in paths & wanted
        if other != manager and value_at(there, path) != value_at(body, path)
    }
    if conflicts and not is_forced:
        raise _conflict(kind, conflicts)
    for other, path in conflicts:
        owners[other].discard(path)
    result = copy.deepcopy(dict(there))
    shared = {path for other, paths in owners.items() if other != manager for path in paths}
    for path in owners.get(manager, set()) - wanted - shared:
        _remove(result, path)
    for path in wanted:
        _set(result, path, copy.deepcopy(value_at(body, path)))
    owners[manager] = wanted
    return result


def _set(obj: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        inner = obj.get(key)
        obj[key] = inner if isinstance(inner, dict) else {}
        obj = obj[key]
    obj[path[-1]] = value


def _remove(obj: dict[str, Any], path: Path) -> None:
    """Remove a field, and objects that have become empty."""
    if len(path) > 1 and isinstance(obj.get(path[0]), dict):
        _remove(obj[path[0]], path[1:])
        if not obj[path[0]]:
            del obj[path[0]]
    else:
        obj.pop(path[0], None)


def _conflict(kind: Kind, conflicts: set[tuple[str, Path]]) -> Refused:
    number = len(conflicts)
    message = f"Apply failed with {number} conflict{'' if number == 1 else 's'}: " + ", ".join(
        f'conflict with "{manager}" using {kind.api_version}: .{".".join(path)}' for manager, path in sorted(conflicts)
    )
    causes = [{"reason": "FieldManagerConflict", "field": f".{'.'.join(path)}"} for _, path in sorted(conflicts)]
    return Refused(409, "Conflict", message, {"causes": causes})
