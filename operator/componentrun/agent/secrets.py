"""Secrets into the parameters of config.json. Pure; the values are never part of a message."""

from __future__ import annotations

import copy
from typing import Any

from componentrun.errors import Reason, UserError
from componentrun.secretpaths import keys_of

__all__ = ["with_secrets"]


def with_secrets(config: dict[str, Any], secrets: dict[str, str]) -> dict[str, Any]:
    """The content of config.json with each secret at its path below `parameters`.

    Args:
        config: content without secrets; not changed.
        secrets: path to value. `db.#password` is a key in a key; `accounts.0.#token` is in the first item of a list.
            Keys that are not there are made, list items are not.

    Raises:
        UserError: (InvalidSpec) a path leads through something that is neither object nor list, or past a list's end.
    """
    result = copy.deepcopy(config)
    parameters = result.setdefault("parameters", {})
    for path, value in secrets.items():
        _put(parameters, path, value)
    return result


def _put(root: Any, path: str, value: str) -> None:
    *way, last = keys_of(path)
    place = root
    for i, key in enumerate(way):
        place = _step(place, key, path, ".".join(way[:i]) or "parameters")
    where = ".".join(way) or "parameters"
    if isinstance(place, list):
        place[_index(place, last, path, where)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise _wrong(path, where, place)


def _step(place: Any, key: str, path: str, where: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, key, path, where)]
    if isinstance(place, dict):
        return place.setdefault(key, {})
    raise _wrong(path, where, place)


def _index(items: list[Any], key: str, path: str, where: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        size = f"a list of {len(items)} items" if items else "an empty list"
        places = f" (0 to {len(items) - 1})" if items else ""
        raise UserError(
            f"the secret at `{path}` has no place: `{where}` is {size}, and `{key}` is none of their positions{places}",
            Reason.INVALID_SPEC,
        )
    return int(key)


def _wrong(path: str, where: str, place: Any) -> UserError:
    kind = {str: "a text", bool: "true or false", type(None): "null"}.get(type(place), "a number")
    return UserError(
        f"the secret at `{path}` has no place: `{where}` is {kind}, expected an object or a list", Reason.INVALID_SPEC
    )
