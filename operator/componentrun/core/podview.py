"""From a pod's raw JSON to the facts that decisions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from componentrun.core.observed import PodView

__all__ = ["read_pod"]


def read_pod(obj: dict[str, Any], *, gone: bool = False) -> PodView:
    """Sort a pod's status once. Total: a field that is missing or of an unknown shape reads as not there.

    Args:
        obj: the pod as the API server sends it (camelCase JSON).
        gone: whether this came with a DELETED event.
    """
    raise NotImplementedError
