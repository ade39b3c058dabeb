"""The address at which pods reach processes on this machine."""

import ipaddress
import os

from dev.cluster import commands
from dev.cluster.errors import ClusterError

VARIABLE = "COMPONENTRUN_NODE_IP"
POD_SUBNET = ipaddress.IPv4Network("10.244.0.0/16")
SERVICE_SUBNET = ipaddress.IPv4Network("10.96.0.0/16")
DNS_SERVICE = "10.96.0.10"


def node() -> str:
    """The first IPv4 address of this machine that isn't loopback or a pod bridge (COMPONENTRUN_NODE_IP overrides)."""
    return os.environ.get(VARIABLE) or first_usable(commands.run(["hostname", "-I"]))


def first_usable(output: str) -> str:
    """The first suitable address in the output of `hostname -I`."""
    for word in output.split():
        address = ipaddress.ip_address(word)
        if address.version == 4 and not address.is_loopback and not address.is_link_local and address not in POD_SUBNET:
            return word
    raise ClusterError(
        f"this machine has no IPv4 address of its own (`hostname -I` prints `{output.strip()}`); a node needs one",
        hint=f"bring up a network interface, or set {VARIABLE}",
    )
