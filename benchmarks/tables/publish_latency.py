"""Time on a cluster from the end of a tiny table's upload until its run reports the publication."""

from __future__ import annotations

import statistics
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Final

from benchmarks.harness.interleave import figures
from benchmarks.overhead.phases import RUN_CONTAINERS, phase_seconds
from benchmarks.overhead.watch_log import PODS, RUNS, WatchLog
from dev.cluster.progress import say
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from benchmarks.harness.testbed import Testbed
    from benchmarks.overhead.watch_log import WatchEvent
    from benchmarks.report.results import Figure
    from e2e.tenant import Tenant

__all__ = ["publish"]

_RUNS: Final = 10
_INPUT: Final = "in.c-main.tiny"
_OUTPUT: Final = "out.c-main.tiny"
_FILE: Final = "tiny.csv"
_WARM_UPS: Final = 2


def publish(testbed: Testbed, repeats: int) -> list[Figure]:
    """Ten runs, one after the other, that copy three rows."""
    with testbed.tenant("bench") as tenant:
        tenant.put_table(_INPUT, "id,text\n1,one\n2,two\n3,three\n")
        with WatchLog(tenant) as watch_log:
            found = [_once(testbed, tenant, watch_log) for _ in range(_WARM_UPS + _RUNS * repeats)][_WARM_UPS:]
    seen, own = [heard for heard, _ in found], [phase for _, phase in found]
    last = {"tables.publish.p95": [statistics.quantiles(seen, n=20, method="inclusive")[-1]]}
    return figures({"tables.publish.p50": seen, "tables.publish.phase": own} | last, "s")


def _once(testbed: Testbed, tenant: Tenant, watch_log: WatchLog) -> tuple[float, float]:
    """Return the time from the end of stage-out to the run's event, and the time in phase Publishing."""
    watch_log.forget()
    name, begun = f"b-{uuid.uuid4().hex[:8]}", time.monotonic()
    tenant.run(
        testbed.components,
        "copy",
        name=name,
        input={"tables": [{"source": _INPUT, "destination": _FILE}]},
        output={"tables": [{"source": _FILE, "destination": _OUTPUT}]},
    )

    def ended(seen: WatchEvent) -> bool:
        phase = phase_of(seen.object)
        assert phase not in {"Failed", "Cancelled"}, seen.object.get("status")
        return seen.name == name and phase == "Succeeded"

    last = watch_log.until(RUNS, ended)
    found = phase_seconds(begun, last.at, watch_log.all(), RUN_CONTAINERS)
    watch_log.until(PODS, lambda seen: seen.event == "DELETED")
    phases = {item["phase"]: datetime.fromisoformat(item["startTime"]) for item in last.object["status"]["phases"]}
    own = (phases["Succeeded"] - phases["Publishing"]).total_seconds()
    say(f"      {name}: {found['finish']:.3f} s, the phase {own:.3f} s")
    return found["finish"], own
