"""The collector is killed again and again at any moment, and the kubelet too: no line is lost, none is doubled."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from dev.cluster import connection, own
from dev.cluster.host import processes
from tests.integration.collector.lab import BOTH_WAYS, PRINTER, wait

if TYPE_CHECKING:
    from tests.integration.collector.lab import Collector, Lab

pytestmark = [pytest.mark.cluster, pytest.mark.store, pytest.mark.disruptive]

KILLS = 25
"""In each of the two ways to read logs."""
RUNS = 3
LINES, RATE = 15_000, 250
"""Each run prints for 60 s, on both streams."""
SIZES = {"api": 60, "node": 1_200}
"""Bytes of a line. Over the API only the newest file of a log can be read, so what nobody has read when it is rotated
is lost (and said to be); there the log stays below the 10 MiB at which a kubelet rotates it. In the node's files it is
rotated once or twice."""
KUBELET_DIES_AT = {8, 18}


@pytest.fixture(autouse=True)
def _only_our_own() -> None:
    if not connection.load().own:
        pytest.skip("the kubelet of a stranger's cluster is left alone")


def restart_kubelet() -> None:
    record = processes.find(next(part.pid_file for part in own.plan().all if part.name == "kubelet"))
    assert record is not None
    processes.kill_all([record.pid])
    own.up()


def kill_again_and_again(collector: Collector) -> int:
    """Kill it at random moments: every fifth before it hears anything, most while it reads and writes.

    How many of them it died after having written segments.
    """
    moments = random.Random(28)  # noqa: S311 - the same moments each time; what they meet differs anyway
    worked = 0
    for number in range(KILLS):
        collector.start()
        if number % 5:
            wait("the collector hears the watches", lambda: collector.get("/readyz")[0] == 200)
        time.sleep(moments.uniform(0.0, 1.0))
        if number in KUBELET_DIES_AT:
            restart_kubelet()
        worked += collector.metric("componentrun_collector_segments_total") > 0
        collector.end(signal.SIGKILL)
    return worked


@BOTH_WAYS
async def test_no_line_is_lost_and_none_doubled(lab: Lab, collector: Collector, reader: str) -> None:
    collector.environment["COMPONENTRUN_COLLECTOR_SEGMENT_SECONDS"] = "0.2"
    names = [f"killed{number}" for number in range(RUNS)]
    for name in names:
        lab.run(name)
        lab.start(name, "python3", "-c", PRINTER, str(LINES), str(RATE), str(SIZES[reader]))
    worked = kill_again_and_again(collector)
    collector.start()
    for name in names:
        wait("pod ended", lambda name=name: lab.pod_phase(name) == "Succeeded")
        lab.end(name)
    for name in names:
        status = wait("delivered", lambda name=name: lab.delivered(name))
        events = await lab.events(name)
        numbers = [int(event.message.split()[1]) for event in events if event.source == "component"]
        assert sorted(numbers) == list(range(1, LINES + 1))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert status["message"] == ""
    print(f"killed {KILLS} times, {worked} of them after it had written segments")  # noqa: T201 - for whoever looks
    assert worked
