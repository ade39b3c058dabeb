"""NetworkPolicies of pods. Pods with the same network access share a class and its NetworkPolicy, to keep them few."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.common import API_VERSION
from componentrun.core.request.network import FORBIDDEN_BLOCKS, PRIVATE_BLOCKS, inside
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from componentrun.api.component import Network
    from componentrun.api.storage import Storage
    from componentrun.core.request.network import Block

__all__ = ["IPV4_ONLY", "build_policy", "build_spark_policy", "network_class", "policy_name"]

IPV4_ONLY: Final = frozenset({4})
"""The IP versions of a cluster without IPv6."""

_CLASS_LENGTH: Final = 16
_EVERYWHERE: Final[tuple[Block, ...]] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_DNS_PORTS: Final = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
_CLUSTER_DNS: Final = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


def network_class(network: Network, storage_name: str) -> str:
    """Value of the class label: a hash of the network access.

    The hash does not include the store's addresses. If they change, the policy of the class is updated.
    """
    rules = sorted((rule.cidr, rule.port or 0) for rule in network.egress)
    text = json.dumps([network.mode, rules, storage_name])
    return hashlib.sha256(text.encode()).hexdigest()[:_CLASS_LENGTH]


def policy_name(network: Network, storage_name: str) -> str:
    """Name of the class's NetworkPolicy."""
    return f"{names.MANAGED_BY}-{network_class(network, storage_name)}"


def build_policy(
    network: Network,
    storage: Storage,
    *,
    store_addresses: Sequence[tuple[str, int]] = (),
    dns_cidrs: Sequence[str] = (),
    ip_versions: Collection[int] = IPV4_ONLY,
) -> dict[str, Any]:
    """Build the NetworkPolicy of a class, owned by the Storage. It denies all ingress, and allows the listed egress.

    Args:
        network: network access of the run, as in `EffectiveRun.network`.
        storage: the Storage. Its `spec.egress` rules are used unchanged.
        store_addresses: IP addresses and ports of the store, resolved by the caller; used if the Storage has no rules.
        dns_cidrs: additional resolvers, such as `169.254.20.10/32` for a node-local cache.
        ip_versions: IP versions of the pods' addresses: 4, 6 or both. Blocks of another version are omitted, because
            they have no effect, and kube-router was seen to stop enforcing all policies of a cluster because of one.

    Raises:
        UserError: (InvalidSpec) the store's name resolves only to forbidden addresses.
    """
    name = storage.metadata.name
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": policy_name(network, name),
            "namespace": storage.metadata.namespace,
            "labels": {
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
                names.NETWORK_CLASS_LABEL: network_class(network, name),
            },
            "ownerReferences": [_owner(storage)],
        },
        "spec": {
            "podSelector": {"matchLabels": {names.NETWORK_CLASS_LABEL: network_class(network, name)}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [_dns(dns_cidrs), *_store(storage, store_addresses), *_component(network, ip_versions)],
        },
    }


def build_spark_policy(
    storage: Storage,
    name: str,
    label: str,
    *,
    store_addresses: Sequence[tuple[str, int]] = (),
    catalog_addresses: Sequence[tuple[str, int]] = (),
    dns_cidrs: Sequence[str] = (),
) -> dict[str, Any]:
    """Build the NetworkPolicy for Spark's pods, which allows access to the store, the catalog and DNS.

    Args:
        storage: owner of the policy. Its `spec.egress` rules are used unchanged, and must include the catalog.
        name: name of the policy.
        label: value of the pods' label `names.SPARK_LABEL`.
        store_addresses: IP addresses and ports of the store; used if the Storage has no rules.
        catalog_addresses: the same for the catalog and its token server.
        dns_cidrs: see `build_policy`.

    Raises:
        UserError: (InvalidSpec) a name resolves only to forbidden addresses.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": name,
            "namespace": storage.metadata.namespace,
            "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.SPARK_LABEL: label},
            "ownerReferences": [_owner(storage)],
        },
        "spec": {
            "podSelector": {"matchLabels": {names.SPARK_LABEL: label}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [_dns(dns_cidrs), *_store(storage, (*store_addresses, *catalog_addresses))],
        },
    }


def _owner(storage: Storage) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": storage.KIND,
        "name": storage.metadata.name,
        "uid": storage.metadata.uid,
    }


def _dns(cidrs: Sequence[str]) -> dict[str, Any]:
    peers: list[dict[str, Any]] = [dict(_CLUSTER_DNS)]
    peers.extend({"ipBlock": {"cidr": cidr}} for cidr in cidrs)
    return {"to": peers, "ports": [dict(port) for port in _DNS_PORTS]}


def _store(storage: Storage, addresses: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """The Storage's own rules, or one rule for each port with its addresses if the Storage has none."""
    if storage.spec.egress:
        return [dict(rule) for rule in storage.spec.egress]
    # DNS is not trusted: it may return any address for the store's name.
    reachable = [item for item in addresses if not inside(ipaddress.ip_network(item[0]), FORBIDDEN_BLOCKS)]
    if addresses and not reachable:
        raise UserError(
            f"the endpoint of Storage `{storage.metadata.name}` leads to {addresses[0][0]}, one of the addresses where "
            "a node's credentials are served, which is not opened for pods; correct the endpoint, or give the Storage "
            "`egress` rules",
            Reason.INVALID_SPEC,
        )
    by_port: dict[int, list[str]] = {}
    for address, port in sorted(set(reachable)):
        by_port.setdefault(port, []).append(str(ipaddress.ip_network(address)))
    return [
        {"to": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs], "ports": [{"protocol": "TCP", "port": port}]}
        for port, cidrs in sorted(by_port.items())
    ]


def _component(network: Network, ip_versions: Collection[int]) -> list[dict[str, Any]]:
    """Rules for the blocks of the network mode, followed by the run's egress rules."""
    blocks: tuple[Block, ...] = {"none": (), "no-internet": PRIVATE_BLOCKS, "bridge": _EVERYWHERE}[network.mode]
    blocks = tuple(block for block in blocks if block.version in ip_versions)
    rules = [{"to": _peers(blocks)}] if blocks else []
    for rule in network.egress:
        block = ipaddress.ip_network(rule.cidr)
        if block.version not in ip_versions:
            continue
        entry: dict[str, Any] = {"to": _peers([block])}
        if rule.port:
            entry["ports"] = [{"protocol": "TCP", "port": rule.port}]
        rules.append(entry)
    return rules


def _peers(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Address blocks, except their forbidden parts."""
    peers = []
    for block in blocks:
        entry: dict[str, Any] = {"cidr": str(block)}
        holes = [str(hole) for hole in FORBIDDEN_BLOCKS if inside(hole, [block])]
        if holes:
            entry["except"] = holes
        peers.append({"ipBlock": entry})
    return peers
