"""Search schedule after schedule for violations: `python -m tests.unit.controller.simulation [first] [minutes]`."""

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
            shrunk(schedule, result)
        seed += 1
        if seed % 100 == 0:
            pass


if __name__ == "__main__":
    main()
