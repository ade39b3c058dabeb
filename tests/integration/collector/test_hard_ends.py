"""Broken connections, deleted pods, forgotten versions, a second collector: no line is lost or duplicated."""

from __future__ import annotations

import asyncio
import io
import random
import time
from typing import TYPE_CHECKING

import pytest

from componentrun.api import names
from tests.integration.collector.lab import BOTH_WAYS, PRINTER, PRINTS_ON, Collector, printed, wait

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.events.events import Event
    from tests.integration.collector.lab import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.store, pytest.mark.long]

CUTS = 30
UNTIL_SIGTERM = """
import itertools, os, signal, sys, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
for number in itertools.count(1):
    os.write(1, f"line {number}\\n".encode())
    if ended:
        break
    time.sleep(0.001)
for number in range(number + 1, number + 501):
    os.write(1, f"line {number}\\n".encode())
os.write(1, b"line 0 without a newline")
"""
UNFINISHED = "line 0 without a newline"


def numbers(events: list[Event]) -> list[int]:
    return [int(event.message.split()[1]) for event in events if event.source == "component"]


@BOTH_WAYS
async def test_streams_that_are_cut_again_and_again(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("cut")
    lab.start("cut", "python3", "-c", PRINTS_ON, "1000")
    wait("lines flow", lambda: collector.metric("componentrun_collector_lines_total"))
    for _ in range(CUTS):
        await asyncio.sleep(random.uniform(0.05, 0.7))  # noqa: S311 - the moment does not matter
        lab.break_off()
    lab.let_go("cut")
    wait("the pod ended", lambda: lab.pod_phase("cut") == "Succeeded")
    lab.end("cut")
    status = wait("delivered", lambda: lab.delivered("cut"))
    found, count = printed(await lab.events("cut"))
    assert found == list(range(1, count + 1))
    assert status["message"] == ""
    print(f"{count} lines, {CUTS} cuts, {collector.metric('componentrun_collector_reconnects_total'):.0f} reconnects")  # noqa: T201 - a figure for the test log


async def test_a_stream_that_falls_silent_is_replaced_while_the_container_runs(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("silent")
    lab.start("silent", "python3", "-c", PRINTS_ON, "20")
    wait("lines flow", lambda: collector.metric("componentrun_collector_lines_total"))
    lab.front.mute_logs()
    replaced = 'componentrun_collector_reconnects_total{cause="silent"} 1.0'
    wait("the stream is replaced", lambda: replaced in collector.get("/metrics")[1])
    lab.let_go("silent")
    wait("the pod ended", lambda: lab.pod_phase("silent") == "Succeeded")
    lab.end("silent")
    status = wait("delivered", lambda: lab.delivered("silent"))
    found, count = printed(await lab.events("silent"))
    assert found == list(range(1, count + 1))
    assert status["message"] == ""


@BOTH_WAYS
@pytest.mark.parametrize("grace", [0, 10])
async def test_a_pod_that_is_deleted_is_read_to_its_end(lab: Lab, collector: Collector, grace: int) -> None:
    collector.start()
    lab.run("stopped")
    lab.start("stopped", "python3", "-c", UNTIL_SIGTERM)
    wait("lines flow", lambda: collector.metric("componentrun_collector_lines_total"))
    with lab.log_file("stopped") if lab.connection.own else io.StringIO(UNFINISHED) as log:
        lab.delete_pod("stopped", grace)
        await asyncio.sleep(2)
        lab.end("stopped", phase="Cancelled")
        status = wait("delivered", lambda: lab.delivered("stopped"), seconds=180)
        written = log.read()
    found = numbers(await lab.events("stopped"))
    unfinished = found.pop() if found[-1] == 0 else None
    assert found == list(range(1, len(found) + 1))
    if unfinished is not None:
        assert status["message"] == ""
    elif UNFINISHED in written:  # a busy runtime writes it after the kubelet's response has ended; the status says so
        assert "lines of container `component` of pod `stopped-1` after " in status["message"]
    if lab.connection.own and status["message"] == "":  # even if it was killed before it finished
        assert len(found) == written.count(" F line ")


async def test_versions_that_are_too_old_are_listed_again(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("before")
    wait("ready", lambda: collector.get("/readyz")[0] == 200)
    lab.front.forget_versions()
    lab.end("before")
    lab.run("after")
    lab.end("after")
    wait("both delivered", lambda: lab.delivered("before") and lab.delivered("after"), seconds=180)


@BOTH_WAYS
async def test_two_collectors_on_one_run_do_not_mix(lab: Lab, collector: Collector, tmp_path: Path) -> None:
    second = Collector(lab, tmp_path / "second" / "collector.log")
    collector.start()
    second.start()
    try:
        lab.run("both")
        lab.start("both", "python3", "-c", PRINTER, "8000", "800", "60")
        wait("pod ended", lambda: lab.pod_phase("both") == "Succeeded")
        lab.end("both")
        wait("delivered", lambda: lab.delivered("both"))
        events = await lab.events("both")
    finally:
        second.end()
    assert sorted(numbers(events)) == list(range(1, 8001))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.source for event in events[-1:]] == ["operator"]


@BOTH_WAYS
async def test_a_log_that_can_not_be_read_ends_with_an_event_that_says_so(lab: Lab, collector: Collector) -> None:
    collector.environment["COMPONENTRUN_EVENTS_WAIT_SECONDS"] = "7"
    lab.refuse()
    collector.start()
    lab.run("away")
    lab.start("away", "echo", "nobody hears me")
    wait("pod ended", lambda: lab.pod_phase("away") == "Succeeded")
    lab.end("away")
    status = wait("delivered", lambda: lab.delivered("away"), seconds=180)
    assert "lines of container `component` of pod `away-1` may be missing" in status["message"]
    events = await lab.events("away")
    assert [event.type for event in events[-2:]] == ["warn", "success"]


@BOTH_WAYS
async def test_a_sidecar_that_runs_on_does_not_hold_up_the_end(lab: Lab, collector: Collector) -> None:
    # Longer than the waits below, so that the collector does not give up the log.
    collector.environment["COMPONENTRUN_EVENTS_WAIT_SECONDS"] = "700"
    collector.start()
    lab.run("stuck")
    sidecar = {
        "name": names.STAGE_OUT, "image": lab.image, "restartPolicy": "Always",
        "command": ["sh", "-c", "trap '' TERM; echo waiting; while true; do sleep 1; done"],
    }  # fmt: skip
    ended = {"name": names.COMPONENT, "image": lab.image, "command": ["true"]}
    lab.start("stuck", initContainers=[sidecar], containers=[ended], terminationGracePeriodSeconds=600)
    wait("sidecar prints", lambda: collector.metric("componentrun_collector_lines_total"))
    lab.end("stuck", phase="Failed", message="The upload takes too long")
    status = wait("delivered", lambda: lab.delivered("stuck"), seconds=180)
    assert status["message"] == ""
    assert "waiting" in {event.message for event in await lab.events("stuck")}


@BOTH_WAYS
async def test_a_burst_is_read_whole_with_little_memory(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("burst")
    lab.start("burst", "python3", "-c", PRINTER, "60000", "0", "100")
    wait("pod ended", lambda: lab.pod_phase("burst") == "Succeeded")
    begun = time.monotonic()
    lab.end("burst")
    wait("delivered", lambda: lab.delivered("burst"))
    peak = collector.peak_mib()
    events = await lab.events("burst")
    print(f"60,000 lines, delivered {time.monotonic() - begun:.1f} s after the end, peak {peak:.0f} MiB")  # noqa: T201 - a figure for the test log
    assert sorted(numbers(events)) == list(range(1, 60001))
    assert peak < 300
