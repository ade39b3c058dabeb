"""What is wrong with an object that the API server took and this release can't read, e.g. a negative quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.api.problems import problems

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["what_is_wrong"]


def what_is_wrong(error: ValidationError) -> str:
    """The fields by their paths, each with what was expected of it."""
    return "; ".join(problems(error))
