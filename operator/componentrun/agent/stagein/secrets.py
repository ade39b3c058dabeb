"""Inserts secrets into the parameters of config.json. Pure; messages never contain the values.

The text of the parameters is not reformatted: a secret replaces the value at its path, or is appended to its object
as a new key.
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
"""Maps a key to a secret, or to another tree."""


def with_secrets(parameters: str, secrets: Mapping[str, str]) -> str:
    """Insert each secret into the parameters at its path.

    Args:
        parameters: JSON without white space around it.
        secrets: path to value. `db.#password` is a nested key; `accounts.0.#token` is in the first item of a list.
            Missing keys are added; missing list items are not.

    Raises:
        UserError: (InvalidSpec) a path leads through a value that is neither object nor list, or past a list's end.
    """
    edits = list(_edits(parameters, 0, _tree(secrets), ())) if secrets else []
    pieces, position = [], 0
    for begin, end, text in sorted(edits):
        pieces += [parameters[position:begin], text]
        position = end
    return "".join([*pieces, parameters[position:]])


def _tree(secrets: Mapping[str, str]) -> Tree:
    root: Tree = {}
    for path, value in secrets.items():
        *parents, last = keys_of(path)
        place = root
        for number, key in enumerate(parents):
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise _wrong(path, parents[: number + 1], "a text")
        if isinstance(place.get(last), dict):
            raise UserError(
                f"the secret at `{path}` can't be inserted: other secrets go below it, so it is an object",
                Reason.INVALID_SPEC,
            )
        place[last] = value
    return root


Edit = tuple[int, int, str]
"""Start and end of the text to replace, and its replacement."""


def _edits(text: str, place: int, tree: Tree, parents: tuple[str, ...]) -> Iterator[Edit]:
    kind = kind_at(text, place)
    if kind not in {"object", "list"}:
        kind_name = {"text": "a text", "number": "a number"}.get(kind, kind)
        raise _wrong(_path(parents, tree), parents, kind_name)
    items = list(entries(text, place))
    if kind == "list":
        _check_positions(tree, len(items), parents)
        tree = {str(int(key)): value for key, value in tree.items()}
    missing = dict(tree)
    for entry in items:
        if entry.key not in missing:
            continue
        value = missing.pop(entry.key)
        if isinstance(value, dict):
            yield from _edits(text, entry.begin, value, (*parents, entry.key))
        else:
            yield entry.begin, entry.end, json.dumps(value, ensure_ascii=False)
    if missing:
        end = items[-1].end if items else place + 1
        insertions = [
            insertion(key, value, first=not items and not n) for n, (key, value) in enumerate(missing.items())
        ]
        yield end, end, "".join(insertions)


def _check_positions(tree: Tree, size: int, parents: tuple[str, ...]) -> None:
    for key in tree:
        if key.isdecimal() and int(key) < size:
            continue
        container = f"a list of {size} items" if size else "an empty list"
        places = f" (0 to {size - 1})" if size else ""
        path, where = _path(parents, {key: tree[key]}), ".".join(parents) or "parameters"
        raise UserError(
            f"the secret at `{path}` can't be inserted: `{where}` is {container}, and `{key}` is not one of "
            f"their positions{places}",
            Reason.INVALID_SPEC,
        )


def _path(parents: tuple[str, ...], tree: Tree) -> str:
    """The path of the first secret in a tree, below the path `parents`."""
    keys = list(parents)
    place: Any = tree
    while isinstance(place, dict):
        key = next(iter(place))
        keys.append(key)
        place = place[key]
    return ".".join(keys)


def _wrong(path: str, parents: Any, kind: str) -> UserError:
    where = ".".join(parents) or "parameters"
    return UserError(
        f"the secret at `{path}` can't be inserted: `{where}` is {kind}, expected an object or a list",
        Reason.INVALID_SPEC,
    )
