"""Jobs in which Spark maintains the large tables of a Storage: created, counted, and looked at when they failed."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from componentrun.api import names
from componentrun.api.storage import StorageSpark
from componentrun.core.pod.networkpolicy import build_spark_policy
from componentrun.core.storages.sparkjob import build_job, job_memory, job_name, spark_label
from componentrun.errors import Reason, TransientError
from componentrun.process.kubernetes.errors import AlreadyExistsError, ConflictError, NotFoundError
from componentrun.process.kubernetes.resources import JOBS, NETWORK_POLICIES
from componentrun.wire.spark import SparkTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.storage import Storage
    from componentrun.maintenance.places import CatalogPlace
    from componentrun.maintenance.settings import Settings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["SparkJobs", "settings_of"]

log = logging.getLogger(__name__)

_MOST_JOBS: Final = 4
"""Of a Storage at a time."""
_PORTS: Final = {"http": 80, "https": 443}


def settings_of(storage: Storage) -> StorageSpark:
    """How Spark maintains large tables of a Storage."""
    maintenance = storage.spec.maintenance
    return (maintenance.spark if maintenance is not None else None) or StorageSpark()


class SparkJobs:
    """The Jobs of one Storage."""

    def __init__(self, kube: Kube, place: CatalogPlace, storage: Storage, settings: Settings, image: str) -> None:
        """Nothing is sent yet. `image`: of the Jobs' pods."""
        self._kube, self._place, self._storage, self._settings, self._image = kube, place, storage, settings, image
        self._spark, self._namespace = settings_of(storage), storage.metadata.namespace

    async def failed(self) -> list[str]:
        """Tables of which the Job has failed. These Jobs are deleted, so that a later one can take their place.

        Raises:
            KubeError: the API server refused or is away.
        """
        found = []
        for job in await self._jobs():
            if not _is(job, "Failed"):
                continue
            table = (job["metadata"].get("annotations") or {}).get(names.TABLE_ANNOTATION, "")
            log.error(
                "Storage %s: the Job %s, in which Spark maintains %s, failed: %s. Its pod's log says why",
                *(self._place.title, job["metadata"]["name"], table, _why(job)),
            )
            try:
                await self._kube.delete(JOBS, self._namespace, job["metadata"]["name"], job["metadata"]["uid"])
            except (NotFoundError, ConflictError):
                log.debug("the Job %s is gone already", job["metadata"]["name"])
            found.append(table)
        return found

    async def start(self, tables: Sequence[tuple[str, bool]]) -> list[str]:
        """Have tables maintained.

        Args:
            tables: their ids, and whether files are looked for that nothing reaches.

        Returns:
            Those whose turn has not come: a Job of theirs is there already, or too many are.

        Raises:
            KubeError: the API server refused or is away.
            TransientError: the name of the store or of the catalog can't be resolved.
        """
        jobs = await self._jobs()
        there = {job["metadata"]["name"] for job in jobs}
        room = _MOST_JOBS - sum(not (_is(job, "Complete") or _is(job, "Failed")) for job in jobs)
        if tables and room > 0:
            await self._open_network()
        later = []
        for table, scans in tables:
            if job_name(self._storage, table) in there or room <= 0 or not await self._create(table, scans=scans):
                later.append(table)
                continue
            room -= 1
        return later

    async def _create(self, table: str, *, scans: bool) -> bool:
        task, pulls = self._task(table, scans=scans), self._settings.pull_secrets
        job = build_job(self._storage, self._spark, task, self._image, pulls)
        try:
            await self._kube.create(JOBS, self._namespace, job)
        except AlreadyExistsError:
            return False
        log.info(
            "Storage %s: Spark maintains %s in the Job %s/%s",
            *(self._place.title, table, self._namespace, job["metadata"]["name"]),
        )
        return True

    def _task(self, table: str, *, scans: bool) -> SparkTask:
        raw = self._storage.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status"})
        chosen = self._settings.tables
        return SparkTask(
            storage={"metadata": {key: raw["metadata"][key] for key in ("name", "namespace")}, "spec": raw["spec"]},
            table=table,
            scans=scans,
            history=self._place.history.total_seconds(),
            file_bytes=chosen.target,
            files=chosen.files,
            deleted_percent=chosen.deleted_percent,
            memory=job_memory(self._spark),
            conf=dict(self._spark.spark_conf),
        )

    async def _jobs(self) -> list[dict[str, Any]]:
        labels = f"{names.SPARK_LABEL}={spark_label(self._storage)}"
        return [job async for page in self._kube.pages(JOBS, self._namespace, labels) for job in page.items]

    async def _open_network(self) -> None:
        """Have the NetworkPolicy of the Jobs' pods: nothing but store, catalog and DNS is open to them."""
        label = spark_label(self._storage)
        name = f"{names.MANAGED_BY}-spark-{label}"
        store, catalog = self._place.settings, self._place.settings.catalog
        urls = [] if catalog is None else [catalog.uri, *([catalog.oauth2_server_uri] if catalog.client_id else [])]
        is_open = bool(self._storage.spec.egress)
        wanted = build_spark_policy(
            self._storage,
            name,
            label,
            store_addresses=() if is_open else await _addresses(store.base_url),
            catalog_addresses=() if is_open else [found for url in urls for found in await _addresses(url)],
            dns_cidrs=self._settings.dns_cidrs,
        )
        try:
            await self._kube.create(NETWORK_POLICIES, self._namespace, wanted)
        except AlreadyExistsError:
            change = {"metadata": {"ownerReferences": wanted["metadata"]["ownerReferences"]}, "spec": wanted["spec"]}
            await self._kube.patch(NETWORK_POLICIES, self._namespace, name, change)


async def _addresses(url: str) -> list[tuple[str, int]]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(
            f"the name `{host}` can't be resolved, so no way to it can be opened for Spark ({error}); correct the "
            "Storage, or give its `egress` rules",
            Reason.STORAGE_UNAVAILABLE,
        ) from error
    return sorted({(str(item[4][0]), port) for item in found})


def _is(job: dict[str, Any], kind: str) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(found["type"] == kind and found["status"] == "True" for found in conditions)


def _why(job: dict[str, Any]) -> str:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((str(found.get("message", "")) for found in conditions if found["type"] == "Failed"), "")
