"""What is there before the first run: CRDs, nodes, a namespace with a Storage, a table to read."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from benchmarks.throughput import fakes
from benchmarks.throughput.client import Api, RefusedError, until
from benchmarks.throughput.manifests import NAMESPACE, STORAGE
from benchmarks.throughput.others import Others
from benchmarks.throughput.plane import BUCKET, KEYS, Plane
from componentrun.api.common import API_VERSION
from componentrun.process.resources import SECRETS, STORAGES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Ground", "prepared"]

_CRDS: Final = Path(__file__).resolve().parents[2] / "crds"
_NODES: Final = 20
_SECRET: Final = "keys"
_PATIENCE: Final = 60.0
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_ACCOUNTS: Final = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
_OPERATOR: Final = "operator"
_RBAC: Final = "rbac.authorization.k8s.io"
_TOKEN_SECONDS: Final = 4 * 3600


@dataclass(frozen=True, slots=True)
class Ground:
    """What a benchmark works with."""

    plane: Plane
    api: Api
    others: Others

    async def limit(self, running: int) -> None:
        """Let at most so many runs have a pod."""
        await self.api.patch(STORAGES.path(NAMESPACE, STORAGE), {"spec": {"maxRunning": running}})


@asynccontextmanager
async def prepared() -> AsyncIterator[Ground]:
    """A control plane with everything that runs need; afterwards nothing is left of it."""
    with Plane() as plane:
        async with Api(plane.kubeconfig) as api:
            await _objects(api, plane.store_endpoint)
            plane.admit(await _token(api))
            others = Others(api, plane.store_endpoint)
            await others.bring_input()
            yield Ground(plane, api, others)


async def _objects(api: Api, endpoint: str) -> None:
    for file in sorted(_CRDS.glob("*.yaml")):
        body = yaml.safe_load(await asyncio.to_thread(file.read_text, encoding="utf-8"))
        await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    for number in range(_NODES):
        await api.create("/api/v1/nodes", fakes.node(number))
    await api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    data = dict(zip(("accessKeyId", "secretAccessKey"), map(_encoded, KEYS), strict=True))
    await api.create(SECRETS.path(NAMESPACE), {"metadata": {"name": _SECRET}, "data": data})

    async def created() -> bool:
        try:
            await api.create(STORAGES.path(NAMESPACE), _storage(endpoint))
        except RefusedError:
            return False  # its CRD is not served yet
        return True

    async def ready() -> bool:
        accounts = await api.get(_ACCOUNTS)
        return bool(accounts["items"]) and all(map(_is_ready, (await api.get("/api/v1/nodes"))["items"]))

    async def held() -> bool:
        # KWOK passes over the pods of a node whose lease it has not got yet, and never comes back to them.
        leases = (await api.get(_LEASES))["items"]
        return sum(bool(lease["spec"].get("renewTime")) for lease in leases) >= _NODES

    await until(created, _PATIENCE)
    await until(ready, _PATIENCE)
    await until(held, _PATIENCE)


async def _token(api: Api) -> str:
    """Of a service account that may do everything."""
    await api.create(_ACCOUNTS, {"metadata": {"name": _OPERATOR}})
    subject = {"kind": "ServiceAccount", "name": _OPERATOR, "namespace": NAMESPACE}
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": _OPERATOR}, "roleRef": role, "subjects": [subject]}
    await api.create(f"/apis/{_RBAC}/v1/clusterrolebindings", binding)
    answer = await api.create(f"{_ACCOUNTS}/{_OPERATOR}/token", {"spec": {"expirationSeconds": _TOKEN_SECONDS}})
    return str(answer["status"]["token"])


def _storage(endpoint: str) -> dict[str, Any]:
    spec = {"endpoint": endpoint, "bucket": BUCKET, "credentials": {"secretName": _SECRET}, "default": True}
    return {"apiVersion": API_VERSION, "kind": "Storage", "metadata": {"name": STORAGE}, "spec": spec}


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
