"""Leader election by a Lease, like `leaderelection` of client-go.

Standby candidates poll the Lease. One of them takes it if its record has not changed for the whole duration, measured
with the candidate's own clock; that happens when the holder's node is lost. It takes the Lease at once if the holder's
process has certainly ended, because its pod was deleted or its container has ended (`core.lease.holder`).

Two processes that both believe that they hold the Lease do no harm: every write contains the version that it is based
on, and the loader publishes a run only once. The Lease only avoids duplicate work.

With several shards, each has its own Lease. A candidate takes no Lease while one of another number of shards is held
(`core.lease.shard`): that operator still owns some of the same namespaces.

Clocks of different machines are never compared.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final

from componentrun.controller.leaseholders import DEFAULT_SECONDS, LeaseHolders
from componentrun.core.lease.shard import WHOLE, Shard
from componentrun.errors import PlatformError
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    KubeError,
    NotFoundError,
    UnavailableError,
)
from componentrun.process.kubernetes.resources import LEASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.core.lease.holder import HolderPod
    from componentrun.process.kubernetes.client import Kube

__all__ = ["DEFAULT_SECONDS", "Lease", "LeaseSettings", "LostError"]

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_LOOKS: Final = 3
"""Maximum attempts to read and write the Lease if writes conflict."""
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class LostError(PlatformError):
    """The Lease could not be renewed in time; another candidate may hold it now."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Settings of leader election."""

    namespace: str
    base: str
    """The part that the names of the Leases of all shards begin with; the whole name if there is one shard."""
    seconds: float = DEFAULT_SECONDS
    """Seconds that other candidates wait after the last renewal."""
    pod: HolderPod | None = None
    """The pod of this candidate, in the Lease's namespace. If None, the others always wait."""
    shard: Shard = WHOLE

    @property
    def name(self) -> str:
        """Name of the Lease."""
        return self.shard.lease_name(self.base)

    @property
    def renew_every(self) -> float:
        """Seconds between renewals."""
        return self.seconds / 6

    @property
    def look_every(self) -> float:
        """Seconds between polls of a standby; a released Lease is taken within this time."""
        return min(_LOOK_SECONDS, self.renew_every)

    @property
    def give_up_after(self) -> float:
        """Seconds for which renewals may fail before the holder stops, well before others take over."""
        return self.seconds * 2 / 3


class Lease:
    """One candidate of the leader election."""

    def __init__(
        self,
        kube: Kube,
        settings: LeaseSettings,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        """`identity` is unique for each candidate and start; it may name the pod (`HolderPod.identity`)."""
        self._kube = kube
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - no secret
        self._holders = LeaseHolders(kube, settings.namespace, identity, clock)
        self._renewed_at = float("-inf")
        """When the last successful renewal was sent. Others may count from then, however late its response arrives."""

    async def acquire(self) -> None:
        """Poll until this candidate holds the Lease, and nobody holds one of another number of shards."""
        logged = ""
        while True:
            asked_at = self._clock()
            try:
                holder = await self.try_once()
                if holder == self._identity and (other := await self._of_another_division()):
                    # Both were free when both candidates looked. One of them finds both free at its next look.
                    await self.release()
                    holder = other
            except KubeError as error:
                _log.warning("asking for the lease failed: %s", error.message)
                holder = None
            if holder == self._identity:
                self._renewed_at = asked_at
                _log.info("holds the lease %s/%s", self._settings.namespace, self._settings.name)
                return
            if holder and holder != logged:
                _log.info("on standby for lease %s, waiting for %s", self._settings.name, holder)
                logged = holder
            await asyncio.sleep(self._settings.look_every * self._random.uniform(0.8, 1.0))

    async def hold(self) -> None:
        """Renew the acquired Lease until that fails.

        Raises:
            LostError: the Lease could not be renewed in time, or another candidate holds it.
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
                    raise LostError("the lease could not be renewed in time; the operator restarts") from error
                continue
            if holder != self._identity:
                raise LostError(f"the lease is held by {holder} now; the operator restarts")
            self._renewed_at = asked_at

    async def release(self) -> None:
        """Release the Lease, so that other candidates need not wait. Call it only after all work has ended."""
        try:
            for _ in range(_LOOKS):
                there = await self._read()
                if there is None or (there.get("spec") or {}).get("holderIdentity") != self._identity:
                    return
                if await self._write(there, {"holderIdentity": "", "leaseDurationSeconds": 1}):
                    return
        except KubeError as error:
            _log.info("the lease was not given back: %s; it runs out by itself", error.message)

    async def try_once(self) -> str:
        """Take or renew the Lease if allowed. Returns the holder, which may hold a Lease of another number of shards.

        A conflict only means that the Lease has changed: its labels may have been edited, or the response to this write
        was lost and the client repeated it. So the Lease is read again to find its holder, and likewise if no response
        to the write arrived.

        Raises:
            KubeError: the API server refused or does not respond, or the Lease keeps changing.
        """
        claimed = ""
        for _ in range(_LOOKS):
            there = await self._read()
            holder = "" if there is None else await self._holders.of(there)
            if holder not in {"", self._identity}:
                return holder
            if not holder and (other := await self._of_another_division()):
                return other
            if there is None:
                if await self._create():
                    return self._identity
                continue
            spec = there.get("spec") or {}
            if holder and claimed and spec.get("renewTime") == claimed:
                return holder
            claim = self._claim(spec)
            claimed = claim["renewTime"]
            if await self._write(there, claim):
                return self._identity
        raise ConflictError(f"the lease {self._settings.name} was changed by others {_LOOKS} times in a row")

    async def _of_another_division(self) -> str:
        return await self._holders.of_another_division(self._settings.base, self._settings.shard)

    def _claim(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The spec that makes this candidate the holder."""
        change: dict[str, Any] = {"holderIdentity": self._identity, "renewTime": _now()}
        if spec.get("holderIdentity") != self._identity:
            transitions = int(spec.get("leaseTransitions") or 0) + 1
            change |= {"acquireTime": _now(), "leaseTransitions": transitions}
        change["leaseDurationSeconds"] = round(self._settings.seconds)
        return change

    async def _create(self) -> bool:
        """Create the Lease. Returns False if it exists already."""
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

    async def _read(self) -> dict[str, Any] | None:
        """The Lease; None if there is none yet."""
        try:
            return await self._kube.get(LEASES, self._settings.namespace, self._settings.name)
        except NotFoundError:
            return None

    async def _write(self, there: dict[str, Any], spec: dict[str, Any]) -> bool:
        """Write the Lease. Returns False if it has changed since it was read, or if that is unknown."""
        version = there["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        try:
            await self._kube.patch(LEASES, self._settings.namespace, self._settings.name, body)
        except ConflictError:
            return False
        except UnavailableError as error:
            if not error.may_be_done:
                raise
            return False
        return True


def _now() -> str:
    return datetime.now(UTC).strftime(_TIME)
