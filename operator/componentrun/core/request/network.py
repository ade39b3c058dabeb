"""Network access of a run: what it requests, within what its Component allows."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from componentrun.api.component import EgressRule, Network
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.component import Component, NetworkMode
    from componentrun.api.componentrun import ComponentRunSpec

__all__ = [
    "FORBIDDEN_BLOCKS",
    "PRIVATE_BLOCKS",
    "Block",
    "check_processor",
    "effective_network",
    "inside",
    "parse_block",
]

Block = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_BLOCKS: Final[tuple[Block, ...]] = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""Blocks that the mode `no-internet` opens: RFC 1918 and RFC 4193."""

FORBIDDEN_BLOCKS: Final[tuple[Block, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "fe80::/10", "fd00:ec2::254/128",
        "fd20:ce::254/128",
    )
)  # fmt: skip
"""Blocks that no mode and no rule opens: metadata services, which serve a node's credentials.

The whole link-local block is included, because some clouds use other addresses in it (169.254.170.2, 169.254.170.23).
100.100.100.200 belongs to Alibaba, 168.63.129.16 to Azure (it serves the configuration of nodes), fd00:ec2::254 to
Amazon and fd20:ce::254 to Google.
"""

_ASK_FOR_LESS: Final = "Request less, or have the Component changed."
_RANK: Final[dict[NetworkMode, int]] = {"none": 0, "no-internet": 1, "bridge": 2}


def effective_network(spec: ComponentRunSpec, component: Component | None) -> Network:
    """The run's network access. Defaults to the Component's, or to none.

    Address blocks are normalized: `10.1.2.3/8` becomes `10.0.0.0/8`.

    Raises:
        UserError: (InvalidSpec) a block is invalid or never opened, or the run requests more than its Component allows;
            the message names the field.
    """
    allowed = (component.spec.network or Network()) if component else None
    if spec.network is None:
        owner = f"Component `{component.metadata.name}`: " if component else ""
        return _normal(allowed or Network(), f"{owner}spec.network")
    network = _normal(spec.network, "spec.network")
    if component is not None and allowed is not None:
        _check_within(network, _normal(allowed, f"Component `{component.metadata.name}`: spec.network"), component)
    return network


def check_processor(processor: Component, network: Network, path: str) -> None:
    """Refuse a processor that needs more network access than the pod has.

    Args:
        processor: Component of the processor.
        network: the run's network access, which all containers of its pod have.
        path: path of the field that names the processor.

    Raises:
        UserError: (InvalidSpec) it needs more, or a block of the Component is invalid or never opened.
    """
    name = processor.metadata.name
    needed = _normal(processor.spec.network or Network(), f"Component `{name}`: spec.network")
    more = ""
    if _RANK[needed.mode] > _RANK[network.mode]:
        more = f"`{needed.mode}`"
    else:
        more = next((f"`{rule.cidr}`{_port(rule)}" for rule in needed.egress if not _rule_within(rule, network)), "")
    if more:
        raise UserError(
            f"{path}: Component `{name}` needs the network {more}, and the run has `{network.mode}`; expected a "
            "processor that needs no more than the component, as one pod has one network",
            Reason.INVALID_SPEC,
            advice="Use another processor, or have the Component of the run allow more.",
        )


def parse_block(text: str, path: str) -> Block:
    """Parse an address block. Bits after its prefix are cleared.

    Raises:
        UserError: (InvalidSpec) the block is invalid; the message names `path`.
    """
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise UserError(
            f"{path}: `{text}` is not an address block; expected a block such as `203.0.113.0/24`", Reason.INVALID_SPEC
        ) from error


def inside(block: Block, others: Iterable[Block]) -> bool:
    """Whether the block is contained in one of the others."""
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


def _check_within(network: Network, allowed: Network, component: Component) -> None:
    name = component.metadata.name
    if _RANK[network.mode] > _RANK[allowed.mode]:
        raise UserError(
            f"spec.network.mode: `{network.mode}` is more than Component `{name}` allows (`{allowed.mode}`)",
            Reason.INVALID_SPEC,
            advice=_ASK_FOR_LESS,
        )
    for i, rule in enumerate(network.egress):
        if not _rule_within(rule, allowed):
            raise UserError(
                f"spec.network.egress[{i}]: `{rule.cidr}`{_port(rule)} is more than Component `{name}` allows",
                Reason.INVALID_SPEC,
                advice=_ASK_FOR_LESS,
            )


def _port(rule: EgressRule) -> str:
    return f" port {rule.port}" if rule.port else " on every port"


def _rule_within(rule: EgressRule, allowed: Network) -> bool:
    block = ipaddress.ip_network(rule.cidr)
    if allowed.mode == "bridge" or (allowed.mode == "no-internet" and inside(block, PRIVATE_BLOCKS)):
        return True
    return any(
        inside(block, [ipaddress.ip_network(other.cidr)]) and other.port in {None, rule.port}
        for other in allowed.egress
    )
