"""Which of several operators works: the holder of a Lease, as `leader-election` of client-go has it.

The others stand by. One of them takes the Lease when its record has not changed for its whole duration on the
candidate's own clock, as when the holder's node is lost. It does not wait for that if the process of the holder has
certainly ended: its pod is deleted, or its container has ended (`core.lease.holder`).

Two processes that both believe that they hold the Lease do no harm: every write names the version that it was decided
on, and the loader publishes a run once. The Lease only saves doing the same work twice.

Clocks of different machines are never compared.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.lease.holder import HolderPod, has_ended
from componentrun.errors import PlatformError
from componentrun.process.kubernetes.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from componentrun.process.kubernetes.resources import LEASES, PODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.process.kubernetes.client import Kube

__all__ = ["DEFAULT_SECONDS", "Lease", "LeaseSettings", "LostError"]

_log = logging.getLogger(__name__)

DEFAULT_SECONDS: Final = 10.0
"""With two looks of those that wait, less than the 15 s within which one of them is to go on if nobody can say whether
the holder has ended."""
_LOOK_SECONDS: Final = 1.0
_LOOKS: Final = 3
"""How often the Lease is read before a look is given up, where each write conflicts."""
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class LostError(PlatformError):
    """The Lease could not be renewed in time; another one may hold it now."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Which Lease, and for how long."""

    namespace: str
    name: str
    seconds: float = DEFAULT_SECONDS
    """How long the others wait after the last renewal."""
    pod: HolderPod | None = None
    """The pod of this candidate, in the Lease's namespace; None if it is not known, so that the others always wait."""

    @property
    def renew_every(self) -> float:
        """Pause between renewals."""
        return self.seconds / 6

    @property
    def look_every(self) -> float:
        """Pause between looks of those that wait: what is given back is taken within it."""
        return min(_LOOK_SECONDS, self.renew_every)

    @property
    def give_up_after(self) -> float:
        """How long renewals may fail before the holder stops: well before the others begin."""
        return self.seconds * 2 / 3


