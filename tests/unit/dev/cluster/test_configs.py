"""The configuration files, rendered from paths and addresses."""

import json
import tomllib
from pathlib import Path

import yaml

from dev.cluster import layout
from dev.cluster.host import address
from dev.cluster.node import configs, dns

STATE = Path("/state")


def test_containerd_keeps_everything_below_the_state_folder() -> None:
    text = configs.containerd(STATE, STATE / "config", Path("/bin/runc"), "localhost/componentrun/pause:1")
    plugins = tomllib.loads(text)["plugins"]
    runtime = plugins["io.containerd.cri.v1.runtime"]
    assert tomllib.loads(text)["root"] == "/state/containerd/root"
    assert runtime["netns_mounts_under_state_dir"] is True
    assert runtime["restrict_oom_score_adj"] is True
    options = runtime["containerd"]["runtimes"]["runc"]["options"]
    assert options == {"BinaryName": "/bin/runc", "Root": "/state/run/runc", "SystemdCgroup": False}
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == "localhost/componentrun/pause:1"


def test_a_folder_with_odd_characters_stays_valid_toml() -> None:
    odd = Path('/a "b" \\c')
    text = configs.containerd(odd, odd, odd / "runc", "pause")
    assert tomllib.loads(text)["root"] == str(odd / "containerd" / "root")


def test_the_registry_is_pulled_from_over_plain_http() -> None:
    parsed = tomllib.loads(configs.plain_registry("192.0.2.2:5000"))
    assert list(parsed["host"]) == ["http://192.0.2.2:5000"]


def test_the_kubelet_accepts_cgroup_v1_and_asks_for_identity() -> None:
    parsed = yaml.safe_load(configs.kubelet(Path("/pki"), Path("/run/c.sock"), Path("/etc/resolv.conf"), 512))
    assert parsed["failCgroupV1"] is False
    assert parsed["podPidsLimit"] == 512
    assert parsed["authentication"]["anonymous"] == {"enabled": False}
    assert "containerLogMaxSize" not in parsed


def test_the_bridge_masquerades_and_hairpins() -> None:
    (bridge,) = json.loads(configs.cni(STATE))["plugins"]
    assert bridge["bridge"] == layout.BRIDGE
    assert bridge["ipMasq"] is True
    assert bridge["hairpinMode"] is True
    assert bridge["ipam"]["ranges"] == [[{"subnet": str(address.POD_SUBNET)}]]


def test_a_kubeconfig_may_hold_its_keys(tmp_path: Path) -> None:
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (tmp_path / name).write_text(name)
    embedded = json.loads(configs.kubeconfig("https://127.0.0.1:6443", tmp_path, "admin", embed=True))
    assert str(tmp_path) not in json.dumps(embedded)
    linked = json.loads(configs.kubeconfig("https://127.0.0.1:6443", tmp_path, "admin"))
    assert linked["users"][0]["user"]["client-key"] == str(tmp_path / "admin.key")


def test_the_audit_log_leaves_reads_out() -> None:
    rules = json.loads(configs.audit_policy())["rules"]
    assert rules[0] == {"level": "None", "verbs": ["get", "list", "watch"]}
    assert rules[-1] == {"level": "Metadata"}


def test_dns_is_found_by_the_usual_label_and_address() -> None:
    items = {item["kind"]: item for item in json.loads(dns.manifests("image"))["items"]}
    assert items["Service"]["spec"]["clusterIP"] == address.DNS_SERVICE
    labels = items["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"k8s-app": "kube-dns"}
    assert items["Deployment"]["metadata"]["namespace"] == "kube-system"
