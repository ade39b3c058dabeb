"""What a run costs beside a bare pod and a Job written by hand, for a tiny table and for one of 512 MiB."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks import tables
from benchmarks.chain import PARTS
from benchmarks.journal import Journal
from benchmarks.lab import s5cmd_environment
from benchmarks.turns import figures, in_turns
from benchmarks.ways import KEYS, BarePod, HandWrittenJob, Run, Work, once
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.lab import Lab
    from benchmarks.record import Figure
    from e2e.tenant import Tenant

__all__ = ["data", "tiny"]

_TABLE: Final = "in.c-main.table"
_LARGE: Final[dict[str, Any]] = {"limits": {"cpu": "1", "memory": "256Mi"}}
"""What a component has where nothing is said."""


def tiny(lab: Lab, repeats: int) -> list[Figure]:
    """Three rows: what is left is the cost of the machinery."""
    file = tables.folder() / "tiny.csv"
    file.write_text(tables.TINY, encoding="utf-8")
    return _three_ways(lab, "tiny", file, SMALL, repeats)


def data(lab: Lab, repeats: int) -> list[Figure]:
    """512 MiB in and out."""
    return _three_ways(lab, "data", tables.large(), _LARGE, repeats)


def _three_ways(lab: Lab, subject: str, file: Path, resources: dict[str, Any], repeats: int) -> list[Figure]:
    with lab.tenant("bench") as tenant:
        work = _prepare(lab, tenant, subject, file, resources)
        with Journal(tenant) as journal:
            ways = (BarePod(tenant, work), HandWrittenJob(tenant, work), Run(tenant, work))
            values = in_turns([partial(once, journal, way, work) for way in ways], repeats)
    return figures(values, "s", _pairs(subject))


def _prepare(lab: Lab, tenant: Tenant, subject: str, file: Path, resources: dict[str, Any]) -> Work:
    """Have the input in the store, as a table and as a plain object."""
    tenant.secret(KEYS, s5cmd_environment(lab.connection))
    done = tenant.cli("table", "put", str(file), _TABLE)
    assert done.returncode == 0, done.stderr
    key = tenant.settings.layout.object("files/in/table.csv")
    lab.run_s5cmd("cp", str(file), f"s3://{tenant.settings.bucket}/{key}")
    return Work(
        subject=subject,
        table=_TABLE,
        object=key,
        component_image=lab.components,
        s5cmd_image=lab.s5cmd_image,
        resources=resources,
        bare_pod_moves_data=subject == "data",
    )


def _pairs(subject: str) -> dict[str, str]:
    """A run and each of its parts against those of the Job; the Job against the bare pod."""
    run, job, pod = (f"overhead.{subject}.{way}" for way in ("run", "job", "pod"))
    return {run: job, job: pod} | {f"{run}.{part}": f"{job}.{part}" for part in PARTS}
