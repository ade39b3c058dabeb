"""Checks a document against JSON Schemas with jsonschema-rs.

Schemas are written by strangers. Regular expressions have a limit of backtracking steps, and no other document is
loaded. But a schema that refers to itself in two places, level by level, takes exponential time, so this runs in a
process that can be stopped.
"""

from __future__ import annotations

import itertools
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from componentrun.api.problems import found
from componentrun.contract import SECRET_KEY_PREFIX
from componentrun.core.schema.documents import MAX_SCHEMA_BYTES, MOST_SHOWN, CheckRequest, CheckResult, Mismatch, Schema
from componentrun.core.schema.words import expected
from componentrun.wire.documents import MAX_DEPTH, is_too_deep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["check"]

_BACKTRACK_LIMIT: Final = 100_000
_MOST_COUNTED: Final = 1_000
_KEPT: Final = 4
"""Compiled schemas to keep."""
_LONGEST_KEY: Final = 100
_LONGEST_PATH: Final = 500
_TYPES: Final = "one of `array`, `boolean`, `integer`, `null`, `number`, `object`, `string`"
_SECRET: Final = "a secret"  # noqa: S105 - a word, not a password


class _UnusableError(Exception):
    """The schema can't be used."""


def check(request: CheckRequest) -> CheckResult:
    """Check the schemas, and the document against each of them."""
    mismatches: list[Mismatch] = []
    try:
        for schema in request.schemas:
            validator = _validator(schema)
            if request.document is not None:
                mismatches += itertools.islice(_mismatches(validator, request), _MOST_COUNTED)
    except _UnusableError as error:
        return CheckResult(unusable=str(error))
    distinct = tuple(dict.fromkeys(mismatches))
    return CheckResult(mismatches=distinct[:MOST_SHOWN], more=max(len(distinct) - MOST_SHOWN, 0))


@lru_cache(_KEPT)
def _validator(schema: Schema) -> Any:
    """The compiled schema.

    Raises:
        _UnusableError: it is not a usable JSON Schema.
    """
    name = schema.name
    if (size := len(schema.text.encode(errors="surrogatepass"))) > MAX_SCHEMA_BYTES:
        raise _UnusableError(f"{name}: it has {size} bytes; expected at most {MAX_SCHEMA_BYTES}")
    try:
        document = json.loads(schema.text)
    except (ValueError, RecursionError) as error:
        raise _UnusableError(f"{name}: found text that is not JSON ({error}); expected a JSON Schema") from error
    if not isinstance(document, dict):
        raise _UnusableError(f"{name}: found {found(document)}; expected a JSON Schema, which is an object")
    if is_too_deep(document):
        raise _UnusableError(f"{name}: it is nested more than {MAX_DEPTH} levels deep")
    options = {
        "validate_formats": False,  # hints for forms
        "offline": True,
        "pattern_options": jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT),
    }
    compiled: Any = jsonschema_rs.validator_for if "$schema" in document else jsonschema_rs.Draft7Validator
    try:
        return compiled(document, **options)
    except jsonschema_rs.ValidationError as error:
        raise _UnusableError(_unusable(name, error)) from None
    except ValueError as error:
        raise _UnusableError(f"{name}: it can't be read as a JSON Schema: {error}") from None


def _unusable(name: str, error: Any) -> str:
    keyword, path = error.kind.name, list(error.instance_path)
    where = _joined(name, path)
    if keyword in {"referencing", "$ref"} or "error" in error.kind.as_dict():
        return f"{name}: it refers to what it does not contain: {str(error.message).splitlines()[0][:200]}"
    wanted = _TYPES if path and path[-1] == "type" else expected(keyword, error.kind.as_dict())
    if keyword == "format":
        wanted = "a regular expression"
    return f"{where}: found {found(error.instance)}, expected {wanted}; it is not a valid JSON Schema"


def _mismatches(validator: Any, request: CheckRequest) -> Iterator[Mismatch]:
    try:
        for error in validator.iter_errors(request.document):
            yield from _mismatch(error, request)
    except ValueError as error:  # such as: recursion limit reached
        raise _UnusableError(f"the schema can't be applied to the parameters: {error}") from None


def _mismatch(error: Any, request: CheckRequest) -> Iterator[Mismatch]:
    path, keyword, details = list(error.instance_path), str(error.kind.name), error.kind.as_dict()
    if keyword == "required" or (keyword == "dependencies" and "property" in details):
        yield Mismatch(_joined(request.root, [*path, details["property"]]), "nothing", "a value")
        return
    if "unexpected" in details:
        for key in details["unexpected"]:
            if isinstance(key, str) and isinstance(error.instance, dict):
                shown = _found(error.instance.get(key), [*path, key], request.hidden)
                yield Mismatch(_joined(request.root, [*path, key]), shown, "no such key")
        return
    yield Mismatch(
        _joined(request.root, path), _found(error.instance, path, request.hidden), expected(keyword, details)
    )


def _found(value: Any, path: Sequence[str | int], hidden: Sequence[tuple[str, ...]]) -> str:
    keys = tuple(str(part) for part in path)
    if any(key.startswith(SECRET_KEY_PREFIX) for key in keys) or any(keys[: len(other)] == other for other in hidden):
        return _SECRET
    if value is None:
        return "`null`"
    return found(value)


def _joined(root: str, path: Sequence[str | int]) -> str:
    """The path as text. Keys may have any length."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_cut(part, _LONGEST_KEY)}" for part in path)
    return _cut(root + "".join(parts), _LONGEST_PATH)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
