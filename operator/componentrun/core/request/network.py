"""What a run may reach: what it asks for, within what its Component allows."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from componentrun.api.component import EgressRule, Network
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.component import Component, NetworkMode
    from componentrun.api.componentrun import ComponentRunSpec

__all__ = ["FORBIDDEN_BLOCKS", "PRIVATE_BLOCKS", "Block", "effective_network", "inside", "parse_block"]

Block = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_BLOCKS: Final[tuple[Block, ...]] = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""What mode `no-internet` opens: RFC 1918 and RFC 4193."""

FORBIDDEN_BLOCKS: Final[tuple[Block, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "fe80::/10", "fd00:ec2::254/128",
        "fd20:ce::254/128",
    )
)  # fmt: skip
"""What no mode and no rule opens: where clouds hand out a node's credentials (169.254.169.254 and its relatives).

The link-local block as a whole, because some clouds use further addresses of it (169.254.170.2, 169.254.170.23).
100.100.100.200 is Alibaba's, 168.63.129.16 Azure's (what sets a node up is had there), fd00:ec2::254 Amazon's and
fd20:ce::254 Google's.
"""

_RANK: Final[dict[NetworkMode, int]] = {"none": 0, "no-internet": 1, "bridge": 2}


def effective_network(spec: ComponentRunSpec, component: Component | None) -> Network:
    """The run's network, else the Component's, else nothing; blocks in their usual form (`10.1.2.3/8` is `10.0.0.0/8`).

    Raises:
        UserError: INVALID_SPEC naming the field: no address block, a block that is never opened, or more than the
            Component allows.
    """
    allowed = (component.spec.network or Network()) if component else None
    if spec.network is None:
        owner = f"Component `{component.metadata.name}`: " if component else ""
        return _normal(allowed or Network(), f"{owner}spec.network")
    wanted = _normal(spec.network, "spec.network")
    if component is not None and allowed is not None:
        _check_within(wanted, _normal(allowed, f"Component `{component.metadata.name}`: spec.network"), component)
    return wanted


def parse_block(text: str, path: str) -> Block:
    """An address block; bits behind its prefix are dropped.

    Raises:
        UserError: INVALID_SPEC naming `path`.
    """
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise UserError(
            f"{path}: `{text}` is no address block: expected something like `203.0.113.0/24`", Reason.INVALID_SPEC
        ) from error


def inside(block: Block, others: Iterable[Block]) -> bool:
    """Whether the block lies in one of the others."""
    return any(
        (
            isinstance(block, ipaddress.IPv4Network)
            and isinstance(other, ipaddress.IPv4Network)
            and block.subnet_of(other)
        )
        or (
            isinstance(block, ipaddress.IPv6Network)
            and isinstance(other, ipaddress.IPv6Network)
            and block.subnet_of(other)
        )
        for other in others
    )


def _normal(network: Network, path: str) -> Network:
    rules = []
    for i, rule in enumerate(network.egress):
        block = parse_block(rule.cidr, f"{path}.egress[{i}].cidr")
        if inside(block, FORBIDDEN_BLOCKS):
            raise UserError(
                f"{path}.egress[{i}].cidr: `{rule.cidr}` is where a node's credentials are served; it is never opened",
                Reason.INVALID_SPEC,
            )
        rules.append(EgressRule(cidr=str(block), port=rule.port))
    return Network(mode=network.mode, egress=tuple(rules))


def _check_within(wanted: Network, allowed: Network, component: Component) -> None:
    name = component.metadata.name
    if _RANK[wanted.mode] > _RANK[allowed.mode]:
        raise UserError(
            f"spec.network.mode: `{wanted.mode}` is more than Component `{name}` allows (`{allowed.mode}`): "
            "ask for less, or have the Component changed",
            Reason.INVALID_SPEC,
        )
    for i, rule in enumerate(wanted.egress):
        if not _rule_within(rule, allowed):
            port = f" port {rule.port}" if rule.port else " on every port"
            raise UserError(
                f"spec.network.egress[{i}]: `{rule.cidr}`{port} is not among what Component `{name}` allows: "
                "ask for less, or have the Component changed",
                Reason.INVALID_SPEC,
            )


def _rule_within(rule: EgressRule, allowed: Network) -> bool:
    block = ipaddress.ip_network(rule.cidr)
    if allowed.mode == "bridge" or (allowed.mode == "no-internet" and inside(block, PRIVATE_BLOCKS)):
        return True
    return any(
        inside(block, [ipaddress.ip_network(other.cidr)]) and other.port in {None, rule.port}
        for other in allowed.egress
    )
