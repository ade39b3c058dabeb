"""Reading events: during a run, across runs, in pages and as a file; and the deletion of events."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from componentrun.storage.events.events import About, Event
from componentrun.storage.events.runs import EventRun, ended_runs, enter_ended, enter_open
from componentrun.storage.events.segments import append_segment
from e2e.cases.rounds import maintain, no_other_round
from e2e.tenant.tenant import SMALL, phase_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from e2e.tenant import Tenant

LINES = 15


def delivered(run: dict[str, Any]) -> bool:
    return bool(((run.get("status") or {}).get("events") or {}).get("delivered", False))


def told(tenant: Tenant, *arguments: str) -> list[dict[str, Any]]:
    result = tenant.cli("events", *arguments, "-o", "json")
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def in_time(delays: Sequence[float]) -> bool:
    """Whether the last lines arrived within two seconds."""
    return len(delays) == LINES and statistics.median(delays) <= 2


def test_who_follows_sees_a_line_within_two_seconds(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "chatty", "100000", "1", timeout="10m")
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    environment = {**os.environ, "KUBECONFIG": str(tenant.connection.kubeconfig), "PYTHONUNBUFFERED": "1"}
    command = ["componentrun", "events", name, "--follow", "-o", "json", "--namespace", tenant.namespace]
    delays: deque[float] = deque(maxlen=LINES)
    seqs: list[int] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        start = 0.0
        for line in process.stdout:
            event = json.loads(line)
            seqs.append(event["seq"])
            event_time = datetime.fromisoformat(event["time"]).timestamp()
            start = start or time.time()
            # Lines printed before the follower started arrive all at once.
            if event["source"] == "component" and event_time > start and not in_time(delays):
                delays.append(time.time() - event_time)
                if in_time(delays):
                    tenant.patch(name, {"cancel": True})
    # Other work on the machine may delay lines for a while, but not for the run's whole duration.
    assert in_time(delays), delays
    assert process.returncode == 0
    assert tenant.get(name)["status"]["phase"] == "Cancelled"
    assert seqs == list(range(1, len(seqs) + 1))


def test_events_across_runs_by_component_configuration_type_time_and_id(
    tenant: Tenant, components: str, tmp_path: Path
) -> None:
    image, _, tag = components.rpartition(":")
    tenant.apply("Component", "chatty", {"image": image, "tag": tag, "args": ["chatty", "3"]})
    runs = {configuration: f"r-{configuration}" for configuration in ("1", "2")}
    for configuration, name in runs.items():
        tenant.apply(
            "ComponentRun", name, {"component": "chatty", "resources": SMALL, "configuration": {"id": configuration}}
        )
    other_run = tenant.run(components, "chatty", "3")
    for name in (*runs.values(), other_run):
        tenant.wait(name, delivered)
    all_events = told(tenant)
    assert {event["runName"] for event in all_events} == {*runs.values(), other_run}
    component_events = told(tenant, "--component", "chatty", "--since", "1h")
    assert {event["runName"] for event in component_events} == set(runs.values())
    configuration_events = told(tenant, "--component", "chatty", "--configuration", "2")
    assert {event["runName"] for event in configuration_events} == {runs["2"]}
    assert [event["message"] for event in configuration_events if event["source"] == "component"] == [
        f"line {number} of 3" for number in (1, 2, 3)
    ]
    assert told(tenant, "--component", "chatty", "--until", "1h") == []
    assert [event["type"] for event in told(tenant, runs["1"], "--type", "success")] == ["success"]
    middle = configuration_events[len(configuration_events) // 2]
    earlier, later = (told(tenant, runs["2"], option, middle["id"]) for option in ("--max-id", "--since-id"))
    assert [*earlier, middle, *later] == told(tenant, runs["2"])
    assert [event["message"] for event in told(tenant, runs["2"], "--grep", "^line [23]", "-n", "1")] == ["line 3 of 3"]
    target = tmp_path / "events.parquet"
    result = tenant.cli("events", "--component", "chatty", "--export", str(target))
    assert result.returncode == 0, result.stderr
    rows = duckdb.connect().read_parquet(str(target)).project("id").fetchall()
    assert sorted(row[0] for row in rows) == sorted(event["id"] for event in component_events)


async def past(tenant: Tenant, uid: str, component: str, days: int, *, ended: bool = True) -> None:
    """Write events of a run that are `days` days old."""
    time = datetime.now(UTC) - timedelta(days=days)
    event = Event(f"{uid}-1", 1, time.isoformat(), uid, component, "", "info", "was here", source="operator")
    run, about = EventRun(uid, component, ""), About().following(uid, [event], time)
    await enter_open(tenant.store, run)
    await append_segment(tenant.store, uid, 1, [event], {}, about)
    if ended:
        await enter_ended(tenant.store, run, about)


def test_maintenance_and_the_command_line_know_how_long_events_are_kept(tenant: Tenant, components: str) -> None:
    tenant.kubectl(
        "patch", "storage", "main", "--type=merge", "--patch", json.dumps({"spec": {"events": {"keep": "30d"}}})
    )
    tenant.apply("Component", "audit", {"image": components.rpartition(":")[0], "events": {"keep": "90d"}})
    # A second Storage that can't be opened must not prevent the deletion of this one's events.
    other_store = {"bucket": tenant.settings.bucket, "prefix": f"{tenant.prefix}-elsewhere"}
    tenant.apply("Storage", "keyless", other_store | {"credentials": {"secretName": "not-there"}})
    suspended_run = tenant.run(components, "chatty", "3", suspend=True)
    tenant.wait(suspended_run, lambda run: phase_of(run) == "Suspended")

    async def write() -> None:
        await past(tenant, "old", "a", 40)
        await past(tenant, "kept", "audit", 40)

    async def left() -> set[str]:
        return {run.run async for run in ended_runs(tenant.store)}

    asyncio.run(write())
    # New entries are kept for an hour because a collector may still write them, so the schedule deletes nothing yet.
    with no_other_round(tenant):
        assert f"Storage {tenant.namespace}/main: events of 0 runs deleted" in maintain(tenant)
    assert asyncio.run(left()) == {"old", "kept"}
    dry = json.loads(tenant.cli("storage", "sweep", "--dry-run", "-o", "json").stdout)
    assert dry["events"]["runs"] == 0
    assert [event["message"] for event in told(tenant, "-n", "1", "--until", "10d")] == ["was here"]
