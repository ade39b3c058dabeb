"""Fixtures of a control plane: CRDs, nodes, a namespace with a Storage, an input table."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from benchmarks.harness.sandbox import Sandbox, open_sandbox
from benchmarks.throughput.api_client import Api, RefusedError, until
from benchmarks.throughput.control_plane import ControlPlane, free_ports
from benchmarks.throughput.costs.audit_log import OPERATOR
from benchmarks.throughput.costs.measured import Meter
from benchmarks.throughput.loader_process import Loader
from benchmarks.throughput.manifests import NAMESPACE, STORAGE
from benchmarks.throughput.simulation import kwok
from benchmarks.throughput.simulation.agents import SimulatedAgents
from componentrun.api.common import API_VERSION
from componentrun.process.kubernetes.resources import SECRETS, STORAGES
from componentrun.wire import loaderaccess
from dev.cluster.progress import say, step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Fixtures", "set_up"]

_CRDS: Final = Path(__file__).resolve().parents[2] / "crds"
_NODES: Final = 20
_SECRET: Final = "keys"
_CATALOG_SECRET: Final = "catalog"
_PATIENCE: Final = 60.0
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_ACCOUNTS: Final = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
_COLLECTOR: Final = "collector"
"""User agent of the simulated collector."""
_RBAC: Final = "rbac.authorization.k8s.io"
_TOKEN_SECONDS: Final = 4 * 3600


@dataclass(frozen=True, slots=True)
class Fixtures:
    """The fixtures of a benchmark."""

    control_plane: ControlPlane
    api: Api
    meter: Meter
    agents: SimulatedAgents
    loader: Mapping[str, str]
    """Settings of the operator for the loader."""

    async def limit(self, running: int) -> None:
        """Limit the number of runs that have a pod."""
        await self.api.patch(STORAGES.path(NAMESPACE, STORAGE), {"spec": {"maxRunning": running}})


@asynccontextmanager
async def set_up() -> AsyncIterator[Fixtures]:
    """Start a control plane with everything that runs need; delete it afterwards."""
    with ControlPlane() as control_plane, open_sandbox(control_plane.lake, disposable=True) as sandbox:
        async with Api(control_plane.kubeconfig) as api, Api(control_plane.kubeconfig, _COLLECTOR) as collector:
            with step("creating nodes, a Storage and the input table"):
                await _objects(api, sandbox)
                await _account(api)
                control_plane.write_operator_kubeconfig(await _token(api))
                agents = SimulatedAgents(collector, sandbox)
                await agents.bring_input()
            first, second = free_ports(2)
            caller = f"system:serviceaccount:{NAMESPACE}:{OPERATOR}"
            token = await _token(api, loaderaccess.AUDIENCE)
            with Loader(control_plane, caller, token, (first, second)) as loader:
                say(f"      the loader was ready after {loader.seconds_to_ready:.1f} s")
                yield Fixtures(control_plane, api, Meter(control_plane), agents, loader.settings)


async def _objects(api: Api, sandbox: Sandbox) -> None:
    for file in sorted(_CRDS.glob("*.yaml")):
        body = yaml.safe_load(await asyncio.to_thread(file.read_text, encoding="utf-8"))
        await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    for number in range(_NODES):
        await api.create("/api/v1/nodes", kwok.node(number))
    await api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    secrets = {
        _SECRET: {"accessKeyId": sandbox.settings.access_key, "secretAccessKey": sandbox.settings.secret_key},
        _CATALOG_SECRET: {"clientId": sandbox.access.client_id, "clientSecret": sandbox.access.client_secret},
    }
    for name, values in secrets.items():
        data = {key: _encoded(value or "") for key, value in values.items()}
        await api.create(SECRETS.path(NAMESPACE), {"metadata": {"name": name}, "data": data})

    async def created() -> bool:
        try:
            await api.create(STORAGES.path(NAMESPACE), _storage(sandbox))
        except RefusedError:
            return False  # its CRD is not served yet
        return True

    async def ready() -> bool:
        accounts = await api.get(_ACCOUNTS)
        return bool(accounts["items"]) and all(map(_is_ready, (await api.get("/api/v1/nodes"))["items"]))

    async def leases_renewed() -> bool:
        # KWOK ignores the pods of a node whose lease it does not hold yet, and never retries them.
        leases = (await api.get(_LEASES))["items"]
        return sum(bool(lease["spec"].get("renewTime")) for lease in leases) >= _NODES

    await until(created, _PATIENCE, "the API server accepts a Storage")
    await until(ready, _PATIENCE, "all nodes are ready, and the namespace has a service account")
    await until(leases_renewed, _PATIENCE, "KWOK has renewed the leases of all nodes")


async def _account(api: Api) -> None:
    """Create a service account with all permissions."""
    await api.create(_ACCOUNTS, {"metadata": {"name": OPERATOR}})
    subject = {"kind": "ServiceAccount", "name": OPERATOR, "namespace": NAMESPACE}
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": OPERATOR}, "roleRef": role, "subjects": [subject]}
    await api.create(f"/apis/{_RBAC}/v1/clusterrolebindings", binding)


async def _token(api: Api, *audiences: str) -> str:
    """Request a token of the operator, by default for the API server."""
    spec = {"expirationSeconds": _TOKEN_SECONDS, "audiences": list(audiences)}
    answer = await api.create(f"{_ACCOUNTS}/{OPERATOR}/token", {"spec": spec})
    return str(answer["status"]["token"])


def _storage(sandbox: Sandbox) -> dict[str, Any]:
    known, catalog = sandbox.settings, sandbox.access
    spec = {
        "endpoint": known.endpoint,
        "bucket": known.bucket,
        "prefix": known.prefix,
        "region": known.region,
        "credentials": {"secretName": _SECRET},
        "catalog": {
            "uri": catalog.uri,
            "warehouse": catalog.warehouse,
            "namespacePrefix": catalog.namespace_prefix,
            "credentials": {"secretName": _CATALOG_SECRET},
        },
        "default": True,
    }
    return {"apiVersion": API_VERSION, "kind": "Storage", "metadata": {"name": STORAGE}, "spec": spec}


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
