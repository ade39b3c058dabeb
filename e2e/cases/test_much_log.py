"""A component that prints far more than a node keeps of a log: the run ends, and what is missing is said."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from e2e.tenant import Tenant

LINES = 1000 * int(os.environ.get("COMPONENTRUN_TEST_LOG_MB", "200"))
"""Of 1,000 characters each, where a node keeps 50 MiB. With 1,000 MB it takes minutes; the way it goes is the same."""
PRINT = f"""
import sys
for number in range({LINES}):
    sys.stdout.write(f"{{number:08}} ".ljust(1000, "x") + "\\n")
"""
WHOLE = re.compile(r"\d{8} x{991}")


def told(run: dict[str, Any]) -> bool:
    """Whether it was said what became of the events."""
    return any(
        item["type"] == "EventsDelivered" and item["status"] != "Unknown" for item in run["status"]["conditions"]
    )


# Alone: it takes a processor of its own, and a collector that others keep from its first look is not what it is about.
@pytest.mark.disruptive
def test_much_log_is_delivered_or_said_to_be_missing(tenant: Tenant, components: str) -> None:
    name = tenant.run(
        components, command=["python3", "-c", PRINT], timeout="10m",
        resources={"limits": {**SMALL["limits"], "cpu": "1"}, "requests": {"cpu": "100m"}},
    )  # fmt: skip
    status = tenant.wait(name, timeout=660)["status"]
    assert (status["phase"], status["exitCode"]) == ("Succeeded", 0), status["message"]

    delivered = tenant.wait(name, told, timeout=300)["status"]
    events = tenant.events(name)
    printed = [event.message for event in events if event.source == "component"]
    numbers = [int(message[:8]) for message in printed if WHOLE.fullmatch(message)]
    assert numbers == sorted(set(numbers)), "each line once and in order"
    missing = LINES - len(numbers)
    said = [event.message for event in events if "may be missing" in event.message]
    # The runtime cuts a line where its file is rotated; both ends of it may have been read.
    assert len(printed) - len(numbers) <= 2 * len(said), "a line is whole, or it is said that something is missing"
    given_up = any(item["reason"] == "WaitEnded" for item in delivered["conditions"])
    assert not missing or said or given_up, f"{missing} lines are gone without a word"
