"""What pods may reach. Pods that may reach the same share a class and one NetworkPolicy: runs are many, classes few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.component import Network
    from componentrun.api.storage import Storage

__all__ = ["build_policy", "network_class", "policy_name"]


def network_class(network: Network, storage_name: str) -> str:
    """Value of the class label: a hash of what may be reached. Addresses of the store are not part of it: they may change."""
    raise NotImplementedError


def policy_name(network: Network, storage_name: str) -> str:
    """Name of the class's NetworkPolicy."""
    raise NotImplementedError


def build_policy(
    network: Network,
    storage: Storage,
    *,
    store_addresses: Sequence[tuple[str, int]] = (),
    dns_cidrs: Sequence[str] = (),
) -> dict[str, Any]:
    """The NetworkPolicy of a class, owned by the Storage.

    Args:
        network: what the run may reach.
        storage: the store, whose `spec.egress` rules are taken as they are.
        store_addresses: IP and port of the store, resolved by the caller; used where the Storage gives no rules.
        dns_cidrs: further resolvers, e.g. `169.254.20.10/32` for a node-local cache.
    """
    raise NotImplementedError
