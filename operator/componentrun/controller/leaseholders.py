"""The holders of Leases, as one candidate of the leader election sees them.

Times are measured with the candidate's own clock, from the moment at which it saw that a Lease had changed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.lease.holder import HolderPod, has_ended
from componentrun.process.kubernetes.errors import KubeError, NotFoundError
from componentrun.process.kubernetes.resources import LEASES, PODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.core.lease.shard import Shard
    from componentrun.process.kubernetes.client import Kube

__all__ = ["DEFAULT_SECONDS", "LeaseHolders"]

_log = logging.getLogger(__name__)

DEFAULT_SECONDS: Final = 10.0
"""Duration of a Lease. Together with two polls, less than the 15 s within which a candidate must take over if it is
unknown whether the holder has ended."""


@dataclass(slots=True)
class _Record:
    """The part of a Lease that its holder changes at each renewal."""

    value: tuple[object, ...]
    seen_at: float
    """When the candidate saw it first."""
    has_ended: bool = False
    """Whether the holder has certainly ended."""


class LeaseHolders:
    """Finds out who holds a Lease of one namespace."""

    def __init__(self, kube: Kube, namespace: str, identity: str, clock: Callable[[], float]) -> None:
        """`identity` is that of the candidate, whose clock is `clock`."""
        self._kube, self._namespace, self._identity, self._clock = kube, namespace, identity, clock
        self._records: dict[str, _Record] = {}

    async def of(self, lease: dict[str, Any]) -> str:
        """Identity of the holder; empty if the Lease was released, was not renewed in time, or its holder has ended."""
        name, spec = str(lease["metadata"]["name"]), lease.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        value = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        record = self._records.get(name)
        if record is None or record.value != value:
            record = self._records[name] = _Record(value, self._clock())
        if holder in {"", self._identity}:
            return holder
        duration = float(spec.get("leaseDurationSeconds") or DEFAULT_SECONDS)
        if record.has_ended or self._clock() - record.seen_at >= duration:
            return ""
        record.has_ended = await self._has_ended(name, holder, spec)
        return "" if record.has_ended else holder

    async def of_another_division(self, base: str, shard: Shard) -> str:
        """Holder and name of a held Lease of the same operator with another number of shards; empty if there is none.

        Raises:
            KubeError: the API server refused or does not respond.
        """
        async for page in self._kube.pages(LEASES, self._namespace):
            for lease in page.items:
                name = str(lease["metadata"]["name"])
                if shard.is_of_another_division(base, name) and (holder := await self.of(lease)):
                    return f"{holder} with lease {name}"
        return ""

    async def _has_ended(self, lease: str, holder: str, spec: dict[str, Any]) -> bool:
        """Whether another candidate's process has certainly ended; False if that is unknown."""
        pod = HolderPod.of(holder)
        if pod is None:
            return False
        if pod == HolderPod.of(self._identity):
            # A container runs one process, so this one has replaced the holder's.
            _log.info("lease %s is free: its holder was the process before this one in the same container", lease)
            return True
        try:
            found: dict[str, Any] | None = await self._kube.get(PODS, self._namespace, pod.name)
        except NotFoundError:
            found = None
        except KubeError as error:
            _log.warning(
                "can't look up the pod of the holder of lease %s, so it has to run out: %s", lease, error.message
            )
            return False
        if not has_ended(pod, str(spec.get("acquireTime") or ""), found):
            return False
        _log.info("lease %s is free: its holder's pod %s %s", lease, pod.name, "has ended" if found else "is deleted")
        return True
