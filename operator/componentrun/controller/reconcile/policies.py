"""Creates or updates the NetworkPolicy of a class before a pod of that class is created.

A policy that was correct is not read again for a minute, so most runs need no request for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from componentrun.core.pod.networkpolicy import IPV4_ONLY, build_policy, policy_name
from componentrun.errors import Reason, TransientError
from componentrun.process.kubernetes.errors import AlreadyExistsError, ConflictError, NotFoundError
from componentrun.process.kubernetes.resources import NETWORK_POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from componentrun.api.component import Network
    from componentrun.api.storage import Storage
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.errors import KubeError

__all__ = ["Policies", "Resolver", "endpoint_of"]

log = logging.getLogger(__name__)

_TRUST_SECONDS: Final = 60.0
_RESOLVE_AGAIN_SECONDS: Final = 30.0
_KEEP_ADDRESS_SECONDS: Final = 24 * 3600.0
"""Seconds to keep addresses: a store may resolve to different ones each time, and running pods must keep access."""
_MOST_ADDRESSES: Final = 200
_PORTS: Final = {"http": 80, "https": 443}


def endpoint_of(base_url: str) -> tuple[str, int]:
    """Host and port of a store's URL."""
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)


@dataclass(slots=True)
class _Addresses:
    resolved_at: float = float("-inf")
    seen: dict[str, float] = field(default_factory=dict)


class Resolver:
    """Resolves host names. Keeps addresses for a day, because some stores resolve to different ones each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Resolve nothing yet."""
        self._clock = clock
        self._hosts: dict[tuple[str, int], _Addresses] = {}

    async def resolve(self, host: str, port: int) -> tuple[tuple[str, int], ...]:
        """All addresses, sorted.

        Raises:
            TransientError: the name can't be resolved now.
        """
        entry = self._hosts.setdefault((host, port), _Addresses())
        now = self._clock()
        if now - entry.resolved_at >= _RESOLVE_AGAIN_SECONDS:
            for address in await _look_up(host, port):
                entry.seen[address] = now
            entry.resolved_at = now
            newest = sorted(entry.seen.items(), key=lambda item: -item[1])[:_MOST_ADDRESSES]
            entry.seen = {address: moment for address, moment in newest if now - moment < _KEEP_ADDRESS_SECONDS}
        return tuple((address, port) for address in sorted(entry.seen))


async def _look_up(host: str, port: int) -> set[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(
            f"the store's name `{host}` can't be resolved, so the pod's network policy can't allow it ({error})",
            Reason.STORAGE_UNAVAILABLE,
            advice="Correct the Storage's endpoint, or set its `egress` rules.",
        ) from error
    return {str(item[4][0]) for item in found}


class Policies:
    """Creates NetworkPolicies and keeps them up to date."""

    def __init__(
        self,
        kube: Kube,
        resolver: Resolver,
        dns_cidrs: Sequence[str] = (),
        ip_versions: Collection[int] = IPV4_ONLY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Pods have addresses of `ip_versions`, and may send DNS queries to `dns_cidrs`, too."""
        self._kube = kube
        self._resolver = resolver
        self._dns_cidrs = tuple(dns_cidrs)
        self._ip_versions = ip_versions
        self._clock = clock
        self._right: dict[tuple[str, str], tuple[str, float]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def ensure(self, network: Network, storage: Storage, base_url: str) -> None:
        """Create or update the policy of this class.

        Args:
            network: what the run may reach.
            storage: the run's Storage, which owns the policy.
            base_url: URL of its store.

        Raises:
            TransientError: the store's name can't be resolved, the API server does not respond, or another client keeps
                changing or deleting the policy.
            KubeError: the API server refused.
        """
        addresses = () if storage.spec.egress else await self._resolver.resolve(*endpoint_of(base_url))
        wanted = build_policy(
            network,
            storage,
            store_addresses=addresses,
            dns_cidrs=self._dns_cidrs,
            ip_versions=self._ip_versions,
        )
        key = (storage.metadata.namespace, policy_name(network, storage.metadata.name))
        text = json.dumps(wanted, sort_keys=True)
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._right.get(key)
            if known is not None and known[0] == text and self._clock() - known[1] < _TRUST_SECONDS:
                return
            await self._apply(*key, wanted)
            self._right[key] = (text, self._clock())

    async def _apply(self, namespace: str, name: str, wanted: dict[str, Any]) -> None:
        try:
            there = await self._kube.get(NETWORK_POLICIES, namespace, name)
        except NotFoundError:
            taken = await self._create(namespace, name, wanted)
            if taken is None:
                return
            there = taken
        owners = wanted["metadata"].get("ownerReferences", [])
        if (
            _plain(there.get("spec")) != _plain(wanted["spec"])
            or there["metadata"].get("ownerReferences", []) != owners
        ):
            change = {"metadata": {"ownerReferences": owners}, "spec": wanted["spec"]}
            try:
                await self._kube.patch(NETWORK_POLICIES, namespace, name, change)
            except (ConflictError, NotFoundError) as error:
                raise _others_change(name, error) from error
            log.info("network policy %s/%s brought up to date", namespace, name)

    async def _create(self, namespace: str, name: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
        """Create the policy. Returns the existing one if another client was faster."""
        try:
            await self._kube.create(NETWORK_POLICIES, namespace, wanted)
        except AlreadyExistsError:
            log.debug("network policy %s/%s was made by somebody else just now", namespace, name)
        else:
            log.info("network policy %s/%s created", namespace, name)
            return None
        try:
            return await self._kube.get(NETWORK_POLICIES, namespace, name)
        except NotFoundError as error:
            raise _others_change(name, error) from error


def _others_change(name: str, error: KubeError) -> TransientError:
    """The error if others change the policy: the garbage collector may delete that of an earlier Storage."""
    return TransientError(f"others change network policy `{name}` just now: {error.message}")


def _plain(value: Any) -> Any:
    """A copy without empty lists and objects, which the API server drops."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item not in ([], {})}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
