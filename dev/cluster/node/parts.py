"""The processes of our own cluster: how each is started and how its readiness is checked."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dev.cluster import commands, layout, paths, waiting
from dev.cluster.build import archives
from dev.cluster.errors import ClusterError
from dev.cluster.host import address, firewall, processes
from dev.cluster.node import configs, pki

DEFAULT_POD_PIDS_LIMIT = 4096
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GETS_WELL_WITHIN = 30
_READY_WITHIN = 90
"""Seconds."""
STUB_RESOLVER = Path("/run/systemd/resolve/resolv.conf")
"""With systemd-resolved, /etc/resolv.conf names a loopback address, which is useless inside a pod."""


@dataclass(frozen=True)
class Part:
    """One daemon.

    Attributes:
        files: configuration files that the daemon reads only at startup.
        grace: seconds to wait after SIGTERM.
        folder: folder of the pid file and the log; None for the default folders of our own cluster.
        before: called before each start.
    """

    name: str
    command: tuple[str, ...]
    check: waiting.Check
    env: Mapping[str, str]
    files: tuple[Path, ...] = ()
    grace: float = 10
    folder: Path | None = None
    before: Callable[[], None] | None = None

    @property
    def pid_file(self) -> Path:
        return (self.folder or layout.pids()) / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        return (self.folder or paths.logs()) / f"{self.name}.log"

    @property
    def mark(self) -> str:
        """Fingerprint that changes when the command, the binary or a configuration file changes.

        The environment is not included, because shells with different proxy settings must not cause restarts.
        """
        # Programs from packages have no folder in their name. They are resolved on PATH, not in the working directory.
        binary = str(Path(shutil.which(self.command[0]) or self.command[0]).resolve())
        return processes.fingerprint([binary, *self.command], {}, [file.read_text() for file in self.files])

    def problem(self) -> str | None:
        """What is wrong with the daemon; None if it runs and is healthy."""
        if processes.find(self.pid_file) is None:
            return "not running"
        return self.check()

    def begin(self) -> bool:
        """Start the daemon unless it is running, healthy and unchanged. Returns whether it was started."""
        running = processes.find(self.pid_file)
        if running is not None:
            if running.fingerprint == self.mark and not self._is_sick():
                return False
            processes.stop(self.pid_file, grace=self.grace)
        if self.before is not None:
            self.before()
        processes.start(self.command, env=self.env, log=self.log, pid_file=self.pid_file, mark=self.mark)
        return True

    def _is_sick(self) -> bool:
        """Whether the daemon stays unhealthy. One late answer on a busy machine does not cause a restart."""
        try:
            waiting.until(self.problem, what=self.name, timeout=_GETS_WELL_WITHIN)
        except ClusterError:
            return True
        return False

    def await_ready(self) -> None:
        """Wait until the daemon is healthy.

        Raises:
            ClusterError: the daemon ended or was not healthy in time. Refers to its log.
        """

        def check() -> str | None:
            if processes.find(self.pid_file) is None:
                raise ClusterError(
                    f"{self.name} ended:\n{processes.tail(self.log)}", hint=f"the whole log is {self.log}"
                )
            return self.check()

        waiting.until(check, what=self.name, timeout=_READY_WITHIN, hint=f"its log is {self.log}")

    def end(self) -> bool:
        """Stop the daemon. Returns whether it was running."""
        return processes.stop(self.pid_file, grace=self.grace)


@dataclass(frozen=True)
class Plan:
    """All parts, grouped in start order."""

    base: tuple[Part, ...]
    control: tuple[Part, ...]
    node: tuple[Part, ...]
    policy: tuple[Part, ...]
    pause: str = field(default="")

    @property
    def all(self) -> tuple[Part, ...]:
        return (*self.base, *self.control, *self.node, *self.policy)

    def named(self, name: str) -> Part:
        for part in self.all:
            if part.name == name:
                return part
        raise ClusterError(f"there is no part `{name}`", hint=f"one of {', '.join(part.name for part in self.all)}")


def prepare(pod_pids_limit: int = DEFAULT_POD_PIDS_LIMIT) -> Plan:
    """Write all configuration files and return the parts to start. All tools must already be built."""
    node_address = address.node()
    folder = pki.ensure(node_address)
    pause = archives.reference(_binary("pause"))
    _write_configs(folder, pause, pod_pids_limit)
    return Plan(
        base=(_etcd(), _containerd(), _registry()),
        control=(_api_server(folder, node_address),),
        node=(_manager(folder), _scheduler(), _kubelet(node_address), _proxy()),
        policy=(_router(),),
        pause=pause,
    )


def kubectl(*arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
    """Run kubectl on our own cluster as its administrator."""
    environment = os.environ | {"KUBECONFIG": str(paths.own_kubeconfig())}
    return commands.run([paths.links() / "kubectl", *arguments], stdin=stdin, env=environment, timeout=timeout)


def _write_configs(folder: Path, pause: str, pod_pids_limit: int) -> None:
    state, target = paths.cluster(), layout.configs()
    server = f"https://127.0.0.1:{layout.API_PORT}"  # a loopback address is not affected by proxy settings of the shell
    resolver = STUB_RESOLVER if STUB_RESOLVER.exists() else Path("/etc/resolv.conf")
    runc = (paths.links() / "runc").resolve()
    texts = {
        target / "containerd.toml": configs.containerd(state, target, runc, pause),
        target / "networks" / "10-componentrun.conflist": configs.cni(state),
        target / "registries" / layout.registry() / "hosts.toml": configs.plain_registry(layout.registry()),
        target / "registry.yml": configs.registry(state, layout.registry()),
        target / "kubelet.yaml": configs.kubelet(folder, layout.containerd_socket(), resolver, pod_pids_limit),
        target / "audit.yaml": configs.audit_policy(),
        paths.own_kubeconfig(): configs.kubeconfig(server, folder, "admin", embed=True),
    }
    for client in ("manager", "scheduler", "proxy", "router", "node"):
        texts[target / f"{client}.kubeconfig"] = configs.kubeconfig(server, folder, client)
    for file, text in texts.items():
        paths.write_private(file, text)


def _binary(name: str) -> Path:
    return (paths.links() / name).resolve()


def _environment(*, proxies: bool = False) -> dict[str, str]:
    """Environment of a part. Only containerd gets proxy settings, because it pulls images from remote registries."""
    variables = {"PATH": f"{paths.links()}:{SYSTEM_PATH}", "HOME": str(Path.home())}
    if proxies:
        variables |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        if any(name.lower() != "no_proxy" for name in variables if name.lower().endswith("_proxy")):
            others = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
            variables["NO_PROXY"] = variables["no_proxy"] = ",".join(
                filter(None, [others, address.node(), "127.0.0.1"])
            )
    return variables


def _part(name: str, *arguments: str, check: waiting.Check, files: tuple[Path, ...] = (), grace: float = 10) -> Part:
    command = (str(paths.links() / name), *arguments)
    return Part(name, command, check, _environment(proxies=name == "containerd"), files, grace)


def _http(port: int, path: str = "/healthz", *, host: str = "127.0.0.1", scheme: str = "http") -> waiting.Check:
    context = waiting.client_context(ca=None) if scheme == "https" else None
    return lambda: waiting.http_problem(f"{scheme}://{host}:{port}{path}", context=context)


def _etcd() -> Part:
    client, peer = f"http://127.0.0.1:{layout.ETCD_PORT}", f"http://127.0.0.1:{layout.ETCD_PEER_PORT}"
    arguments = {
        "--data-dir": str(paths.make_private(paths.cluster()) / "etcd"),
        "--listen-client-urls": client,
        "--advertise-client-urls": client,
        "--listen-peer-urls": peer,
        "--initial-advertise-peer-urls": peer,
        "--initial-cluster": f"default={peer}",
        "--quota-backend-bytes": str(4 * 1024**3),
        "--log-level": "warn",
    }
    # No fsync: a development cluster may lose its last second of data in a power failure.
    return _part("etcd", "--unsafe-no-fsync", *_joined(arguments), check=_http(layout.ETCD_PORT, "/health"))


def _containerd() -> Part:
    config = layout.configs() / "containerd.toml"
    socket = layout.containerd_socket()
    return _part("containerd", "--config", str(config), check=lambda: waiting.socket_problem(socket), files=(config,))


def _registry() -> Part:
    config = layout.configs() / "registry.yml"
    check = _http(layout.REGISTRY_PORT, "/v2/", host=address.node())
    return Part("registry", ("docker-registry", "serve", str(config)), check, _environment(), (config,))


def _api_server(folder: Path, node_address: str) -> Part:
    policy = layout.configs() / "audit.yaml"
    arguments = {
        "--etcd-servers": f"http://127.0.0.1:{layout.ETCD_PORT}",
        "--secure-port": str(layout.API_PORT),
        "--advertise-address": node_address,
        "--service-cluster-ip-range": str(address.SERVICE_SUBNET),
        "--client-ca-file": str(folder / "ca.crt"),
        "--tls-cert-file": str(folder / "apiserver.crt"),
        "--tls-private-key-file": str(folder / "apiserver.key"),
        "--kubelet-certificate-authority": str(folder / "ca.crt"),
        "--kubelet-client-certificate": str(folder / "apiserver-kubelet.crt"),
        "--kubelet-client-key": str(folder / "apiserver-kubelet.key"),
        "--kubelet-preferred-address-types": "InternalIP",
        "--service-account-issuer": "https://kubernetes.default.svc",
        "--service-account-key-file": str(folder / "service-accounts.key"),
        "--service-account-signing-key-file": str(folder / "service-accounts.key"),
        "--authorization-mode": "Node,RBAC",
        "--enable-admission-plugins": "NodeRestriction",
        "--allow-privileged": "true",
        "--audit-policy-file": str(policy),
        "--audit-log-path": str(paths.logs() / "audit.log"),
        "--audit-log-maxsize": "100",
        "--audit-log-maxbackup": "2",
    }
    context = waiting.client_context(ca=folder / "ca.crt", cert=folder / "admin.crt", key=folder / "admin.key")
    url = f"https://127.0.0.1:{layout.API_PORT}/readyz"
    # After SIGTERM the API server waits up to 60 s for open watches; 3 s are enough to finish writes.
    return _part(
        "kube-apiserver",
        *_joined(arguments),
        check=lambda: waiting.http_problem(url, context=context, timeout=5),
        files=(policy, folder / "apiserver.crt"),
        grace=3,
    )


def _manager(folder: Path) -> Part:
    arguments = {
        "--kubeconfig": str(layout.configs() / "manager.kubeconfig"),
        "--root-ca-file": str(folder / "ca.crt"),
        "--service-account-private-key-file": str(folder / "service-accounts.key"),
        "--cluster-signing-cert-file": str(folder / "ca.crt"),
        "--cluster-signing-key-file": str(folder / "ca.key"),
        "--use-service-account-credentials": "true",
        "--bind-address": "127.0.0.1",
        "--leader-elect": "false",
    }
    check = _http(layout.MANAGER_PORT, scheme="https")
    files = (folder / "manager.crt",)
    return _part("kube-controller-manager", *_joined(arguments), check=check, files=files)


def _scheduler() -> Part:
    kubeconfig = layout.configs() / "scheduler.kubeconfig"
    arguments = {"--kubeconfig": str(kubeconfig), "--bind-address": "127.0.0.1", "--leader-elect": "false"}
    check = _http(layout.SCHEDULER_PORT, scheme="https")
    return _part("kube-scheduler", *_joined(arguments), check=check, files=(layout.pki() / "scheduler.crt",))


def _kubelet(node_address: str) -> Part:
    config, state = layout.configs() / "kubelet.yaml", paths.cluster() / "kubelet"
    arguments = {
        "--config": str(config),
        "--kubeconfig": str(layout.configs() / "node.kubeconfig"),
        "--root-dir": str(state),
        "--hostname-override": layout.NODE_NAME,
        "--node-ip": node_address,
        "--v": "1",
    }
    files = (config, layout.pki() / "node.crt")
    return _part("kubelet", *_joined(arguments), check=_http(layout.KUBELET_HEALTH_PORT), files=files)


def _proxy() -> Part:
    arguments = {
        "--kubeconfig": str(layout.configs() / "proxy.kubeconfig"),
        "--proxy-mode": "nftables",
        "--cluster-cidr": str(address.POD_SUBNET),
        "--hostname-override": layout.NODE_NAME,
        "--healthz-bind-address": f"127.0.0.1:{layout.PROXY_HEALTH_PORT}",
        "--metrics-bind-address": f"127.0.0.1:{layout.PROXY_METRICS_PORT}",
        # Do not change the machine's connection tracking.
        "--conntrack-max-per-core": "0",
        "--conntrack-min": "0",
        "--conntrack-tcp-timeout-established": "0s",
        "--conntrack-tcp-timeout-close-wait": "0s",
    }
    check = _http(layout.PROXY_HEALTH_PORT)
    part = _part("kube-proxy", *_joined(arguments), check=check, files=(layout.pki() / "proxy.crt",))
    # If kube-proxy stops while an endpoint is missing, for example during an API server restart, its chain stays empty.
    # The next kube-proxy assumes that existing chains are complete, so the Service would never get an endpoint.
    return replace(part, before=firewall.forget_services)


def _router() -> Part:
    arguments = {
        "--kubeconfig": str(layout.configs() / "router.kubeconfig"),
        "--run-firewall": "true",
        "--run-router": "false",
        "--run-service-proxy": "false",
        "--hostname-override": layout.NODE_NAME,
        "--service-cluster-ip-range": str(address.SERVICE_SUBNET),
        "--health-port": str(layout.ROUTER_HEALTH_PORT),
        "--metrics-port": "0",
    }
    check = _http(layout.ROUTER_HEALTH_PORT)
    return _part("kube-router", *_joined(arguments), check=check, files=(layout.pki() / "router.crt",))


def _joined(arguments: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in arguments.items()]
