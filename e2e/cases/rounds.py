"""Maintenance rounds on the real cluster, one at a time."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dev.cluster import paths, waiting
from dev.install.release import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.tenant import Tenant

ENDS_WITHIN_SECONDS = 300


@contextmanager
def no_other_round(tenant: Tenant) -> Iterator[None]:
    """Prevent rounds by the hourly schedule and by other tests during the block.

    Another round would do the work of this one, and the CronJob keeps only its latest successful job.
    """
    cron_job = ("cronjob", "componentrun-maintenance", "--namespace", NAMESPACE)

    def suspend(*, value: bool) -> None:
        tenant.kubectl("patch", *cron_job, "--type=merge", "--patch", json.dumps({"spec": {"suspend": value}}))

    def active() -> str | None:
        return tenant.kubectl("get", *cron_job, "--output", "jsonpath={.status.active[*].name}").stdout.strip() or None

    with paths.lock("maintenance"):
        suspend(value=True)
        try:
            waiting.until(active, what="the end of a round by schedule", timeout=ENDS_WITHIN_SECONDS)
            yield
        finally:
            suspend(value=False)


def maintain(tenant: Tenant) -> str:
    """Start a maintenance round from the CronJob, and return its log."""
    name = f"maintenance-{uuid.uuid4().hex[:8]}"
    system = ("--namespace", NAMESPACE)
    tenant.kubectl("create", "job", name, "--from=cronjob/componentrun-maintenance", *system)
    try:
        # The round may fail because of other tests' Storages, which this test does not check.
        deadline = time.monotonic() + ENDS_WITHIN_SECONDS
        for conditions in _conditions(tenant, name):
            if "Complete" in conditions or "Failed" in conditions:
                break
            assert time.monotonic() < deadline, conditions
        return tenant.kubectl("logs", f"job/{name}", *system).stdout
    finally:
        tenant.kubectl("delete", "job", name, "--wait=false", *system)


def _conditions(tenant: Tenant, job: str) -> Iterator[str]:
    """Yield the job's conditions whenever they may have changed."""
    while True:
        tenant.kubectl("wait", f"job/{job}", "--for=condition=Complete", "--timeout=2s", "--namespace", NAMESPACE,
                       check=False)  # fmt: skip
        yield tenant.kubectl(
            "get", "job", job, "--output", "jsonpath={.status.conditions[*].type}", "--namespace", NAMESPACE
        ).stdout
