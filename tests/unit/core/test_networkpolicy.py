"""What a class of pods may reach."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from componentrun.api import names
from componentrun.api.component import EgressRule, Network
from componentrun.core.pod.networkpolicy import build_policy, network_class, policy_name
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_storage


def egress(network: Network, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = build_policy(network, make_storage(), **more)["spec"]["egress"]
    return found


def reaches(rules: list[dict[str, Any]], address: str, port: int = 443) -> bool:
    """Whether an address is open, as an enforcer reads the rules."""
    ip = ipaddress.ip_address(address)
    for rule in rules:
        ports = [p["port"] for p in rule.get("ports", [])]
        for peer in rule["to"]:
            block = peer.get("ipBlock")
            if block is None or (ports and port not in ports):
                continue
            if ip in ipaddress.ip_network(block["cidr"]) and not any(
                ip in ipaddress.ip_network(hole) for hole in block.get("except", [])
            ):
                return True
    return False


@pytest.mark.parametrize(
    ("mode", "address", "wanted"),
    [
        ("none", "8.8.8.8", False),
        ("none", "10.0.0.1", False),
        ("no-internet", "10.0.0.1", True),
        ("no-internet", "172.31.0.1", True),
        ("no-internet", "192.168.1.1", True),
        ("no-internet", "fd12::1", True),
        ("no-internet", "8.8.8.8", False),
        ("no-internet", "172.32.0.1", False),
        ("no-internet", "169.254.169.254", False),
        ("no-internet", "fd00:ec2::254", False),
        ("bridge", "8.8.8.8", True),
        ("bridge", "2606:4700::1", True),
        ("bridge", "169.254.169.254", False),
        ("bridge", "169.254.170.2", False),
        ("bridge", "100.100.100.200", False),
        ("bridge", "fd00:ec2::254", False),
        ("bridge", "fe80::1", False),
    ],
)
def test_modes(mode: Any, address: str, wanted: bool) -> None:
    assert reaches(egress(Network(mode=mode), ip_versions={4, 6}), address) is wanted


def test_a_cluster_without_ipv6_gets_no_block_of_it() -> None:
    network = Network(mode="bridge", egress=(EgressRule(cidr="2001:db8::/32"), EgressRule(cidr="203.0.113.0/24")))
    blocks = [peer["ipBlock"] for rule in egress(network) for peer in rule["to"] if "ipBlock" in peer]
    assert not [text for block in blocks for text in (block["cidr"], *block.get("except", [])) if ":" in text]
    assert "203.0.113.0/24" in [block["cidr"] for block in blocks]


def test_a_wide_block_does_not_open_the_metadata_service_either() -> None:
    rules = egress(Network(egress=(EgressRule(cidr="0.0.0.0/0"),)))
    assert reaches(rules, "8.8.8.8")
    assert not reaches(rules, "169.254.169.254")


def test_a_single_destination_is_open_on_its_port_only() -> None:
    rules = egress(Network(egress=(EgressRule(cidr="203.0.113.7/32", port=5432),)))
    assert reaches(rules, "203.0.113.7", 5432)
    assert not reaches(rules, "203.0.113.7", 443)
    assert not reaches(rules, "203.0.113.8", 5432)


def test_dns_is_always_open_and_only_the_clusters() -> None:
    rules = egress(Network(), dns_cidrs=["169.254.20.10/32"])
    assert rules[0]["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert rules[0]["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert reaches(rules, "169.254.20.10", 53)
    assert not reaches(rules, "169.254.20.10", 80)


def test_the_store_is_open_where_it_resolves_to() -> None:
    rules = egress(Network(), store_addresses=[("10.0.0.9", 9000), ("10.0.0.8", 9000), ("2001:db8::1", 443)])
    assert reaches(rules, "10.0.0.9", 9000)
    assert reaches(rules, "2001:db8::1", 443)
    assert not reaches(rules, "10.0.0.9", 80)


def test_the_storages_own_rules_replace_the_resolved_ones() -> None:
    rule = {"to": [{"podSelector": {"matchLabels": {"app": "minio"}}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    policy = build_policy(Network(), make_storage(egress=[rule]), store_addresses=[("10.0.0.9", 9000)])
    assert policy["spec"]["egress"][1:] == [rule]


def test_nobody_may_connect_and_only_the_class_is_selected() -> None:
    policy = build_policy(Network(), make_storage())
    value = network_class(Network(), "lake")
    assert policy["spec"]["ingress"] == []
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["podSelector"] == {"matchLabels": {names.NETWORK_CLASS_LABEL: value}}
    assert policy["metadata"]["name"] == policy_name(Network(), "lake") == f"componentrun-{value}"
    assert policy["metadata"]["ownerReferences"][0]["uid"] == "s-uid"


class TestClass:
    def test_is_the_same_for_the_same_rules_in_another_order(self) -> None:
        one, two = EgressRule(cidr="10.0.0.0/8"), EgressRule(cidr="10.0.0.0/8", port=80)
        assert network_class(Network(egress=(one, two)), "lake") == network_class(Network(egress=(two, one)), "lake")

    def test_differs_by_mode_rules_and_storage(self) -> None:
        classes = {
            network_class(Network(), "lake"),
            network_class(Network(), "pond"),
            network_class(Network(mode="bridge"), "lake"),
            network_class(Network(egress=(EgressRule(cidr="10.0.0.0/8"),)), "lake"),
            network_class(Network(egress=(EgressRule(cidr="10.0.0.0/8", port=80),)), "lake"),
        }
        assert len(classes) == 5


def test_a_stores_name_opens_no_metadata_service() -> None:
    """Who answers for the name may name any address."""
    rules = egress(Network(), store_addresses=[("10.0.0.9", 80), ("169.254.169.254", 80), ("fd00:ec2::254", 80)])
    assert reaches(rules, "10.0.0.9", 80)
    assert not reaches(rules, "169.254.169.254", 80)
    assert not reaches(rules, "fd00:ec2::254", 80)
    with pytest.raises(UserError, match=r"leads to 169\.254\.169\.254") as refusal:
        egress(Network(), store_addresses=[("169.254.169.254", 80)])
    assert refusal.value.reason == Reason.INVALID_SPEC
