"""Settings of Python's garbage collector for a long-lived process with many short-lived objects."""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["spare_present_objects"]

_THRESHOLDS: Final = (10_000, 20, 20)
"""Net allocations until the youngest generation is collected (Python's default is 700), and collections of a generation
until the next older one is collected (10). Almost all objects are freed by their reference counts."""


def spare_present_objects() -> None:
    """Exclude all present objects from garbage collection, and collect less often.

    Call it once, when the process has started. Modules, classes and models are never garbage, but every full collection
    would visit all of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
