"""The processes of our own cluster: how each is started and how it is seen to be ready."""

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
"""Where systemd-resolved runs, /etc/resolv.conf names a loopback address, which means nothing inside a pod."""


@dataclass(frozen=True)
class Part:
    """One daemon.

    Attributes:
        files: configuration files that it reads only at its start.
        grace: seconds it gets to end by itself.
        folder: where its pid file and its log are; None: where those of our own cluster are.
        before: called each time before it is started.
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
        """Changes when the part would be started differently than it was.

        The environment is left out: a proxy setting that one shell has and another has not must restart nothing.
        """
        # One from a package has no folder in its name, and is not looked for where somebody happens to stand.
        binary = str(Path(shutil.which(self.command[0]) or self.command[0]).resolve())
        return processes.fingerprint([binary, *self.command], {}, [file.read_text() for file in self.files])

    def problem(self) -> str | None:
        """None if it runs and is well."""
        if processes.find(self.pid_file) is None:
            return "not running"
        return self.check()

    def begin(self) -> bool:
        """Start it, unless it runs, is well and nothing has changed. Returns whether it was started."""
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
        """Whether it stays unwell; one late answer of a busy machine is no reason to start it anew."""
        try:
            waiting.until(self.problem, what=self.name, timeout=_GETS_WELL_WITHIN)
        except ClusterError:
            return True
        return False

    def await_ready(self) -> None:
        """Wait until it is well.

        Raises:
            ClusterError: it ended, or was not well in time; with the end of its log.
        """

        def check() -> str | None:
            if processes.find(self.pid_file) is None:
                raise ClusterError(
                    f"{self.name} ended:\n{processes.tail(self.log)}", hint=f"the whole log is {self.log}"
                )
            return self.check()

        waiting.until(check, what=self.name, timeout=_READY_WITHIN, hint=f"its log is {self.log}")

    def end(self) -> bool:
        """Stop it. Returns whether it ran."""
        return processes.stop(self.pid_file, grace=self.grace)


@dataclass(frozen=True)
class Plan:
    """All parts, in the groups in which they start."""

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
    """Write all configuration files and return what is to be started. Everything must be built by now."""
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
    state, here = paths.cluster(), layout.configs()
    server = f"https://127.0.0.1:{layout.API_PORT}"  # loopback: no proxy setting of a shell gets in the way
    resolver = STUB_RESOLVER if STUB_RESOLVER.exists() else Path("/etc/resolv.conf")
    runc = (paths.links() / "runc").resolve()
    texts = {
        here / "containerd.toml": configs.containerd(state, here, runc, pause),
        here / "networks" / "10-componentrun.conflist": configs.cni(state),
        here / "registries" / layout.registry() / "hosts.toml": configs.plain_registry(layout.registry()),
        here / "registry.yml": configs.registry(state, layout.registry()),
        here / "kubelet.yaml": configs.kubelet(folder, layout.containerd_socket(), resolver, pod_pids_limit),
        here / "audit.yaml": configs.audit_policy(),
        paths.own_kubeconfig(): configs.kubeconfig(server, folder, "admin", embed=True),
    }
    for who in ("manager", "scheduler", "proxy", "router", "node"):
        texts[here / f"{who}.kubeconfig"] = configs.kubeconfig(server, folder, who)
    for file, text in texts.items():
        paths.write_private(file, text)


def _binary(name: str) -> Path:
    return (paths.links() / name).resolve()


def _environment(*, proxies: bool = False) -> dict[str, str]:
    """What a part's environment holds. Only containerd gets proxy settings: it pulls from far away."""
    kept = {"PATH": f"{paths.links()}:{SYSTEM_PATH}", "HOME": str(Path.home())}
    if proxies:
        kept |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        if any(name.lower() != "no_proxy" for name in kept if name.lower().endswith("_proxy")):
            others = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
            kept["NO_PROXY"] = kept["no_proxy"] = ",".join(filter(None, [others, address.node(), "127.0.0.1"]))
    return kept


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
    # Not waiting for the disk: a development cluster may lose its last second when the machine loses power.
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
    # At SIGTERM it waits up to 60 s for open watches; 3 s are enough to finish what is being written.
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
        # Leave the machine's connection tracking as it is.
        "--conntrack-max-per-core": "0",
        "--conntrack-min": "0",
        "--conntrack-tcp-timeout-established": "0s",
        "--conntrack-tcp-timeout-close-wait": "0s",
    }
    check = _http(layout.PROXY_HEALTH_PORT)
    part = _part("kube-proxy", *_joined(arguments), check=check, files=(layout.pki() / "proxy.crt",))
    # A kube-proxy that is stopped while an endpoint is away, as while the API server restarts, leaves its chain empty.
    # The next one takes a chain that is there for complete, and the Service has no endpoint for good.
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
