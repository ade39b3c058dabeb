"""Maintenance with a Spark Job on the real cluster: a restricted pod with a closed network does the work."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import kubernetes
import pytest

from componentrun.api.names import SPARK_LABEL
from componentrun.api.storage import Storage
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.loading.load import load
from componentrun.maintenance.catalogs import maintain_catalog
from componentrun.maintenance.places import CatalogPlace
from componentrun.maintenance.settings import Settings
from componentrun.process.kubernetes.access.context import access_of
from componentrun.process.kubernetes.access.kubeconfig import read_kubeconfig
from componentrun.process.kubernetes.client import Kube
from componentrun.storage.store.keys import TableId
from dev import images
from dev.cluster import connection as cluster_connection
from dev.cluster import waiting
from e2e import tenant
from tests.integration.lake_space import LakeSpace
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.build.spark import Spark
    from e2e.tenant import Tenant

pytestmark = [pytest.mark.cluster, pytest.mark.store, pytest.mark.long]

A = "out.c-main.a"
SPARK = {
    # Every table counts as large.
    "tableSizeThreshold": "1",
    "resources": {
        "limits": {"cpu": "2", "memory": "1536Mi", "ephemeral-storage": "1Gi"},
        "requests": {"cpu": "50m", "memory": "900Mi"},
    },
    "timeout": "10m",
}


class Quiet:
    """Does not count requests."""

    def request_done(self, method: str, code: str, host: str) -> None:
        """Do nothing."""


@pytest.fixture
def team(spark_files: Spark) -> Iterator[Tenant]:
    """A tenant, on a machine that can download the content of the Spark image."""
    assert spark_files.jars
    made = tenant.create(cluster_connection.load(), "spark")
    # An operator that is installed on the cluster maintains all Storages each hour, without Spark.
    without = {"spec": {"maintenance": {"engine": "None"}}}
    made.custom.patch_namespaced_custom_object(
        "componentrun.dev", "v1alpha1", made.namespace, "storages", "main", without
    )
    yield made
    made.delete()


def maintained(team: Tenant, image: str) -> int:
    """Run a maintenance round over the tenant's Storage with `engine: Spark`, and return the number of failed steps."""
    raw = team.custom.get_namespaced_custom_object("componentrun.dev", "v1alpha1", team.namespace, "storages", "main")
    raw = raw | {"spec": raw["spec"] | {"maintenance": {"engine": "Spark", "spark": SPARK}}}
    storage = Storage.model_validate(raw)
    place = CatalogPlace(team.namespace, team.settings, timedelta(days=7), is_maintained=True, spark=storage)

    async def maintain() -> int:
        async with Kube(access_of(read_kubeconfig([team.connection.kubeconfig])), Quiet()) as kube:
            return await maintain_catalog(place, Settings(maintenance_spark_image=image), kube)

    return asyncio.run(maintain())


def test_a_job_of_spark_maintains_a_table(team: Tenant, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    connection = team.connection
    (image,) = images.ensure(connection, ["componentrun-spark"]).values()
    catalog = Catalog(team.settings)
    bench = Bench(LakeSpace(connection.lake), tmp_path)
    bench.settings, bench.catalog = team.settings, catalog
    for number in range(9):
        run = bench.new_run()
        table = bench.table(run, A, ["id", "v"], [[f"{number % 6}", f"v{number}"]], key=["id"], incremental=True)
        load(catalog, bench.request(run, table), str(tmp_path))
    assert maintained(team, image) == 0, caplog.text
    batch: Any = kubernetes.client.BatchV1Api(team.api)
    (job,) = batch.list_namespaced_job(team.namespace, label_selector=SPARK_LABEL).items

    def unfinished() -> str | None:
        status = batch.read_namespaced_job(job.metadata.name, team.namespace).status
        kinds = {found.type for found in status.conditions or () if found.status == "True"}
        assert "Failed" not in kinds, team.kubectl("logs", f"job/{job.metadata.name}", check=False).stdout[-5000:]
        return None if "Complete" in kinds else team.kubectl("describe", "pods", check=False).stdout[-1500:]

    waiting.until(unfinished, what="the Job", timeout=500)
    log = team.kubectl("logs", f"job/{job.metadata.name}").stdout
    assert "9 data files" in log, log[-5000:]
    assert (team.settings.secret_key or "") not in log
    scan = bench.scan(A)
    assert scan is not None
    assert (len(scan.files), len(scan.deletes)) == (1, 0)
    assert dict(bench.rows(A) or []) == {"0": "v6", "1": "v7", "2": "v8", "3": "v3", "4": "v4", "5": "v5"}
    found = catalog.find(to_iceberg(team.namespace_prefix, TableId.parse(A)))
    assert found is not None
    assert found.metadata.current_snapshot().summary["componentrun.maintenance"] == "rewrite"  # type: ignore[union-attr,index]
    # Another round finds the existing Job, or has nothing to do.
    assert maintained(team, image) == 0
    assert len(batch.list_namespaced_job(team.namespace, label_selector=SPARK_LABEL).items) == 1
