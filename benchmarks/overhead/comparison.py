"""A run compared with a bare pod and a hand-written Job, for a tiny table and for one of 512 MiB."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import csvfiles
from benchmarks.harness.interleave import figures, interleave
from benchmarks.harness.testbed import s5cmd_environment
from benchmarks.overhead.phases import PHASES
from benchmarks.overhead.watch_log import WatchLog
from benchmarks.overhead.workloads import KEYS, BarePod, CopyTask, HandWrittenJob, Run, run_once
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from e2e.tenant import Tenant

__all__ = ["data", "tiny"]

_TABLE: Final = "in.c-main.table"
_PUT_SECONDS: Final = 600
_LARGE: Final[dict[str, Any]] = {"limits": {"cpu": "1", "memory": "256Mi"}}
"""Default resources of a component."""


def tiny(testbed: Testbed, repeats: int) -> list[Figure]:
    """Three rows, so that only the overhead remains."""
    return _three_ways(testbed, "tiny", csvfiles.tiny(), SMALL, repeats)


def data(testbed: Testbed, repeats: int) -> list[Figure]:
    """512 MiB in and out."""
    return _three_ways(testbed, "data", csvfiles.large(), _LARGE, repeats)


def _three_ways(testbed: Testbed, subject: str, file: Path, resources: dict[str, Any], repeats: int) -> list[Figure]:
    with testbed.tenant("bench") as tenant:
        task = _prepare(testbed, tenant, subject, file, resources)
        with WatchLog(tenant) as watch_log:
            workloads = (BarePod(tenant, task), HandWrittenJob(tenant, task), Run(tenant, task))
            values = interleave([partial(run_once, watch_log, workload, task) for workload in workloads], repeats)
    return figures(values, "s", _pairs(subject))


def _prepare(testbed: Testbed, tenant: Tenant, subject: str, file: Path, resources: dict[str, Any]) -> CopyTask:
    """Store the input as a table and as a plain object."""
    tenant.secret(KEYS, s5cmd_environment(testbed.connection))
    put = tenant.cli("table", "put", str(file), _TABLE, timeout=_PUT_SECONDS)
    assert not put.returncode, put.stderr
    key = tenant.settings.layout.object("files/in/table.csv")
    testbed.run_s5cmd("cp", str(file), f"s3://{tenant.settings.bucket}/{key}")
    return CopyTask(
        subject=subject,
        table=_TABLE,
        object=key,
        component_image=testbed.components,
        s5cmd_image=testbed.s5cmd_image,
        resources=resources,
        bare_pod_moves_data=subject == "data",
    )


def _pairs(subject: str) -> dict[str, str]:
    """Compare a run and its phases with those of the Job, and the Job with the bare pod."""
    run, job, pod = (f"overhead.{subject}.{workload}" for workload in ("run", "job", "pod"))
    return {run: job, job: pod} | {f"{run}.{part}": f"{job}.{part}" for part in PHASES}
