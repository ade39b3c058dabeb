"""Names and numbers of our own cluster, shared by several modules."""

from pathlib import Path

from dev.cluster import paths
from dev.cluster.host import address

NODE_NAME = "node1"
NETWORK = "componentrun"
BRIDGE = "crun0"
API_PORT = 6443
REGISTRY_PORT = 5000
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249
MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
ROUTER_HEALTH_PORT = 20244
PORTS = (
    API_PORT,
    REGISTRY_PORT,
    ETCD_PORT,
    ETCD_PEER_PORT,
    KUBELET_PORT,
    KUBELET_HEALTH_PORT,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
    MANAGER_PORT,
    SCHEDULER_PORT,
    ROUTER_HEALTH_PORT,
)
API_SERVICE = str(address.SERVICE_SUBNET[1])
"""The first address of the service range is always the API server's."""
LIBEXEC = Path("/usr/lib/cni")
"""The folder in which Debian's containernetworking-plugins installs its programs."""


def pki() -> Path:
    return paths.cluster() / "pki"


def configs() -> Path:
    return paths.cluster() / "config"


def pids() -> Path:
    return paths.cluster() / "pids"


def containerd_socket() -> Path:
    return paths.cluster() / "run" / "containerd.sock"


def registry() -> str:
    """Prefix of image names, the same for pushes from this machine and pulls by the kubelet."""
    return f"{address.node()}:{REGISTRY_PORT}"
