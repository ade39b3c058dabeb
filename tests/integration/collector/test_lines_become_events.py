"""Lines of real pods become events in a real store quickly and exactly once, even if the collector is killed."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from componentrun.storage.events.reader import EventReader
from tests.integration.collector.lab import BOTH_WAYS, PRINTER, wait

if TYPE_CHECKING:
    from componentrun.storage.events.events import Event
    from tests.integration.collector.lab import Collector, Lab

pytestmark = [pytest.mark.cluster, pytest.mark.store]


def numbers(events: list[Event]) -> list[int]:
    return [int(event.message.split()[1]) for event in events if event.source == "component"]


@BOTH_WAYS
async def test_a_run_from_its_first_to_its_last_event(lab: Lab, collector: Collector) -> None:
    collector.start()
    wait("ready", lambda: collector.get("/readyz")[0] == 200)
    lab.run("one")
    structured = json.dumps({"msg": "odd", "level": "warning", "n": 1})
    lab.start("one", "printf", "%s\\n", "hello", structured)
    wait("pod ended", lambda: lab.pod_phase("one") == "Succeeded")
    lab.end("one")
    status = wait("delivered", lambda: lab.delivered("one"))
    events = await lab.events("one")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert status == {"count": len(events), "delivered": True, "message": ""}
    by_message = {event.message: event for event in events}
    assert by_message["hello"].source == "component"
    assert by_message["odd"].type == "warn"
    assert by_message["odd"].params == {"n": 1}
    assert events[0].message == "the run was accepted"
    assert (events[-1].type, events[-1].source) == ("success", "operator")
    assert events[-1].params["reason"] == "Succeeded"
    assert {event.configuration for event in events} == {"c-1"}


@pytest.mark.long
@BOTH_WAYS
async def test_a_killed_collector_loses_and_doubles_nothing(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("many")
    lab.start("many", "python3", "-c", PRINTER, "12000", "600", "60")
    wait("lines flow", lambda: collector.metric("componentrun_collector_lines_total"))
    wait("requests to the store are counted", lambda: collector.metric("componentrun_store_requests_total"))
    for _ in range(6):
        await asyncio.sleep(random.uniform(0.5, 2.5))  # noqa: S311 - the moment does not matter
        collector.end(signal.SIGKILL)
        collector.start()
    collector.end(signal.SIGTERM)
    collector.start()
    wait("pod ended", lambda: lab.pod_phase("many") == "Succeeded")
    lab.end("many")
    status = wait("delivered", lambda: lab.delivered("many"))
    events = await lab.events("many")
    assert sorted(numbers(events)) == list(range(1, 12001))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert status["message"] == ""
    assert events[-1].source == "operator"


@pytest.mark.long
@BOTH_WAYS
async def test_lines_are_in_the_store_within_two_seconds(lab: Lab, collector: Collector) -> None:
    collector.start()
    wait("ready", lambda: collector.get("/readyz")[0] == 200)
    lab.run("soon")
    lab.start("soon", "python3", "-c", PRINTER, "1000", "50", "60")
    reader = EventReader(lab.store, lab.uid("soon"))
    delays: list[float] = []
    deadline = time.monotonic() + 180
    while len(delays) < 1000 and time.monotonic() < deadline:
        read = [event async for event in reader.read() if event.source == "component"]
        delays += [time.time() - int(event.message.split()[2]) / 1e9 for event in read]
        await asyncio.sleep(0.1)
    delays.sort()
    assert len(delays) == 1000
    print(f"printed to readable: p50 {delays[500]:.2f} s, p99 {delays[990]:.2f} s, max {delays[-1]:.2f} s")  # noqa: T201 - a figure for the test log


@BOTH_WAYS
async def test_secrets_never_appear(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("discreet")
    secret = 'pass/word+1&"two"'
    encoded = base64.b64encode(secret.encode()).decode()
    structured = json.dumps({"message": f"m {secret}", "s": [secret]})
    lab.start("discreet", "printf", "%s\\n", f"it is {secret}", encoded, structured, secrets=[secret])
    wait("pod ended", lambda: lab.pod_phase("discreet") == "Succeeded")
    lab.end("discreet", phase="Failed", message=f"it said {secret}")
    wait("delivered", lambda: lab.delivered("discreet"))
    events = await lab.events("discreet")
    assert [event.message for event in events if event.source == "component"] == [
        "it is [redacted]", "[redacted]", "m [redacted]",
    ]  # fmt: skip
    assert "word" not in repr(events)


SECRETIVE = """
import sys, time
value, begin, end, *lines = sys.argv[1:]
print(f"::add-mask::{value}", begin, *lines[:3], "half way", sep="\\n", flush=True)
time.sleep(12)
print(f"it is {value}", *lines[3:], end, "all", sep="\\n", flush=True)
"""


@pytest.mark.long
@BOTH_WAYS
async def test_masked_values_and_a_private_key_stay_hidden_across_the_death_of_the_collector(
    lab: Lab, collector: Collector
) -> None:
    collector.start()
    lab.run("masks")
    value, token = "correct-horse-battery", "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYaB3d"
    key = ["kqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC" + str(number) * 27 for number in range(6)]
    begin, end = (f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END"))
    lab.start("masks", "python3", "-c", SECRETIVE, value, begin, end, *key, token, secrets=[])
    reader = EventReader(lab.store, lab.uid("masks"))
    seen: list[str] = []
    async with asyncio.timeout(120):
        while "half way" not in seen:
            seen += [event.message async for event in reader.read()]
            await asyncio.sleep(0.05)
    collector.end(signal.SIGKILL)
    collector.start()
    wait("pod ended", lambda: lab.pod_phase("masks") == "Succeeded")
    lab.end("masks")
    status = wait("delivered", lambda: lab.delivered("masks"))
    events = await lab.events("masks")
    assert status["message"] == ""
    hidden = "[redacted]"
    assert [event.message for event in events if event.source == "component"] == [
        f"::add-mask::{hidden}", begin, *[hidden] * 3, "half way",
        f"it is {hidden}", *[hidden] * 3, f"ghp_{hidden}", end, "all",
    ]  # fmt: skip
    stored = [
        zstd.decompress((await lab.store.get(info.key)).data)
        async for info in lab.store.objects(lab.store.layout.events(lab.uid("masks")))
    ]
    assert any(b"half way" in data for data in stored)
    assert not any(text.encode() in data for text in (value, token, *key) for data in stored)


async def test_lines_are_withheld_where_the_secret_values_are_not_known(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("unknown")
    lab.start("unknown", "python3", "-c", "print('maybe a secret')", secrets=None)
    wait("pod ended", lambda: lab.pod_phase("unknown") == "Succeeded")
    lab.end("unknown")
    status = wait("delivered", lambda: lab.delivered("unknown"))
    events = await lab.events("unknown")
    assert "withheld" in status["message"]
    assert "maybe a secret" not in repr(events)
    assert events[-1].type == "success"


async def test_a_run_that_never_had_a_pod(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("early")
    lab.end("early", phase="Failed", message="There is no table in.c-main.x")
    status = wait("delivered", lambda: lab.delivered("early"))
    events = await lab.events("early")
    assert status["count"] == len(events) == 2
    assert events[-1].message.startswith("Failed after ")
    assert events[-1].message.endswith("s: There is no table in.c-main.x")


async def test_a_run_whose_storage_is_missing(lab: Lab, collector: Collector) -> None:
    collector.start()
    lab.run("homeless", storage="nowhere")
    lab.end("homeless", phase="Failed")
    status = wait("delivered", lambda: lab.delivered("homeless"))
    assert "no Storage `nowhere`" in status["message"]
