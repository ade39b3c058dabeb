"""How long it takes on a cluster from the end of the upload of a tiny table until its run says that it is published."""

from __future__ import annotations

import statistics
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Final

from benchmarks.chain import RUN_CHAIN, parts
from benchmarks.journal import PODS, RUNS, Journal
from benchmarks.turns import figures
from dev.cluster.progress import say
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from benchmarks.journal import Seen
    from benchmarks.lab import Lab
    from benchmarks.record import Figure
    from e2e.tenant import Tenant

__all__ = ["publish"]

_RUNS: Final = 10
_INPUT: Final = "in.c-main.tiny"
_OUTPUT: Final = "out.c-main.tiny"
_FILE: Final = "tiny.csv"
_WARM_UPS: Final = 2


def publish(lab: Lab, repeats: int) -> list[Figure]:
    """Ten runs, one after the other, that copy three rows."""
    with lab.tenant("bench") as tenant:
        tenant.put_table(_INPUT, "id,text\n1,one\n2,two\n3,three\n")
        with Journal(tenant) as journal:
            found = [_once(lab, tenant, journal) for _ in range(_WARM_UPS + _RUNS * repeats)][_WARM_UPS:]
    seen, own = [heard for heard, _ in found], [phase for _, phase in found]
    last = {"tables.publish.p95": [statistics.quantiles(seen, n=20, method="inclusive")[-1]]}
    return figures({"tables.publish.p50": seen, "tables.publish.phase": own} | last, "s")


def _once(lab: Lab, tenant: Tenant, journal: Journal) -> tuple[float, float]:
    """From the event of the pod that says that stage-out has ended to the one of the run; and the phase Publishing."""
    journal.forget()
    name, begun = f"b-{uuid.uuid4().hex[:8]}", time.monotonic()
    tenant.run(
        lab.components,
        "copy",
        name=name,
        input={"tables": [{"source": _INPUT, "destination": _FILE}]},
        output={"tables": [{"source": _FILE, "destination": _OUTPUT}]},
    )

    def ended(seen: Seen) -> bool:
        phase = phase_of(seen.object)
        assert phase not in {"Failed", "Cancelled"}, seen.object.get("status")
        return seen.name == name and phase == "Succeeded"

    last = journal.until(RUNS, ended)
    found = parts(begun, last.at, journal.all(), RUN_CHAIN)
    journal.until(PODS, lambda seen: seen.event == "DELETED")
    phases = {item["phase"]: datetime.fromisoformat(item["startTime"]) for item in last.object["status"]["phases"]}
    own = (phases["Succeeded"] - phases["Publishing"]).total_seconds()
    say(f"      {name}: {found['finish']:.3f} s, the phase {own:.3f} s")
    return found["finish"], own
