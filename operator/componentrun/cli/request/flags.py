"""Parsers of `submit`'s flags. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from componentrun.cli.errors import BadRequestError
from componentrun.contract import SECRET_KEY_PREFIX

__all__ = ["input_table", "output_table", "pair", "parameters_from", "secret", "set_parameter"]

_TABLE: Final = re.compile(r"(in|out)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_DOT: Final = re.compile(r"(?<!\\)\.")
_OPTIONS: Final = {
    "incremental": ("incremental", True),
    "full": ("incremental", False),
    "write-always": ("writeAlways", True),
}


def pair(flag: str, text: str) -> tuple[str, str]:
    """`key=value`."""
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise BadRequestError(f"`{flag} {text}`: expected `KEY=VALUE`", f"For example: `{flag} limit=10`.")
    return key, value


def set_parameter(parameters: dict[str, Any], text: str) -> None:
    r"""Put `a.b.c=value` into the parameters. The value is JSON where it is JSON; `\.` is a dot of a key's own."""
    path, value = pair("--param", text)
    keys = [key.replace("\\.", ".") for key in _DOT.split(path)]
    if "" in keys:
        raise BadRequestError(
            f"`--param {text}`: the key `{path}` has an empty part", "Write `a.b=1`, and `a\\.b=1` for a dot in a key."
        )
    if any(key.startswith(SECRET_KEY_PREFIX) for key in keys):
        raise BadRequestError(
            f"`--param {path}=...`: a key with `#` is a secret, and whoever may read the run would read it",
            f"Put it into a Secret and write `--secret '{path}=SECRET/KEY'`.",
        )
    inner = parameters
    for i, key in enumerate(keys[:-1]):
        # A copy: the object may be one that was read from a file.
        inner[key] = (
            dict(inner[key]) if isinstance(inner.get(key), dict) else _fresh(inner, key, ".".join(keys[: i + 1]), text)
        )
        inner = inner[key]
    inner[keys[-1]] = _value(value)


def _fresh(inner: dict[str, Any], key: str, path: str, text: str) -> dict[str, Any]:
    if key in inner:
        raise BadRequestError(
            f"`--param {text}`: `{path}` is {json.dumps(inner[key])} already, not an object", "Remove one of the two."
        )
    return {}


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text
    except RecursionError as error:
        raise BadRequestError("a value of `--param` is nested too deep to be read", "Pass it as text.") from error


def _no_constant(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are not JSON: they are text here


def secret(text: str) -> dict[str, Any]:
    """`db.#password=SECRET/KEY`."""
    path, reference = pair("--secret", text)
    name, mark, key = reference.partition("/")
    if not (mark and name and key):
        raise BadRequestError(
            f"`--secret {text}`: found no key in `{reference}`; expected `PATH=SECRET/KEY`",
            "For example: `--secret 'db.#password=db-login/password'` (path, name of the Secret, its key).",
        )
    return {"path": path, "secretKeyRef": {"name": name, "key": key}}


def parameters_from(text: str) -> dict[str, Any]:
    """`CONFIGMAP/KEY`."""
    name, mark, key = text.partition("/")
    if not (mark and name and key):
        raise BadRequestError(
            f"`--parameters-from {text}`: expected `CONFIGMAP/KEY`",
            "For example: `--parameters-from big/parameters.json`.",
        )
    return {"configMapKeyRef": {"name": name, "key": key}}


def input_table(text: str) -> dict[str, Any]:
    """`in.c-main.foo[:foo.csv]`, or the key of a plain object: `files/foo.csv[:foo.csv]`."""
    source, _, destination = text.rpartition(":")
    if not source or "/" in destination:  # no colon at all, or one inside a key
        source, destination = text, ""
    if _TABLE.fullmatch(source):
        table: dict[str, Any] = {"source": source}
    elif "/" in source:
        table = {"object": source}
    else:
        raise BadRequestError(
            f"`--input {text}`: `{source}` is neither a table (`in.c-main.foo`) nor an object (`files/foo.csv`)",
            "`componentrun table ls` lists the tables.",
        )
    return table | ({"destination": destination} if destination else {})


def output_table(text: str) -> dict[str, Any]:
    """`bar.csv:out.c-main.bar[:incremental,write-always]`."""
    source, _, remainder = text.partition(":")
    destination, _, words = remainder.partition(":")
    if not source or not _TABLE.fullmatch(destination):
        raise BadRequestError(
            f"`--output {text}`: found `{destination}` for a table; expected `FILE:TABLE`",
            "For example: `--output bar.csv:out.c-main.bar`, with `:incremental` behind it to add rows.",
        )
    table: dict[str, Any] = {"source": source, "destination": destination}
    for word in filter(None, words.split(",")):
        if word not in _OPTIONS:
            raise BadRequestError(
                f"`--output {text}`: `{word}` is not one of {', '.join(f'`{option}`' for option in _OPTIONS)}",
                "Remove it.",
            )
        key, value = _OPTIONS[word]
        table[key] = value
    return table
