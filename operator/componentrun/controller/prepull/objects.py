"""Creates, changes and deletes the DaemonSets that keep images on nodes, by server-side apply."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.names import MANAGED_BY
from componentrun.controller.watching.cachekeys import Key
from componentrun.core.images.prepull import build_pod, build_policy_of
from componentrun.core.images.prepullstatus import PrePullProblem
from componentrun.process.kubernetes.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    QuotaExceededError,
)
from componentrun.process.kubernetes.exchange import STRICT
from componentrun.process.kubernetes.resources import DAEMON_SETS, NETWORK_POLICIES, PODS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from componentrun.controller.prepull.seen import PrePullsSeen
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.errors import KubeError

__all__ = ["REFUSALS", "PrePullObjects", "refusal"]

_log = logging.getLogger(__name__)

REFUSALS: Final = (ForbiddenError, InvalidError, QuotaExceededError)
"""Answers to the object itself, which the condition quotes."""
_SAME_AGAIN: Final = timedelta(minutes=1)
"""How often the same DaemonSet is applied at most: if somebody else insists on another one, this is no race."""


@dataclass(frozen=True, slots=True)
class _Applied:
    wanted: dict[str, Any]
    uid: str
    generation: int
    time: datetime


class PrePullObjects:
    """DaemonSets, each with a NetworkPolicy that it owns."""

    def __init__(self, kube: Kube, seen: PrePullsSeen, clock: Callable[[], datetime]) -> None:
        """`clock` returns the API server's time."""
        self._kube = kube
        self._seen = seen
        self._clock = clock
        self._applied: dict[Key, _Applied] = {}

    async def apply(self, wanted: dict[str, Any]) -> timedelta | None:
        """Create a DaemonSet, or bring it up to date. Nothing is sent if nobody has changed it since the last time.

        Returns:
            If it differs and was applied a moment ago: when to call this again.

        Raises:
            KubeError: one of `REFUSALS`, or the API server is unavailable.
        """
        key, now = Key.of(wanted), self._clock()
        last = self._applied.get(key)
        if last is not None and last.wanted == wanted:
            there = self._seen.daemon_set(key)
            metadata = there["metadata"] if there is not None else {}
            if (metadata.get("uid"), metadata.get("generation")) == (last.uid, last.generation):
                return None
            rest = last.time + _SAME_AGAIN - now
            if timedelta() < rest <= _SAME_AGAIN:
                return rest
        answer = await self._kube.apply(DAEMON_SETS, key.namespace, wanted, MANAGED_BY)
        await self._kube.apply(NETWORK_POLICIES, key.namespace, build_policy_of(answer), MANAGED_BY)
        self._seen.saw_daemon_set(answer)
        metadata = answer["metadata"]
        self._applied[key] = _Applied(wanted, metadata["uid"], metadata.get("generation", 0), now)
        self._forget_deleted(now)
        _log.info("DaemonSet %s applied", key)
        return None

    def _forget_deleted(self, now: datetime) -> None:
        """Forget DaemonSets that were deleted with their Components."""
        self._applied = {
            key: applied
            for key, applied in self._applied.items()
            if self._seen.daemon_set(key) is not None or now - applied.time < _SAME_AGAIN
        }

    async def delete(self, daemon_set: Mapping[str, Any]) -> None:
        """Delete a DaemonSet; its pods and its NetworkPolicy go with it.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        key, uid = Key.of(daemon_set), daemon_set["metadata"]["uid"]
        self._applied.pop(key, None)
        try:
            await self._kube.delete(DAEMON_SETS, key.namespace, key.name, uid)
        except (NotFoundError, ConflictError):  # it, or the one with this uid, is gone
            self._seen.lost_daemon_set(key, uid)
        else:
            _log.info("DaemonSet %s deleted", key)

    async def why_no_pods(self, daemon_set: Mapping[str, Any]) -> PrePullProblem | None:
        """Why the API server refuses the pods of a DaemonSet, by a dry run; None if it does not.

        The DaemonSet controller says so in Events only, which this operator may not read.

        Raises:
            KubeError: the API server is unavailable.
        """
        pod = build_pod(daemon_set)
        namespace = pod["metadata"]["namespace"]
        try:
            await self._kube.request("POST", PODS.path(namespace), query=STRICT | {"dryRun": "All"}, body=pod)
        except REFUSALS as error:
            return refusal(error)
        return None


def refusal(error: KubeError) -> PrePullProblem:
    """What the condition says about an object that the API server refuses, in its own words."""
    return PrePullProblem("Refused", f"refused: {error.document.get('message') or error.summary}")
