"""Large tables are handed to Spark: a Job for each, so many at a time, and what failed is looked at again."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.storage import Storage
from componentrun.core.storages.sparkjob import job_name
from componentrun.maintenance.places import CatalogPlace
from componentrun.maintenance.settings import Settings
from componentrun.maintenance.sparkjobs import SparkJobs
from componentrun.process.kubernetes.client import Page
from componentrun.process.kubernetes.errors import AlreadyExistsError
from componentrun.process.kubernetes.resources import JOBS, NETWORK_POLICIES
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.spark import TASK_VARIABLE, from_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.process.kubernetes.resources import Resource

LARGE = [f"out.c-main.t{number}" for number in range(6)]


class Cluster:
    """Jobs and NetworkPolicies of one namespace, by their names."""

    def __init__(self) -> None:
        self.objects: defaultdict[Resource, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.patched: list[str] = []

    async def create(self, resource: Resource, _namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        name = body["metadata"]["name"]
        if name in self.objects[resource]:
            raise AlreadyExistsError("there", 409)
        body["metadata"]["uid"] = f"uid-{name}"
        self.objects[resource][name] = body
        return body

    async def patch(self, _resource: Resource, _namespace: str, name: str, _body: dict[str, Any]) -> None:
        self.patched.append(name)

    async def delete(self, resource: Resource, _namespace: str, name: str, uid: str) -> None:
        assert self.objects[resource].pop(name)["metadata"]["uid"] == uid

    async def pages(self, resource: Resource, _namespace: str, labels: str) -> AsyncIterator[Page]:
        key, _, value = labels.partition("=")
        yield Page(tuple(o for o in self.objects[resource].values() if o["metadata"]["labels"].get(key) == value), "1")

    def end(self, table: str, how: str) -> None:
        job = self.objects[JOBS][job_name(STORAGE, table)]
        job["status"] = {"conditions": [{"type": how, "status": "True", "message": "why"}]}


STORAGE = Storage.model_validate(
    {
        "metadata": {"name": "lake", "namespace": "team", "uid": "1"},
        "spec": {
            "bucket": "bucket",
            "endpoint": "http://192.0.2.1:9000",
            "catalog": {"uri": "http://192.0.2.2:8181", "warehouse": "lake"},
            "maintenance": {"engine": "Spark"},
        },
    }
)
PLACE = CatalogPlace(
    "team/lake",
    StoreSettings("bucket", endpoint="http://192.0.2.1:9000", catalog=CatalogSettings("http://192.0.2.2:8181", "lake")),
    timedelta(days=30),
    is_maintained=True,
    spark=STORAGE,
)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def jobs(cluster: Cluster) -> SparkJobs:
    return SparkJobs(cluster, PLACE, STORAGE, Settings(), "registry/spark:1")  # type: ignore[arg-type]


async def test_each_table_has_one_job_however_often_maintenance_comes(cluster: Cluster) -> None:
    assert await jobs(cluster).start([(LARGE[0], False), (LARGE[1], True)]) == []
    assert await jobs(cluster).start([(LARGE[0], False)]) == [LARGE[0]], "its Job still works"
    assert set(cluster.objects[JOBS]) == {job_name(STORAGE, table) for table in LARGE[:2]}
    told = cluster.objects[JOBS][job_name(STORAGE, LARGE[1])]["spec"]["template"]["spec"]["containers"][0]["env"]
    task = from_text(next(item["value"] for item in told if item["name"] == TASK_VARIABLE))
    assert (task.table, task.scans, task.history) == (LARGE[1], True, 30 * 86400)


async def test_of_many_tables_some_wait_for_a_later_round(cluster: Cluster) -> None:
    assert await jobs(cluster).start([(table, False) for table in LARGE]) == LARGE[4:]
    cluster.end(LARGE[0], "Complete")
    assert await jobs(cluster).start([(LARGE[4], False), (LARGE[5], False)]) == [LARGE[5]]


async def test_a_job_that_failed_is_told_and_makes_room_for_another(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await jobs(cluster).start([(LARGE[0], False)])
    cluster.end(LARGE[0], "Failed")
    assert await jobs(cluster).failed() == [LARGE[0]]
    assert "in which Spark maintains out.c-main.t0, failed: why" in caplog.text
    assert await jobs(cluster).failed() == []
    assert await jobs(cluster).start([(LARGE[0], False)]) == []


async def test_its_network_is_closed_before_a_job_is_there(cluster: Cluster) -> None:
    await jobs(cluster).start([])
    assert not cluster.objects[NETWORK_POLICIES]
    await jobs(cluster).start([(LARGE[0], False)])
    (policy,) = cluster.objects[NETWORK_POLICIES].values()
    opened = [rule["to"][0]["ipBlock"]["cidr"] for rule in policy["spec"]["egress"][1:]]
    assert opened == ["192.0.2.2/32", "192.0.2.1/32"]
    await jobs(cluster).start([(LARGE[1], False)])
    assert cluster.patched == [policy["metadata"]["name"]], "addresses may have changed"
