"""Where each right of the chart's roles is used: part, resource and verb; the file and what stands in it.

A right that nothing uses is one more thing that a stolen token can do.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BUILDS", "BUILD_LOGS", "BUILD_PODS", "LEASE", "PRE_PULL", "SEEN_BUILDS", "SPARK", "USED"]

Rights = dict[tuple[str, str], tuple[str, str]]

_KOPF: Final = ("controller/handlers.py", "kopf.on.event(RUNS.group")
_RESYNC: Final = ("controller/watching/resync.py", "self._kube.pages(resource, namespace, labels)")
_LIST_AND_WATCH: Final = (
    "process/kubernetes/watch.py",
    "self._kube.pages(self.resource, self.namespace, self._labels)",
)
_WATCH: Final = (
    "process/kubernetes/watch.py",
    "self._kube.watch(self.resource, self.namespace, self._version, self._labels)",
)
_COMPONENT_STATUS: Final = ("process/kubernetes/components.py", "kube.patch(component_resource(component.KIND)")
_STORAGE_KEYS: Final = ("process/kubernetes/storages.py", "kube.get(SECRETS, namespace, name)")

USED: Final[dict[str, Rights]] = {
    "operator": {
        ("componentruns", "get"): ("controller/reconcile/reconciler.py", "self._kube.get(RUNS, "),
        ("componentruns", "list"): _RESYNC,
        ("componentruns", "watch"): _KOPF,
        ("componentruns", "delete"): ("controller/reconcile/reconciler.py", "self._kube.delete(RUNS, "),
        ("componentruns/status", "patch"): (
            "controller/reconcile/statuswriter.py",
            'kube.patch(RUNS, *key, body, "status")',
        ),
        ("components", "get"): ("controller/storages/references.py", "self._kube.get(COMPONENTS, "),
        ("components", "list"): _RESYNC,
        ("components/status", "patch"): _COMPONENT_STATUS,
        ("clustercomponents", "get"): ("controller/storages/references.py", "self._kube.get(CLUSTER_COMPONENTS, "),
        ("clustercomponents", "list"): _RESYNC,
        ("clustercomponents", "watch"): _KOPF,
        ("clustercomponents/status", "patch"): _COMPONENT_STATUS,
        ("components", "watch"): _KOPF,
        ("storages", "list"): _RESYNC,
        ("storages", "watch"): _KOPF,
        ("storages/status", "patch"): ("controller/storages/checks.py", "self._kube.patch(STORAGES, "),
        ("pods", "get"): ("controller/reconcile/podreader.py", "self._kube.get(PODS, "),
        ("pods", "list"): _RESYNC,
        ("pods", "watch"): _WATCH,
        ("pods", "create"): ("controller/attempts/podcreation.py", "self._kube.create(PODS, "),
        ("pods", "patch"): ("controller/reconcile/podreader.py", "self._kube.patch(PODS, "),
        ("pods", "delete"): ("controller/reconcile/removal.py", "self._kube.delete(PODS, "),
        ("secrets", "get"): _STORAGE_KEYS,
        ("secrets", "create"): ("controller/attempts/podcreation.py", "self._kube.create(SECRETS, "),
        ("configmaps", "get"): ("controller/attempts/parametersfrom.py", "kube.get(CONFIG_MAPS, namespace, ref.name)"),
        ("networkpolicies", "get"): ("controller/reconcile/policies.py", "self._kube.get(NETWORK_POLICIES, "),
        ("networkpolicies", "create"): ("controller/reconcile/policies.py", "self._kube.create(NETWORK_POLICIES, "),
        ("networkpolicies", "patch"): ("controller/reconcile/policies.py", "self._kube.patch(NETWORK_POLICIES, "),
        ("events", "create"): ("controller/reconcile/statuswriter.py", "self._kube.create(EVENTS, "),
    },
    "collector": {
        ("componentruns", "list"): _LIST_AND_WATCH,
        ("componentruns", "watch"): _WATCH,
        ("componentruns/status", "patch"): (
            "collector/runs/worker.py",
            'kube.patch(RUNS, run.namespace, run.name, body, "st',
        ),
        ("storages", "list"): ("collector/events/stores.py", "self._kube.pages(STORAGES, "),
        ("pods", "get"): ("collector/runs/worker.py", "kube.get(PODS, "),
        ("pods", "list"): _LIST_AND_WATCH,
        ("pods", "watch"): _WATCH,
        ("pods/log", "get"): ("collector/readers/api/follower.py", "self._kube.log("),
        ("secrets", "get"): _STORAGE_KEYS,
    },
    "loader": {
        ("tokenreviews", "create"): ("process/guard.py", 'self._kube.request("POST", TOKEN_REVIEWS'),
    },
    "maintenance": {
        ("storages", "list"): ("maintenance/places.py", "_items(kube, STORAGES, "),
        ("components", "list"): ("maintenance/places.py", "_items(kube, COMPONENTS, "),
        ("clustercomponents", "list"): ("maintenance/places.py", "_items(kube, CLUSTER_COMPONENTS, "),
        ("componentruns", "list"): ("maintenance/places.py", "_items(kube, RUNS, "),
        ("secrets", "get"): _STORAGE_KEYS,
    },
}
SPARK: Final[Rights] = {
    ("jobs", "list"): ("maintenance/sparkjobs.py", "self._kube.pages(JOBS, "),
    ("jobs", "create"): ("maintenance/sparkjobs.py", "self._kube.create(JOBS, "),
    ("jobs", "delete"): ("maintenance/sparkjobs.py", "self._kube.delete(JOBS, "),
    ("networkpolicies", "create"): ("maintenance/sparkjobs.py", "self._kube.create(NETWORK_POLICIES, "),
    ("networkpolicies", "patch"): ("maintenance/sparkjobs.py", "self._kube.patch(NETWORK_POLICIES, "),
}
"""Further ones of maintenance, where it has Spark."""
LEASE: Final[Rights] = {
    ("leases", "create"): ("controller/lease.py", "self._kube.create(LEASES, "),
    ("leases", "get"): ("controller/lease.py", "self._kube.get(LEASES, "),
    ("leases", "patch"): ("controller/lease.py", "self._kube.patch(LEASES, "),
    ("leases", "list"): ("controller/leaseholders.py", "self._kube.pages(LEASES, self._namespace)"),
    ("pods", "get"): ("controller/leaseholders.py", "self._kube.get(PODS, "),
}
"""Of an operator that is one of several, in its own namespace."""
PRE_PULL: Final[Rights] = {
    ("daemonsets", "list"): _LIST_AND_WATCH,
    ("daemonsets", "watch"): _WATCH,
    ("daemonsets", "create"): ("controller/prepull/objects.py", "self._kube.apply(DAEMON_SETS, "),
    ("daemonsets", "patch"): ("controller/prepull/objects.py", "self._kube.apply(DAEMON_SETS, "),
    ("daemonsets", "delete"): ("controller/prepull/objects.py", "self._kube.delete(DAEMON_SETS, "),
}
"""Further ones of an operator that brings images to nodes. A server-side apply needs the right to create as well."""
BUILDS: Final[Rights] = {
    ("componentbuilds", "get"): ("controller/builds/seen.py", "self._kube.get(BUILDS, "),
    ("componentbuilds", "list"): _LIST_AND_WATCH,
    ("componentbuilds", "watch"): _WATCH,
    ("componentbuilds", "create"): ("controller/builds/seen.py", "self._kube.create(BUILDS, "),
    ("componentbuilds", "delete"): ("controller/builds/seen.py", "self._kube.delete(BUILDS, "),
    ("componentbuilds/status", "patch"): ("controller/builds/builds.py", "self._kube.patch(BUILDS, "),
}
"""Further ones of an operator that builds images, in all of its namespaces."""
BUILD_PODS: Final[Rights] = {
    ("pods", "get"): ("controller/builds/objects.py", "self._kube.get(PODS, "),
    ("pods", "list"): _LIST_AND_WATCH,
    ("pods", "watch"): _WATCH,
    ("pods", "create"): ("controller/builds/objects.py", "self._kube.create(PODS, "),
    ("pods", "delete"): ("controller/builds/objects.py", "self._kube.delete(PODS, "),
    ("secrets", "get"): _STORAGE_KEYS,
    ("secrets", "create"): ("controller/builds/objects.py", "self._kube.create(SECRETS, "),
}
"""Those in the namespace of builds."""
BUILD_LOGS: Final[Rights] = {
    ("pods", "list"): ("collector/runs/builds.py", "self._kube.pages(PODS, "),
    ("pods", "watch"): _WATCH,
    ("pods/log", "get"): ("collector/readers/api/follower.py", "self._kube.log("),
}
"""Those of a collector in the namespace of builds."""
SEEN_BUILDS: Final[Rights] = {("componentbuilds", "get"): ("collector/runs/builds.py", "self._kube.get(BUILDS, ")}
"""Further ones of a collector in all of its namespaces, if images are built."""
