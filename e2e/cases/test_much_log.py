"""A component that prints far more than a node keeps of a log: the run ends, and events report missing lines."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from e2e.tenant import Tenant

LINES = 1000 * int(os.environ.get("COMPONENTRUN_TEST_LOG_MB", "100"))
"""Lines of 1,000 characters. A node keeps 50 MiB. A test with 1,000 MB takes minutes and behaves the same."""
PRINT = f"""
import sys
for number in range({LINES}):
    sys.stdout.write(f"{{number:08}} ".ljust(1000, "x") + "\\n")
"""
WHOLE = re.compile(r"\d{8} x{991}")


def told(run: dict[str, Any]) -> bool:
    """Whether the status reports the delivery of the events."""
    return any(
        item["type"] == "EventsDelivered" and item["status"] != "Unknown" for item in run["status"]["conditions"]
    )


# Run alone: the test uses a whole processor, and other tests must not delay the collector's first read.
@pytest.mark.disruptive
def test_much_log_is_delivered_or_said_to_be_missing(tenant: Tenant, components: str) -> None:
    name = tenant.run(
        components, command=["python3", "-c", PRINT], timeout="10m",
        resources={"limits": {**SMALL["limits"], "cpu": "1"}, "requests": {"cpu": "100m"}},
    )  # fmt: skip
    status = tenant.wait(name, timeout=660)["status"]
    assert (status["phase"], status["exitCode"]) == ("Succeeded", 0), status["message"]

    final_status = tenant.wait(name, told, timeout=300)["status"]
    events = tenant.events(name)
    lines = [event.message for event in events if event.source == "component"]
    numbers = [int(message[:8]) for message in lines if WHOLE.fullmatch(message)]
    assert numbers == sorted(set(numbers)), "each line once and in order"
    missing = LINES - len(numbers)
    warnings = [event.message for event in events if "may be missing" in event.message]
    # The runtime splits a line when it rotates the file, and both parts of the line may have been read.
    assert len(lines) - len(numbers) <= 2 * len(warnings), "a line is whole, or it is said that something is missing"
    has_given_up = any(item["reason"] == "WaitEnded" for item in final_status["conditions"])
    assert not missing or warnings or has_given_up, f"{missing} lines are gone without a word"
