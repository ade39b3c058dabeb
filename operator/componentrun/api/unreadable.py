"""What is wrong with an object that the API server took and this release does not understand.

Its CRDs are of another release then, as after a rollback, or while the CRDs are upgraded before the operator: the API
server drops fields that its own schema does not know, and refuses values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from componentrun.api.problems import problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

__all__ = ["unknown_fields", "what_is_wrong"]

_UNKNOWN = "extra_forbidden"


def what_is_wrong(error: ValidationError) -> str:
    """The fields by their paths, each with what was expected of it."""
    return "; ".join(problems(error))


def unknown_fields(spec: type[BaseModel], document: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of the fields of a spec that this release does not know and that say something.

    To go on without them would do something else than was asked for. One that is false or empty says nothing: a newer
    CRD may have put it there as a default.
    """
    return tuple(_unknown(spec, document))


def _unknown(spec: type[BaseModel], document: Mapping[str, Any]) -> Iterator[str]:
    try:
        spec.model_validate(document, extra="forbid")
    except ValidationError as error:
        yield from (f"spec.{_path(item)}" for item in error.errors() if item["type"] == _UNKNOWN and item["input"])


def _path(item: ErrorDetails) -> str:
    return ".".join(str(part) for part in item["loc"])
