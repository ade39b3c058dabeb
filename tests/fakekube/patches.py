"""Patches: RFC 7386 (merge patch) and RFC 6902 (JSON patch)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from tests.fakekube.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"


def merge(obj: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the change merged into it; null removes a field."""
    result = dict(copy.deepcopy(dict(obj)))
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = merge(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = copy.deepcopy(value)
    return result


def apply_operations(obj: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The object after these operations.

    Raises:
        Refused: one of them can't be applied, or a `test` fails.
    """
    result = copy.deepcopy(dict(obj))
    try:
        for operation in operations:
            _apply(result, operation)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        why = "the server rejected our request due to an error in our request"
        raise Refused(422, "Invalid", why, {}) from error
    return result


def _apply(root: Any, operation: Mapping[str, Any]) -> None:
    kind, path = operation["op"], operation["path"]
    if kind in {"add", "replace"}:
        _put(root, path, copy.deepcopy(operation["value"]), is_insert=kind == "add")
    elif kind == "remove":
        _take(root, path)
    elif kind == "copy":
        _put(root, path, copy.deepcopy(_look_up(root, operation["from"])), is_insert=True)
    elif kind == "move":
        _put(root, path, _take(root, operation["from"]), is_insert=True)
    elif kind == "test":
        if _look_up(root, path) != operation["value"]:
            raise ValueError(path)
    else:
        raise ValueError(kind)


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.removeprefix("/").split("/")]


def _look_up(root: Any, path: str) -> Any:
    for step in _steps(path):
        root = root[int(step)] if isinstance(root, list) else root[step]
    return root


def _parent(root: Any, path: str) -> tuple[Any, str]:
    *steps, last = _steps(path)
    for step in steps:
        root = root[int(step)] if isinstance(root, list) else root[step]
    return root, last


def _put(root: Any, path: str, value: Any, *, is_insert: bool) -> None:
    """Set a field, or an entry of a list; the API server replaces fields that are not there, too."""
    parent, last = _parent(root, path)
    if isinstance(parent, dict):
        parent[last] = value
    elif not is_insert:
        parent[int(last)] = value
    elif last == "-":
        parent.append(value)
    elif int(last) <= len(parent):
        parent.insert(int(last), value)
    else:
        raise IndexError(last)


def _take(root: Any, path: str) -> Any:
    parent, last = _parent(root, path)
    return parent.pop(int(last) if isinstance(parent, list) else last)
