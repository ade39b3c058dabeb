"""Each line that a component prints becomes an event while it runs, exactly once and in order."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from componentrun.api.common import duration_text
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from componentrun.storage.events.events import Event
    from e2e.tenant import Tenant


def test_lines_arrive_while_the_run_goes_on(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "chatty", "100000", "4")
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    deadline = time.monotonic() + 90  # the run's own timeout is two minutes
    while not [event for event in tenant.events(name) if event.source == "component"]:
        assert time.monotonic() < deadline, "no line became an event while the component ran"
    assert phase_of(tenant.get(name)) == "Running"
    tenant.patch(name, {"cancel": True})
    tenant.wait(name)


def test_every_line_once_and_in_order_with_the_life_cycle_around(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "chatty", "3000")
    tenant.wait(name)
    run = tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    events = tenant.events(name)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert run["status"]["events"]["count"] == len(events)
    lines = [event.message for event in events if event.source == "component"]
    assert sorted(lines) == sorted(f"line {number} of 3000" for number in range(1, 3001))
    stdout = [line for line in lines if int(line.split()[1]) % 10]
    assert stdout == [f"line {number} of 3000" for number in range(1, 3001) if number % 10]
    assert events[-1].source == "operator"
    assert events[-1].type == "success"


def test_a_run_tells_its_whole_life_in_order_with_durations(tenant: Tenant, components: str) -> None:
    tenant.put_table("in.c-main.words", "id,text\n1,one\n2,two\n")
    name = tenant.run(
        components, "copy",
        input={"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
        output={"tables": [{"source": "words.csv", "destination": "out.c-main.words"}]},
    )  # fmt: skip
    tenant.wait(name)
    run = tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    events = tenant.events(name)
    life_cycle = [event for event in events if event.source == "operator"]
    # A phase may end before the operator observes it, but these three are always observed.
    phases = [event.params["phase"] for event in life_cycle if "phase" in event.params and event is not life_cycle[-1]]
    assert {"Queued", "Running", "Publishing"} <= set(phases)
    assert phases == sorted(phases, key=["Queued", "Pending", "StagingIn", "Running", "StagingOut", "Publishing"].index)
    assert [event.message.split(":")[0] for event in life_cycle[-2:]] == [
        "published",
        f"Succeeded after {took(life_cycle[-1])}",
    ]
    assert all(event.params["seconds"] >= 0 for event in life_cycle[1:])

    size = len("1,one\n2,two\n")
    tables = [{"table": "in.c-main.words", "rows": 2, "bytes": len("id,text\n") + size}]
    by_message = {
        event.message.split(":")[0].split(".")[0]: event for event in sorted(events, key=lambda event: event.time)
    }
    assert by_message["Input ready"].params["tables"] == tables
    assert by_message["the component is running"].params["imageID"] == run["status"]["imageID"]
    assert by_message["Output uploaded"].params["tables"] == [{"table": "out.c-main.words", "rows": 2, "bytes": size}]
    assert by_message["published"].params["tables"] == [{"table": "out.c-main.words", "rows": 2, "bytes": size}]
    order = ["the run was accepted", "Input ready", "the component is running", "Output uploaded", "published"]
    times = {message: datetime.fromisoformat(by_message[message].time) for message in order}
    # If nobody observed the running component, its start is the kubelet's time, in whole seconds. Otherwise it is the
    # time of the operator's observation, which may be late, after the output was uploaded.
    for unordered in ("the component is running", "Output uploaded"):
        times_in_order = [time for message, time in times.items() if message != unordered]
        assert all(earlier.replace(microsecond=0) <= later for earlier, later in pairwise(times_in_order)), times
    assert (
        sum(life_cycle[-1].params["phases"].values()) >= life_cycle[-1].params["seconds"] - 0.01
    )  # each value is rounded


def took(result: Event) -> str:
    return duration_text(result.params["seconds"])


def test_odd_lines_stay_readable(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "logs")
    tenant.wait(name)
    tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    events = {event.message: event for event in tenant.events(name) if event.source == "component"}
    assert "a plain line" in events
    assert events["a structured line"].type == "warn"
    assert events["a structured line"].params["rows"] == 7
    assert any(message.startswith("xxxx") and len(message) <= 4100 for message in events)
    assert any(message.startswith("bytes that are no UTF-8") for message in events)
    assert "no newline at the end" in events


def test_a_run_that_never_had_a_pod_has_events_too(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "copy", input={"tables": [{"source": "in.c-main.none"}]})
    tenant.wait(name)
    tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    last = tenant.events(name)[-1]
    assert (last.source, last.type) == ("operator", "error")
    assert "in.c-main.none" in last.message
