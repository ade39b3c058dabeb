"""The holder of a Lease as a process in a pod: its identity, and whether the process has certainly ended.

The identity names the pod by name and uid: `<pod name>_<pod uid>_<process>`. No `_` can be part of a pod's name or uid.
An identity of any other form does not name a pod, and such a holder never counts as ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CONTAINER", "HolderPod", "has_ended"]

CONTAINER: Final = "operator"
"""Name of the operator's container. Each container runs one process."""
_ENDED: Final = ("Succeeded", "Failed")


class HolderPod(NamedTuple):
    """The pod in which a holder runs."""

    name: str
    uid: str

    def identity(self, process: str) -> str:
        """Identity of a process in this pod."""
        return f"{self.name}_{self.uid}_{process}"

    @classmethod
    def of(cls, identity: str) -> Self | None:
        """The pod that an identity names; None if it names none."""
        parts = identity.split("_")
        return cls(parts[0], parts[1]) if len(parts) == 3 and all(parts) else None  # noqa: PLR2004 - see the module


def has_ended(holder: HolderPod, acquired: str, pod: Mapping[str, Any] | None) -> bool:
    """Whether the process that acquired the Lease has certainly ended.

    Only one instance of the container runs at a time. So if one ended or started after the Lease was acquired, the
    holder's instance has ended. Both times come from the holder's node: `acquireTime` from its clock, and the times of
    containers from its kubelet.

    Args:
        holder: the pod that the holder's identity names.
        acquired: the Lease's `acquireTime`.
        pod: the current state of the pod with that name; None if it does not exist.
    """
    if pod is None or _dict(pod, "metadata").get("uid") != holder.uid:
        return True
    status = _dict(pod, "status")
    if status.get("phase") in _ENDED:
        return True
    since = _time(acquired)
    return since is not None and any(time > since for time in _changes(status))


def _changes(status: Mapping[str, Any]) -> Iterator[datetime]:
    """When instances of the operator's container ended, and when the current one started.

    The API reports whole seconds, rounded down, so a time is never later than the actual event.
    """
    statuses = status.get("containerStatuses")
    for item in statuses if isinstance(statuses, list) else []:
        if not isinstance(item, dict) or item.get("name") != CONTAINER:
            continue
        now, before = _dict(item, "state"), _dict(item, "lastState")
        for text in (
            _dict(now, "running").get("startedAt"),
            _dict(now, "terminated").get("finishedAt"),
            _dict(before, "terminated").get("finishedAt"),
        ):
            time = _time(text)
            if time is not None:
                yield time


def _dict(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _time(text: Any) -> datetime | None:
    """Parse a time with a time zone; None for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo is not None else None
