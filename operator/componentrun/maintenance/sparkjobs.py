"""Jobs in which Spark maintains the large tables of a Storage."""

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
from componentrun.maintenance.settings import MIB
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
"""Maximum number of Jobs of one Storage at a time."""
_PORTS: Final = {"http": 80, "https": 443}


def settings_of(storage: Storage) -> StorageSpark:
    """The Spark settings of a Storage, or their defaults."""
    maintenance = storage.spec.maintenance
    return (maintenance.spark if maintenance is not None else None) or StorageSpark()


class SparkJobs:
    """The Jobs of one Storage."""

    def __init__(self, kube: Kube, place: CatalogPlace, storage: Storage, settings: Settings, image: str) -> None:
        """Send nothing yet. `image` is that of the Jobs' pods."""
        self._kube, self._place, self._storage, self._settings, self._image = kube, place, storage, settings, image
        self._spark, self._namespace = settings_of(storage), storage.metadata.namespace

    async def failed(self) -> list[str]:
        """Return the tables whose Job has failed, and delete these Jobs so that later ones can take their place.

        Raises:
            KubeError: the API server refused a request or is unavailable.
        """
        found = []
        for job in await self._jobs():
            if not _has_condition(job, "Failed"):
                continue
            table = (job["metadata"].get("annotations") or {}).get(names.TABLE_ANNOTATION, "")
            log.error(
                "Storage %s: the Job %s, in which Spark maintains %s, failed: %s. See the log of its pod",
                *(self._place.title, job["metadata"]["name"], table, _failure_message(job)),
            )
            try:
                await self._kube.delete(JOBS, self._namespace, job["metadata"]["name"], job["metadata"]["uid"])
            except (NotFoundError, ConflictError):
                log.debug("the Job %s is already deleted", job["metadata"]["name"])
            found.append(table)
        return found

    async def start(self, tables: Sequence[tuple[str, bool]]) -> list[str]:
        """Create Jobs for tables.

        Args:
            tables: ids of the tables, each with whether to look for orphan files.

        Returns:
            Tables without a new Job: they have one already, or too many Jobs are running.

        Raises:
            KubeError: the API server refused a request or is unavailable.
            TransientError: the host name of the store or of the catalog can't be resolved.
        """
        jobs = await self._jobs()
        existing = {job["metadata"]["name"] for job in jobs}
        room = _MOST_JOBS - sum(not (_has_condition(job, "Complete") or _has_condition(job, "Failed")) for job in jobs)
        if tables and room > 0:
            await self._ensure_policy()
        later = []
        for table, scans in tables:
            if job_name(self._storage, table) in existing or room <= 0 or not await self._create(table, scans=scans):
                later.append(table)
                continue
            room -= 1
        return later

    async def _create(self, table: str, *, scans: bool) -> bool:
        task, pulls = self._task(table, scans=scans), self._settings.agent_pull_secrets
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
        settings = self._settings
        return SparkTask(
            storage={"metadata": {key: raw["metadata"][key] for key in ("name", "namespace")}, "spec": raw["spec"]},
            table=table,
            scans=scans,
            history=self._place.history.total_seconds(),
            file_bytes=settings.maintenance_tables_file_mib * MIB,
            files=settings.maintenance_tables_files,
            deleted_percent=settings.maintenance_tables_deleted_percent,
            memory=job_memory(self._spark),
            conf=dict(self._spark.spark_conf),
        )

    async def _jobs(self) -> list[dict[str, Any]]:
        labels = f"{names.SPARK_LABEL}={spark_label(self._storage)}"
        return [job async for page in self._kube.pages(JOBS, self._namespace, labels) for job in page.items]

    async def _ensure_policy(self) -> None:
        """Create or update the NetworkPolicy of the Jobs' pods, which allows store, catalog and DNS only."""
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
            f"the host name `{host}` can't be resolved, so the network policy of Spark can't allow it ({error})",
            Reason.STORAGE_UNAVAILABLE,
            advice="Correct the address in the Storage, or give it `egress` rules.",
        ) from error
    return sorted({(str(item[4][0]), port) for item in found})


def _has_condition(job: dict[str, Any], kind: str) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(found["type"] == kind and found["status"] == "True" for found in conditions)


def _failure_message(job: dict[str, Any]) -> str:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((str(found.get("message", "")) for found in conditions if found["type"] == "Failed"), "")
