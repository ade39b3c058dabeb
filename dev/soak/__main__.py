"""Run the soak: `python -m dev.soak [--minutes N] [--kill-every SECONDS] [--replicas N] [--report FILE]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dev import images
from dev.cluster import connection as cluster
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say
from dev.install import IMAGES, install
from dev.soak.parts import Restarts, kill_parts, look
from dev.soak.report import Report, add_times, look_at
from dev.soak.tenants import Edited, Hanging, Steady
from dev.soak.watching import FirstPods
from e2e import tenant
from e2e.faults.wire import Wire
from e2e.tenant.tenant import TERMINAL, phase_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit code: 0 if the steady tenant was not affected."""
    parser = argparse.ArgumentParser(prog="python -m dev.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--kill-every", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--replicas", type=int, default=2, help="operators: one works, the others stand by")
    parser.add_argument("--report", type=Path, help="file for the report, besides standard output")
    options = parser.parse_args(arguments)
    try:
        connection = cluster.load()
        references = images.ensure(connection, [*IMAGES, "test-components"])
        # The node is small, and its capacity must never be the reason why a pod of the steady tenant waits.
        agents = {"resources": {"requests": {"cpu": "1m", "memory": "16Mi"}}}
        install(connection, references, {"operator": {"replicas": options.replicas}, "agents": agents})
        report = soak(connection, references["test-components"], options.minutes, options.kill_every)
    except ClusterError as error:
        say(f"error: {error}")
        return 2
    print(report.to_json())
    if options.report is not None:
        options.report.write_text(report.to_json() + "\n", encoding="utf-8")
    return 1 if report.problems else 0


def soak(connection: Connection, image: str, minutes: float, kill_every: float) -> Report:
    """Run the three tenants for `minutes`, kill parts meanwhile, and return the report."""
    store = urlsplit(connection.lake.endpoint)
    wire = Wire(store.hostname or "", store.port or 80, here=store.hostname or "")
    endpoint = f"http://{store.hostname}:{wire.port}"
    steady = Steady(tenant.create(connection, "steady"), 2.0, image=image)
    hanging = Hanging(tenant.create(connection, "hanging", endpoint=endpoint), 1.0, wire=wire, image=image)
    edited = Edited(tenant.create(connection, "edited"), 1.0, image=image)
    edited.quota(3)
    pods = FirstPods(steady.tenant)
    pods.start()
    restarts = Restarts()
    restarts.start(look(steady.tenant))
    workers = (steady, hanging, edited)
    for worker in workers:
        worker.start()
    kills = _kill_now_and_then(steady.tenant, restarts, minutes * 60, kill_every)
    for worker in workers:
        worker.stop()
    report = Report(minutes, len(kills), skipped=steady.skipped)
    look_at(report, steady.tenant, steady.submitted)
    add_times(report, steady.submitted, pods.seen, kills)
    restarts.note(look(steady.tenant))
    report.unexpected_restarts, report.problems = restarts.counts, report.problems + restarts.problems
    for disturber in (hanging, edited):
        ended_runs = [run for run in disturber.runs() if phase_of(run) in TERMINAL]
        report.others[disturber.tenant.namespace] = dict(Counter(run["status"].get("reason", "") for run in ended_runs))
    report.disturbances = {"hangs": hanging.hangs, "edits": edited.edits}
    report.problems += [f"{steady.tenant.namespace}: {message}" for message in steady.refusals]
    report.problems += [
        f"{worker.tenant.namespace} ended early: {worker.broken}" for worker in workers if worker.broken
    ]
    report.problems += [f"there were no {kind}" for kind, count in report.disturbances.items() if not count]
    for worker in workers:
        worker.tenant.delete()
    wire.close()
    return report


def _kill_now_and_then(tenant: Tenant, restarts: Restarts, seconds: float, every: float) -> list[float]:
    """Kill the active operator and the collector at intervals. Returns the times of the kills (monotonic clock)."""
    kills: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() + every < end:
        time.sleep(every)  # a fixed interval; there is no condition to wait for
        kills.append(time.monotonic())
        kill_parts(tenant, restarts)
        say(f"kill {len(kills)}: operator and collector; {end - time.monotonic():.0f} s to go")
    time.sleep(max(end - time.monotonic(), 0))
    return kills


if __name__ == "__main__":
    sys.exit(main())
