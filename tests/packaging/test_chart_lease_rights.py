"""The chart's Role allows what the leader election requests, and no more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.lease import Lease, LeaseSettings
from componentrun.core.lease.holder import HolderPod
from componentrun.core.lease.shard import Shard
from componentrun.process.kubernetes.errors import ForbiddenError
from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.kinds import parse
from tests.fakekube.server import ApiServer
from tests.packaging.charts import of_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.packaging.charts import Chart

NAMESPACE = "componentrun"
BASE = "release-componentrun-operator"
VERBS = {"POST": "create", "PATCH": "patch"}


class AuthorizedKube(InProcessKube):
    """A client whose requests a Role must allow. As in Kubernetes, rules with names allow no `create` and no `list`."""

    def __init__(self, server: ApiServer, role: dict[str, Any]) -> None:
        super().__init__(server)
        self.rules = role["rules"]

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = "application/json",
    ) -> dict[str, Any]:
        target = parse(path)
        assert target is not None
        verb = VERBS.get(method) or ("get" if target.name else "list")
        if not any(self._allows(rule, verb, target.kind.group, target.kind.plural, target.name) for rule in self.rules):
            raise ForbiddenError(f"cannot {verb} {target.kind.plural} {target.name!r}")
        return await super().request(method, path, query=query, body=body, kind=kind)

    @staticmethod
    def _allows(rule: dict[str, Any], verb: str, group: str, plural: str, name: str) -> bool:
        names = rule.get("resourceNames")
        is_of_names = names is None or (name != "" and name in names)
        return verb in rule["verbs"] and group in rule["apiGroups"] and plural in rule["resources"] and is_of_names


def role_of(rendered: Chart, shards: int) -> dict[str, Any]:
    (role,) = of_kind(rendered.render(f"operator.shards={shards}", "operator.replicas=2"), "Role")
    return role


def candidate(kube: InProcessKube, shard: Shard, name: str = "old", pod: HolderPod | None = None) -> Lease:
    identity = name if pod is None else pod.identity(name)
    return Lease(kube, LeaseSettings(NAMESPACE, BASE, pod=pod, shard=shard), identity)


@pytest.mark.parametrize("shards", [1, 2, 8, 12])
async def test_operators_take_and_renew_leases_that_did_not_exist(rendered: Chart, shards: int) -> None:
    kube = AuthorizedKube(ApiServer(NAMESPACE), role_of(rendered, shards))
    for number in range(shards):
        lease = candidate(kube, Shard(number, shards))
        async with asyncio.timeout(30):
            await lease.acquire()
        assert await lease.try_once() == "old"


async def test_a_standby_takes_the_lease_of_a_deleted_pod_and_releases_it(rendered: Chart) -> None:
    kube = AuthorizedKube(ApiServer(NAMESPACE), role_of(rendered, 2))
    await candidate(kube, Shard(0, 2), "process", HolderPod("deleted", "uid-of-deleted")).try_once()
    standby = candidate(kube, Shard(0, 2), "standby")
    assert await standby.try_once() == "standby"
    await standby.release()
    assert await candidate(kube, Shard(0, 2), "another").try_once() == "another"


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3), (8, 2), (8, 12)])
async def test_old_operators_renew_their_leases_with_the_role_of_the_new_number(
    rendered: Chart, before: int, after: int
) -> None:
    kube = AuthorizedKube(ApiServer(NAMESPACE), role_of(rendered, after))
    for number in range(before):
        lease = candidate(kube, Shard(number, before))
        assert await lease.try_once() == "old"
        assert await lease.try_once() == "old"
    assert (await candidate(kube, Shard(0, after), "new").try_once()).startswith("old with lease "), "it waits"


@pytest.mark.parametrize("base", ["another-operator", f"{BASE}-canary"])
async def test_leases_of_other_elections_can_not_be_read(rendered: Chart, base: str) -> None:
    kube = AuthorizedKube(ApiServer(NAMESPACE), role_of(rendered, 2))
    with pytest.raises(ForbiddenError, match="cannot get leases"):
        await Lease(kube, LeaseSettings(NAMESPACE, base), "somebody").try_once()
