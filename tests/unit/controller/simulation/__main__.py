"""Search for violations, one schedule after the other: `python -m tests.unit.controller.simulation [first] [minutes]`."""

from __future__ import annotations

import sys
import time

from tests.unit.controller.simulation.schedule import made_from
from tests.unit.controller.simulation.simulator import shrunk, simulate


def main() -> None:
    first, minutes = (int(text) for text in (*sys.argv[1:], "0", "1")[:2])
    until, seed, found = time.monotonic() + 60 * minutes, first, 0
    while time.monotonic() < until:
        schedule = made_from(seed)
        result = simulate(schedule)
        if result.violations:
            found += 1
            print(f"=== seed {seed}: {result.violations}", flush=True)
            small = shrunk(schedule, result)
            print(small.schedule, *small.found.log, small.found.violations, sep="\n", flush=True)
        seed += 1
        if seed % 100 == 0:
            print(f"{seed - first} schedules, {found} with violations", flush=True)
    print(f"{seed - first} schedules, {found} with violations", flush=True)


if __name__ == "__main__":
    main()