class Lease:
    """One candidate."""

    def __init__(
        self, kube: Kube, settings: LeaseSettings, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`identity` tells candidates apart, also across restarts; it may name the pod (`HolderPod.identity`)."""
        self._kube = kube
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._seen: tuple[object, ...] = ()
        self._seen_at = float("-inf")
        self._renewed_at = float("-inf")
        """When the last renewal was sent; others may count from then, however late its answer comes."""

    async def acquire(self) -> None:
        """Return when we hold the Lease; ask again and again until then."""
        told = ""
        while True:
            asked_at = self._clock()
            try:
                holder = await self.try_once()
            except KubeError as error:
                _log.warning("asking for the lease failed: %s", error.message)
                holder = None
            if holder == self._identity:
                self._renewed_at = asked_at
                _log.info("holds the lease %s/%s", self._settings.namespace, self._settings.name)
                return
            if holder and holder != told:
                _log.info("stands by: %s holds the lease %s", holder, self._settings.name)
                told = holder
            await asyncio.sleep(self._settings.look_every)

    async def hold(self) -> None:
        """Renew the Lease that was acquired, for as long as that works.

        Raises:
            LostError: it could not be renewed in time, or somebody else has it.
        """
        while True:
            await asyncio.sleep(self._settings.renew_every)
            asked_at = self._clock()
            left = self._settings.give_up_after - (asked_at - self._renewed_at)
            try:
                async with asyncio.timeout(max(left, 0.001)):
                    holder = await self.try_once()
            except (KubeError, TimeoutError) as error:
                _log.warning("renewing the lease failed: %s", error)
                if self._clock() - self._renewed_at >= self._settings.give_up_after:
                    raise LostError("the lease could not be renewed in time; the operator starts again") from error
                continue
            if holder != self._identity:
                raise LostError(f"the lease is held by {holder} now; the operator starts again")
            self._renewed_at = asked_at

    async def release(self) -> None:
        """Give the Lease back, so that another one need not wait. Only for a holder whose work is done."""
        try:
            for _ in range(_LOOKS):
                there = await self._read()
                if there["spec"].get("holderIdentity") != self._identity:
                    return
                if await self._write(there, {"holderIdentity": "", "leaseDurationSeconds": 1}):
                    return
        except KubeError as error:
            _log.info("the lease was not given back: %s; it runs out by itself", error.message)

    async def try_once(self) -> str:
        """Take the Lease or renew it where that is allowed; who holds it then, empty where nobody does.

        A write that conflicts says only that the Lease has changed: by somebody who edited its labels, or by this very
        write, whose answer was lost and which the client repeated. So the Lease is read again, and says who holds it.

        Raises:
            KubeError: the API server refused or is away, or the Lease changes all the time.
        """
        for _ in range(_LOOKS):
            try:
                there = await self._read()
            except NotFoundError:
                if await self._create():
                    return self._identity
                continue
            holder = self._holder(there)
            if holder not in {"", self._identity} and not await self._has_ended(holder, there["spec"]):
                return holder
            if await self._write(there, self._claim(there["spec"])):
                return self._identity
        raise ConflictError(f"the lease {self._settings.name} was changed by others {_LOOKS} times in a row")

    def _holder(self, there: dict[str, Any]) -> str:
        """Who holds the Lease that was read; empty where it was given back, or not renewed for its duration."""
        spec = there.setdefault("spec", {})
        holder = str(spec.get("holderIdentity") or "")
        record = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._seen:
            self._seen, self._seen_at = record, self._clock()
        duration = float(spec.get("leaseDurationSeconds") or self._settings.seconds)
        return holder if holder == self._identity or self._clock() - self._seen_at < duration else ""

    async def _has_ended(self, holder: str, spec: dict[str, Any]) -> bool:
        """Whether another candidate's process has certainly ended; if nothing can be found out, it has not."""
        pod = HolderPod.of(holder)
        if pod is None:
            return False
        if pod == HolderPod.of(self._identity):
            # A container runs one process, so ours took the place of the holder's.
            _log.info("takes the lease over: its holder was the process before this one in the same container")
            return True
        try:
            found: dict[str, Any] | None = await self._kube.get(PODS, self._settings.namespace, pod.name)
        except NotFoundError:
            found = None
        except KubeError as error:
            _log.warning("can't look up the pod of the lease's holder, so its lease has to run out: %s", error.message)
            return False
        if not has_ended(pod, str(spec.get("acquireTime") or ""), found):
            return False
        _log.info("takes the lease over: pod %s, its holder's, %s", pod.name, "has ended" if found else "is deleted")
        return True

    def _claim(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What to write to hold the Lease from now on."""
        change: dict[str, Any] = {"holderIdentity": self._identity, "renewTime": _now()}
        if spec.get("holderIdentity") != self._identity:
            transitions = int(spec.get("leaseTransitions") or 0) + 1
            change |= {"acquireTime": _now(), "leaseTransitions": transitions}
        change["leaseDurationSeconds"] = round(self._settings.seconds)
        return change

    async def _create(self) -> bool:
        """Whether it was created; if not, it exists by now."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._settings.name, "namespace": self._settings.namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": round(self._settings.seconds),
                "acquireTime": _now(),
                "renewTime": _now(),
                "leaseTransitions": 0,
            },
        }
        try:
            await self._kube.create(LEASES, self._settings.namespace, body)
        except AlreadyExistsError:
            return False
        return True

    async def _read(self) -> dict[str, Any]:
        return await self._kube.get(LEASES, self._settings.namespace, self._settings.name)

    async def _write(self, there: dict[str, Any], spec: dict[str, Any]) -> bool:
        """Whether it was written; if not, the Lease has changed since it was read."""
        version = there["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        try:
            await self._kube.patch(LEASES, self._settings.namespace, self._settings.name, body)
        except ConflictError:
            return False
        return True


def _now() -> str:
    return datetime.now(UTC).strftime(_TIME)
