"""A run that prints without end next to runs that print little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.collector.lab import PRINTER, wait

if TYPE_CHECKING:
    from tests.integration.collector.lab import Collector, Lab

pytestmark = [pytest.mark.cluster, pytest.mark.store]

MOST_MIB = 8
LINES_A_SECOND = 8_000
"""Of 1,000 bytes each. The limit is reached in a second, and the node has time for other work than writing logs."""


@pytest.mark.long
async def test_others_are_delivered_while_one_prints_without_end_and_it_is_said_what_was_left_out(
    lab: Lab, collector: Collector
) -> None:
    """Independent of timing: the quiet runs are delivered while the noisy run, far above its limit, still prints."""
    collector.environment["COMPONENTRUN_COLLECTOR_RUN_MIB"] = str(MOST_MIB)
    collector.start()
    lab.run("noisy")
    lab.start("noisy", "python3", "-c", PRINTER, "1000000000", str(LINES_A_SECOND), "1000")
    wait(
        "noise is beyond its limit",
        lambda: collector.metric("componentrun_collector_lines_total") > 3 * MOST_MIB * 1000,
    )
    quiet = [f"quiet{number}" for number in range(3)]
    for name in quiet:
        lab.run(name)
        lab.start(name, "python3", "-c", PRINTER, "300", "100", "60")
    for name in quiet:
        wait("pod ended", lambda name=name: lab.pod_phase(name) == "Succeeded")
        lab.end(name)
    for name in quiet:
        assert wait("delivered", lambda name=name: lab.delivered(name))["message"] == ""
        lines = [event.message for event in await lab.events(name) if event.source == "component"]
        assert sorted(int(line.split()[1]) for line in lines) == list(range(1, 301))
    assert lab.pod_phase("noisy") == "Running"
    lab.delete_pod("noisy", 0)
    lab.end("noisy", phase="Cancelled")
    message = wait("delivered", lambda: lab.delivered("noisy"))["message"]
    assert message.split("; ")[0].endswith("were left out: the run printed too much")
    events = await lab.events("noisy")
    kept = sum(len(event.message) for event in events if event.source == "component")
    assert MOST_MIB * 2**20 <= kept < MOST_MIB * 2**20 + 10_000
    most = f"the run has {MOST_MIB * 2**20:,} bytes of lines, the most that a run may have"
    assert any(most in event.message for event in events)
    left = next(event for event in events if "were left out" in event.message)
    assert left.params["lines"] > 2 * MOST_MIB * 1000
    print(f"{left.params['bytes'] / 2**20:.0f} MiB left out, at most {collector.peak_mib():.0f} MiB held")  # noqa: T201 - a figure for the test log
