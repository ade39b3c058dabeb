"""Large tables are handed to Spark: a Job for each, so many at a time, and what failed is looked at again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from componentrun.api.storage import Storage
from componentrun.core.storages.sparkjob import job_name
from componentrun.maintenance.places import CatalogPlace
from componentrun.maintenance.settings import Settings
from componentrun.maintenance.sparkjobs import SparkJobs
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.spark import TASK_VARIABLE, from_text
from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.server import ApiServer

LARGE = [f"out.c-main.t{number}" for number in range(6)]


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
def cluster() -> ApiServer:
    return ApiServer("team")


def jobs(cluster: ApiServer) -> SparkJobs:
    return SparkJobs(InProcessKube(cluster), PLACE, STORAGE, Settings(), "registry/spark:1")


def end(cluster: ApiServer, table: str, how: str) -> None:
    """Have the Job of a table end."""
    conditions = [{"type": how, "status": "True", "message": "why"}]
    cluster.change("jobs", "team", job_name(STORAGE, table), {"status": {"conditions": conditions}})


async def test_each_table_has_one_job_however_often_maintenance_comes(cluster: ApiServer) -> None:
    assert await jobs(cluster).start([(LARGE[0], False), (LARGE[1], True)]) == []
    assert await jobs(cluster).start([(LARGE[0], False)]) == [LARGE[0]], "its Job still works"
    created = {job["metadata"]["name"] for job in cluster.of("jobs")}
    assert created == {job_name(STORAGE, table) for table in LARGE[:2]}
    told = cluster.get("jobs", "team", job_name(STORAGE, LARGE[1]))["spec"]["template"]["spec"]["containers"][0]["env"]
    task = from_text(next(item["value"] for item in told if item["name"] == TASK_VARIABLE))
    assert (task.table, task.scans, task.history) == (LARGE[1], True, 30 * 86400)


async def test_of_many_tables_some_wait_for_a_later_round(cluster: ApiServer) -> None:
    assert await jobs(cluster).start([(table, False) for table in LARGE]) == LARGE[4:]
    end(cluster, LARGE[0], "Complete")
    assert await jobs(cluster).start([(LARGE[4], False), (LARGE[5], False)]) == [LARGE[5]]


async def test_a_job_that_failed_is_told_and_makes_room_for_another(
    cluster: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    await jobs(cluster).start([(LARGE[0], False)])
    end(cluster, LARGE[0], "Failed")
    assert await jobs(cluster).failed() == [LARGE[0]]
    assert "in which Spark maintains out.c-main.t0, failed: why" in caplog.text
    assert await jobs(cluster).failed() == []
    assert await jobs(cluster).start([(LARGE[0], False)]) == []


async def test_its_network_is_closed_before_a_job_is_there(cluster: ApiServer) -> None:
    await jobs(cluster).start([])
    assert not cluster.of("networkpolicies")
    await jobs(cluster).start([(LARGE[0], False)])
    (policy,) = cluster.of("networkpolicies")
    opened = [rule["to"][0]["ipBlock"]["cidr"] for rule in policy["spec"]["egress"][1:]]
    assert opened == ["192.0.2.2/32", "192.0.2.1/32"]
    await jobs(cluster).start([(LARGE[1], False)])
    patched = [request.path.rpartition("/")[2] for request in cluster.requests if request.method == "PATCH"]
    assert patched == [policy["metadata"]["name"]], "addresses may have changed"
