"""Text of each configuration file. Pure functions: paths and addresses in, text out."""

import base64
import json
from pathlib import Path
from typing import Any

from dev.cluster import layout
from dev.cluster.host import address


def kubeconfig(server: str, pki: Path, user_name: str, *, embed: bool = False) -> str:
    """A kubeconfig (JSON is YAML) for a certificate. With `embed` it contains the keys and can be copied."""
    if embed:
        authority = {"certificate-authority-data": _base64(pki / "ca.crt")}
        user = {
            "client-certificate-data": _base64(pki / f"{user_name}.crt"),
            "client-key-data": _base64(pki / f"{user_name}.key"),
        }
    else:
        authority = {"certificate-authority": str(pki / "ca.crt")}
        user = {"client-certificate": str(pki / f"{user_name}.crt"), "client-key": str(pki / f"{user_name}.key")}
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "componentrun", "cluster": {"server": server, **authority}}],
            "users": [{"name": user_name, "user": user}],
            "contexts": [{"name": "componentrun", "context": {"cluster": "componentrun", "user": user_name}}],
            "current-context": "componentrun",
        }
    )


def cni(state: Path) -> str:
    """The pod network: one bridge, with address allocations stored in our state folder."""
    ranges = [[{"subnet": str(address.POD_SUBNET)}]]
    addresses = {
        "type": "host-local",
        "dataDir": str(state / "addresses"),
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": layout.BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    return _json({"cniVersion": "1.0.0", "name": layout.NETWORK, "plugins": [bridge]})


def containerd(state: Path, configs: Path, runc: Path, pause: str) -> str:
    """Configuration of containerd: state, sockets and network namespaces are below `state`, where `down` finds them."""
    quoted = {name: json.dumps(str(value)) for name, value in _containerd_values(state, configs, runc, pause).items()}
    return """version = 3
root = {root}
state = {state}

[grpc]
  address = {socket}

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = {pause}

[plugins."io.containerd.cri.v1.images".registry]
  config_path = {registries}

[plugins."io.containerd.cri.v1.runtime"]
  # Root without CAP_SYS_RESOURCE (a container, some virtual machines) may not lower the score.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [{plugins}]
  conf_dir = {networks}

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = {runc}
  Root = {runc_state}
  SystemdCgroup = false
""".format(**quoted)


def _containerd_values(state: Path, configs: Path, runc: Path, pause: str) -> dict[str, str | Path]:
    return {
        "root": state / "containerd" / "root",
        "state": state / "containerd" / "state",
        "socket": layout.containerd_socket(),
        "pause": pause,
        "registries": configs / "registries",
        "plugins": layout.LIBEXEC,
        "networks": configs / "networks",
        "runc": runc,
        "runc_state": state / "run" / "runc",
    }


def plain_registry(prefix: str) -> str:
    """The hosts.toml of containerd for our registry, which uses plain HTTP."""
    return f'server = "http://{prefix}"\n\n[host."http://{prefix}"]\n  capabilities = ["pull", "resolve"]\n'


def registry(state: Path, prefix: str) -> str:
    """Configuration of Debian's docker-registry."""
    storage = {"filesystem": {"rootdirectory": str(state / "registry")}, "delete": {"enabled": True}}
    return _json({"version": 0.1, "log": {"level": "warn"}, "storage": storage, "http": {"addr": prefix}})


def kubelet(pki: Path, socket: Path, resolver: Path, pod_pids_limit: int) -> str:
    """The kubelet's configuration. `resolver` is the resolv.conf for pods that use the node's DNS settings."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{socket}",
            "clusterDNS": [address.DNS_SERVICE],
            "clusterDomain": "cluster.local",
            "resolvConf": str(resolver),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "node.crt"),
            "tlsPrivateKeyFile": str(pki / "node.key"),
            # Sizes, not percentages: a quota can leave much less free than a percentage of a large disk.
            "evictionHard": {"memory.available": "200Mi", "nodefs.available": "512Mi", "imagefs.available": "512Mi"},
            "imageGCHighThresholdPercent": 100,  # a garbage-collected image that was loaded can't be pulled again
            "makeIPTablesUtilChains": False,  # fewer rules to clean up
            "maxPods": 250,
            "podPidsLimit": pod_pids_limit,
            "podCIDR": str(address.POD_SUBNET),
            "registerNode": True,
        }
    )


def audit_policy() -> str:
    """Audit policy: log who did what, without bodies. Reads and requests between the parts are not logged."""
    unlogged = [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io"}, {"group": "", "resources": ["events"]}]},
    ]
    rules = [*unlogged, {"level": "Metadata"}]
    return _json({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules})


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"
