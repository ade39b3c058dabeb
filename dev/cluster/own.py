"""Our own cluster: start, stop and health."""

import json
from dataclasses import dataclass

from dev.cluster import commands, connection, layout, paths, teardown, waiting
from dev.cluster.build import archives, builds
from dev.cluster.errors import ClusterError
from dev.cluster.host import address, machine, preflight
from dev.cluster.node import dns, parts
from dev.cluster.progress import say, step
from dev.cluster.stores import minio as store
from dev.cluster.stores import seaweedfs as lake


@dataclass(frozen=True)
class Health:
    """One line of `status`. `problem` is None if the part is healthy."""

    name: str
    problem: str | None


def up(pod_pids_limit: int | None = None) -> connection.Connection:
    """Start the cluster unless it is up. Parts that have ended, are unhealthy or have changed are restarted."""
    with paths.lock("cluster"):
        preflight.check()
        lake_access = lake.up()
        builds.build()
        machine.remember()
        machine.tune()
        limit = _remember_limit(pod_pids_limit)
        plan = parts.prepare(limit)
        names = _start(plan)
        _import("pause")
        image = _import("coredns")
        _await_node()
        names += _start_group(plan.policy)
        _resolve_names(image)
        result = _connection(lake_access)
        connection.save(result)
    say(f"started {', '.join(names)}" if names else "already up")
    return result


def down() -> bool:
    """Stop and remove everything, including the stores. Returns whether anything existed."""
    with paths.lock("cluster"):
        results = [teardown.down(), store.down(), lake.down()]
        return any(results)


def health() -> list[Health]:
    """Health of each part."""
    stores = [Health("seaweedfs", lake.problem())]
    # Nothing but the tests that want MinIO starts it, so it may be missing, for example after a restart of the machine.
    if store.is_running():
        stores.append(Health("minio", store.problem()))
    if not paths.own_kubeconfig().exists():
        return [Health("cluster", "not up"), *stores]
    parts_health = [Health(part.name, part.problem()) for part in parts.prepare(_limit()).all]
    return [*parts_health, *stores, Health("node", _reported_node_problem())]


def plan() -> parts.Plan:
    """The parts of the existing cluster, so that failure tests can stop and start single parts."""
    return parts.prepare(_limit())


def _start(groups: parts.Plan) -> list[str]:
    return [name for group in (groups.base, groups.control, groups.node) for name in _start_group(group)]


def _start_group(group: tuple[parts.Part, ...]) -> list[str]:
    started_parts = [part for part in group if part.begin()]
    if started_parts:
        with step(f"waiting for {', '.join(part.name for part in started_parts)}"):
            for part in group:
                part.await_ready()
    return [part.name for part in started_parts]


def _import(program: str) -> str:
    """Import the image of `program` into containerd unless it is there, and return the image's name."""
    binary = (paths.links() / program).resolve()
    name = archives.reference(binary)
    ctr = [
        str(paths.links() / "ctr"),
        "--address",
        str(layout.containerd_socket()),
        "--namespace",
        "k8s.io",
        "images",
    ]
    if name not in commands.run([*ctr, "list", "--quiet"]).splitlines():
        with step(f"importing the image {name}"):
            archive = paths.cluster() / f"{program}.tar"
            archive.write_bytes(archives.archive(binary, name))
            commands.run([*ctr, "import", archive])
            archive.unlink()
    return name


def _await_node() -> None:
    waiting.until(_node_problem, what=f"node {layout.NODE_NAME}", timeout=90, hint=f"see {paths.logs()}/kubelet.log")
    node = json.loads(parts.kubectl("get", "node", layout.NODE_NAME, "-o", "json"))
    if not node["spec"].get("podCIDR"):
        # kube-router does not start without a pod CIDR. Nothing allocates from it, because the pod network is fixed.
        cidr = str(address.POD_SUBNET)
        patch = json.dumps({"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})
        parts.kubectl("patch", "node", layout.NODE_NAME, "--patch", patch)


def _node_problem() -> str | None:
    path = f"jsonpath={{.items[?(@.metadata.name=='{layout.NODE_NAME}')].status.conditions[?(@.type=='Ready')]}}"
    output = parts.kubectl("get", "nodes", "-o", path)
    if not output:
        return "it has not registered"
    ready = json.loads(output)
    return None if ready["status"] == "True" else f"{ready.get('reason')}: {ready.get('message')}"


def _reported_node_problem() -> str | None:
    """Like `_node_problem`. An API server that does not answer is a problem of the node, too."""
    try:
        return _node_problem()
    except ClusterError as error:
        return f"unknown: {error}"


def _resolve_names(image: str) -> None:
    manifests = dns.manifests(image)
    if _dns_ready(image):
        return
    with step("starting CoreDNS"):
        parts.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifests)
        parts.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")


def _dns_ready(image: str) -> bool:
    deployments = json.loads(
        parts.kubectl("-n", "kube-system", "get", "deployments", "-l", "k8s-app=kube-dns", "-o", "json")
    )
    return any(
        item["spec"]["template"]["spec"]["containers"][0]["image"] == image and item["status"].get("readyReplicas")
        for item in deployments["items"]
    )


def _connection(lake_access: lake.Lake) -> connection.Connection:
    return connection.Connection(
        kubeconfig=paths.own_kubeconfig(),
        registry=layout.registry(),
        image_load_command=None,
        bin_dir=paths.links(),
        logs=paths.logs(),
        own=True,
        node_name=layout.NODE_NAME,
        **connection.reaching(lake_access),
    )


def _limit() -> int:
    file = paths.cluster() / "settings.json"
    if not file.exists():
        return parts.DEFAULT_POD_PIDS_LIMIT
    return int(json.loads(file.read_text())["pod_pids_limit"])


def _remember_limit(requested: int | None) -> int:
    limit = _limit() if requested is None else requested
    paths.write_private(paths.cluster() / "settings.json", json.dumps({"pod_pids_limit": limit}))
    return limit
