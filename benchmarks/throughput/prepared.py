"""What is there before the first run: CRDs, nodes, a namespace with a Storage, a table to read."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from benchmarks.lake import LakePlace, lake_place
from benchmarks.throughput import fakes
from benchmarks.throughput.client import Api, RefusedError, until
from benchmarks.throughput.loader import Loader
from benchmarks.throughput.manifests import NAMESPACE, STORAGE
from benchmarks.throughput.others import Others
from benchmarks.throughput.plane import Plane, free_ports
from componentrun.api.common import API_VERSION
from componentrun.process.kubernetes.resources import SECRETS, STORAGES
from componentrun.wire import loaderaccess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Ground", "prepared"]

_CRDS: Final = Path(__file__).resolve().parents[2] / "crds"
_NODES: Final = 20
_SECRET: Final = "keys"
_CATALOG_SECRET: Final = "catalog"
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
    loader: Mapping[str, str]
    """What an operator is told of it."""

    async def limit(self, running: int) -> None:
        """Let at most so many runs have a pod."""
        await self.api.patch(STORAGES.path(NAMESPACE, STORAGE), {"spec": {"maxRunning": running}})


@asynccontextmanager
async def prepared() -> AsyncIterator[Ground]:
    """A control plane with everything that runs need; afterwards nothing is left of it."""
    with Plane() as plane, lake_place(plane.lake, goes=True) as place:
        async with Api(plane.kubeconfig) as api:
            await _objects(api, place)
            await _account(api)
            plane.admit(await _token(api))
            others = Others(api, place)
            await others.bring_input()
            first, second = free_ports(2)
            caller = f"system:serviceaccount:{NAMESPACE}:{_OPERATOR}"
            token = await _token(api, loaderaccess.AUDIENCE)
            with Loader(plane, caller, token, (first, second)) as loader:
                yield Ground(plane, api, others, loader.settings)


async def _objects(api: Api, place: LakePlace) -> None:
    for file in sorted(_CRDS.glob("*.yaml")):
        body = yaml.safe_load(await asyncio.to_thread(file.read_text, encoding="utf-8"))
        await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    for number in range(_NODES):
        await api.create("/api/v1/nodes", fakes.node(number))
    await api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    secrets = {
        _SECRET: {"accessKeyId": place.settings.access_key, "secretAccessKey": place.settings.secret_key},
        _CATALOG_SECRET: {"clientId": place.access.client_id, "clientSecret": place.access.client_secret},
    }
    for name, values in secrets.items():
        data = {key: _encoded(value or "") for key, value in values.items()}
        await api.create(SECRETS.path(NAMESPACE), {"metadata": {"name": name}, "data": data})

    async def created() -> bool:
        try:
            await api.create(STORAGES.path(NAMESPACE), _storage(place))
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


async def _account(api: Api) -> None:
    """A service account that may do everything."""
    await api.create(_ACCOUNTS, {"metadata": {"name": _OPERATOR}})
    subject = {"kind": "ServiceAccount", "name": _OPERATOR, "namespace": NAMESPACE}
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": _OPERATOR}, "roleRef": role, "subjects": [subject]}
    await api.create(f"/apis/{_RBAC}/v1/clusterrolebindings", binding)


async def _token(api: Api, *audiences: str) -> str:
    """Of the operator; without an audience: for the API server."""
    spec = {"expirationSeconds": _TOKEN_SECONDS, "audiences": list(audiences)}
    answer = await api.create(f"{_ACCOUNTS}/{_OPERATOR}/token", {"spec": spec})
    return str(answer["status"]["token"])


def _storage(place: LakePlace) -> dict[str, Any]:
    known, catalog = place.settings, place.access
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
