"""Secrets into the parameters of config.json. Pure; the values are never part of a message.

The parameters stay the text that they are: a secret takes the place of the value at its path, or stands behind the
other keys of its object.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from componentrun.errors import Reason, UserError
from componentrun.wire.jsontext import entries, insertion, kind_at
from componentrun.wire.secretpaths import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["with_secrets"]

Tree = dict[str, Any]
"""Key to the text of a secret, or to another tree."""


def with_secrets(parameters: str, secrets: Mapping[str, str]) -> str:
    """The parameters with each secret at its path.

    Args:
        parameters: JSON without white space around it.
        secrets: path to value. `db.#password` is a key in a key; `accounts.0.#token` is in the first item of a list.
            Keys that are not there are made, list items are not.

    Raises:
        UserError: (InvalidSpec) a path leads through something that is neither object nor list, or past a list's end.
    """
    edits = list(_edits(parameters, 0, _tree(secrets), ())) if secrets else []
    pieces, done = [], 0
    for begin, end, text in sorted(edits):
        pieces += [parameters[done:begin], text]
        done = end
    return "".join([*pieces, parameters[done:]])


def _tree(secrets: Mapping[str, str]) -> Tree:
    root: Tree = {}
    for path, value in secrets.items():
        *way, last = keys_of(path)
        place = root
        for number, key in enumerate(way):
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise _wrong(path, way[: number + 1], "a text")
        if isinstance(place.get(last), dict):
            raise UserError(
                f"the secret at `{path}` can't be inserted: other secrets go below it, so it is an object",
                Reason.INVALID_SPEC,
            )
        place[last] = value
    return root


Edit = tuple[int, int, str]
"""Begin and end of what is cut out, and what takes its place."""


def _edits(text: str, place: int, tree: Tree, way: tuple[str, ...]) -> Iterator[Edit]:
    kind = kind_at(text, place)
    if kind not in {"object", "list"}:
        shown = {"text": "a text", "number": "a number"}.get(kind, kind)
        raise _wrong(_path(way, tree), way, shown)
    there = list(entries(text, place))
    if kind == "list":
        _check_positions(tree, len(there), way)
        tree = {str(int(key)): value for key, value in tree.items()}
    left = dict(tree)
    for entry in there:
        if entry.key not in left:
            continue
        value = left.pop(entry.key)
        if isinstance(value, dict):
            yield from _edits(text, entry.begin, value, (*way, entry.key))
        else:
            yield entry.begin, entry.end, json.dumps(value, ensure_ascii=False)
    if left:
        behind = there[-1].end if there else place + 1
        made = [insertion(key, value, first=not there and not n) for n, (key, value) in enumerate(left.items())]
        yield behind, behind, "".join(made)


def _check_positions(tree: Tree, size: int, way: tuple[str, ...]) -> None:
    for key in tree:
        if key.isdecimal() and int(key) < size:
            continue
        found = f"a list of {size} items" if size else "an empty list"
        places = f" (0 to {size - 1})" if size else ""
        path, where = _path(way, {key: tree[key]}), ".".join(way) or "parameters"
        raise UserError(
            f"the secret at `{path}` can't be inserted: `{where}` is {found}, and `{key}` is none of their "
            f"positions{places}",
            Reason.INVALID_SPEC,
        )


def _path(way: tuple[str, ...], tree: Tree) -> str:
    """The path of the first secret in a tree that is found at the end of `way`."""
    keys = list(way)
    place: Any = tree
    while isinstance(place, dict):
        key = next(iter(place))
        keys.append(key)
        place = place[key]
    return ".".join(keys)


def _wrong(path: str, way: Any, found: str) -> UserError:
    where = ".".join(way) or "parameters"
    return UserError(
        f"the secret at `{path}` can't be inserted: `{where}` is {found}, expected an object or a list",
        Reason.INVALID_SPEC,
    )
